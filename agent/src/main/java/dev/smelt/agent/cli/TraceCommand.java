package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.compress.Refitting;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.RoutingTraceWriter;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.agent.statistics.MomentsFile;
import dev.smelt.agent.statistics.MomentsRecording;
import dev.smelt.agent.statistics.RefitRecording;
import dev.smelt.store.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Runs a model on texts and records what its routers decide. */
@Command(
    name = "trace",
    description =
        "Runs a byte-level model on texts, in windows of 256 bytes, and writes a routing trace.",
    footer = {
      "  smelt trace --checkpoint tests/fixtures/byte-moe --text c.txt -o c.routing.safetensors",
      "  smelt trace --checkpoint tests/fixtures/byte-moe --text c.txt html.txt --moments -o both.routing.safetensors",
      "  smelt trace --checkpoint tests/fixtures/byte-moe --text c.txt --plan plan.json -o c.routing.safetensors"
    })
final class TraceCommand implements Callable<Integer> {

  private static final String ROUTING = ".routing.safetensors";
  private static final String MOMENTS = ".moments.safetensors";
  private static final String REFIT = ".refit.safetensors";

  /** A quarter of the heap for moments; most of the rest is for the model. */
  private static final int HEAP_PER_MOMENTS = 4;

  @Spec private CommandSpec spec;

  @Mixin private ModelChoice choice = new ModelChoice();

  @Option(
      names = "--text",
      required = true,
      arity = "1..*",
      paramLabel = "FILE",
      description = "Texts to run on; all go to one trace.")
  private List<Path> texts;

  @Option(
      names = "--moments",
      description =
          "Also write second moments of the experts' inputs and activations, to a file of the same"
              + " name that ends in .moments.safetensors. If those of each expert's inputs took"
              + " more than a quarter of the heap, they are added up per layer.")
  private boolean moments;

  @Option(
      names = "--plan",
      paramLabel = "FILE",
      description =
          "Also write what the merged experts of this plan are refitted to, to a file of the same"
              + " name that ends in .refit.safetensors, for smelt compress --refit-moments.")
  private @Nullable Path plan;

  @Option(
      names = "--align",
      defaultValue = "dominant",
      paramLabel = "NAME",
      description =
          "With --plan, what members are aligned to, as in smelt compress: none, expert-0 or"
              + " dominant (default).")
  private String align;

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "FILE",
      description = "Where the trace goes, by custom NAME.routing.safetensors.")
  private Path output;

  @Mixin private ResultOutput result = new ResultOutput();

  TraceCommand() {}

  @Override
  public Integer call() throws IOException {
    List<byte[]> contents = new ArrayList<>();
    long bytes = 0;
    for (Path text : texts) {
      byte[] content = Files.readAllBytes(text);
      contents.add(content);
      bytes += content.length;
    }
    ModelChoice.Named chosen = choice.load();
    if ((moments || plan != null) && chosen.model().merged()) {
      throw new IllegalArgumentException(
          chosen.name()
              + ": its experts are merged, but moments are those of the original ones; trace the"
              + " original checkpoint");
    }
    Optional<Refit> refit = plan == null ? Optional.empty() : Optional.of(refit(plan));
    Map<String, Object> written = new LinkedHashMap<>();
    RoutingTraceWriter.write(
        chosen.model(), chosen.name(), contents, output, progress("tracing")::show);
    written.put("tokens", bytes);
    written.put("routing", output.toString());
    if (moments) {
      MomentsRecording recording =
          new MomentsRecording(
              Compute.cpu(),
              chosen.model().blocks(),
              Runtime.getRuntime().maxMemory() / HEAP_PER_MOMENTS);
      run(chosen.model(), contents, recording, "adding up moments");
      Path file = beside(MOMENTS);
      MomentsFile.write(file, chosen.name(), recording.moments());
      written.put("moments", file.toString());
    }
    if (refit.isPresent()) {
      RefitRecording recording = refit.get().recording();
      run(chosen.model(), contents, recording, "adding up what to refit to");
      Path file = beside(REFIT);
      MomentsFile.writeRefit(file, chosen.name(), refit.get().groups(), recording.moments());
      written.put("refit", file.toString());
    }
    result.print(
        () -> new ObjectMapper().valueToTree(written),
        out -> written.forEach((what, value) -> out.printf("%-8s %s%n", what, value)));
    return 0;
  }

  private record Refit(String groups, RefitRecording recording) {}

  /** Merges first, so that a plan that does not fit costs no pass over the texts. */
  private Refit refit(Path file) throws IOException {
    try (Checkpoint opened = Checkpoint.open(choice.checkpoint())) {
      Recipe recipe =
          new Recipe(
              PlanFile.read(file),
              new CompressOptions(
                  Alignment.named(align), AlignmentCache.beside(opened), new Whole()));
      return new Refit(recipe.groups(opened), Refitting.recording(Compute.cpu(), opened, recipe));
    }
  }

  private void run(MoeModel model, List<byte[]> contents, ForwardObserver observer, String what) {
    long bytes = contents.stream().mapToLong(content -> content.length).sum();
    ProgressLine progress = progress(what);
    long before = 0;
    for (byte[] content : contents) {
      long start = before;
      Evaluation.score(model, content, observer, done -> progress.show(start + done, bytes));
      before += content.length;
    }
  }

  private Path beside(String ending) {
    String name = output.getFileName().toString();
    String stem =
        name.endsWith(ROUTING) ? name.substring(0, name.length() - ROUTING.length()) : name;
    return output.resolveSibling(stem + ending);
  }

  private ProgressLine progress(String what) {
    return new ProgressLine(spec.commandLine().getErr(), what);
  }
}

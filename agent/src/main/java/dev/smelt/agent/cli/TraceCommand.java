package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.RoutingTraceWriter;
import dev.smelt.agent.statistics.MomentsFile;
import dev.smelt.agent.statistics.MomentsRecording;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
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
      "  smelt trace --checkpoint tests/fixtures/byte-moe --text c.txt html.txt --moments -o both.routing.safetensors"
    })
final class TraceCommand implements Callable<Integer> {

  private static final String ROUTING = ".routing.safetensors";
  private static final String MOMENTS = ".moments.safetensors";

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
              + " name that ends in .moments.safetensors.")
  private boolean moments;

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
    if (moments && chosen.model().merged()) {
      throw new IllegalArgumentException(
          chosen.name()
              + ": its experts are merged, but moments are those of the original ones; trace the"
              + " original checkpoint");
    }
    Map<String, Object> written = new LinkedHashMap<>();
    RoutingTraceWriter.write(
        chosen.model(), chosen.name(), contents, output, progress("tracing")::show);
    written.put("tokens", bytes);
    written.put("routing", output.toString());
    if (moments) {
      Path file = momentsFile();
      writeMoments(chosen, contents, bytes, file);
      written.put("moments", file.toString());
    }
    result.print(
        () -> new ObjectMapper().valueToTree(written),
        out -> written.forEach((what, value) -> out.printf("%-8s %s%n", what, value)));
    return 0;
  }

  private void writeMoments(
      ModelChoice.Named chosen, List<byte[]> contents, long bytes, Path file) {
    MoeModel model = chosen.model();
    MomentsRecording recording = new MomentsRecording(Compute.cpu(), model.blocks());
    ProgressLine progress = progress("adding up moments");
    long before = 0;
    for (byte[] content : contents) {
      long start = before;
      Evaluation.score(model, content, recording, done -> progress.show(start + done, bytes));
      before += content.length;
    }
    MomentsFile.write(file, chosen.name(), recording.moments());
  }

  private Path momentsFile() {
    String name = output.getFileName().toString();
    String stem =
        name.endsWith(ROUTING) ? name.substring(0, name.length() - ROUTING.length()) : name;
    return output.resolveSibling(stem + MOMENTS);
  }

  private ProgressLine progress(String what) {
    return new ProgressLine(spec.commandLine().getErr(), what);
  }
}

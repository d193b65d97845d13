package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.inference.Measurement;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures how well a model predicts texts, and what that costs. */
@Command(
    name = "evaluate",
    description =
        "Measures bits per byte of a byte-level model on texts, in windows of 256 bytes, each on its"
            + " own.",
    mixinStandardHelpOptions = true)
final class EvaluateCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Mixin private ModelChoice choice = new ModelChoice();

  @Option(
      names = "--text",
      required = true,
      arity = "1..*",
      paramLabel = "FILE",
      description = "Texts; the figures are over all of them together.")
  private List<Path> texts;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  EvaluateCommand() {}

  @Override
  public Integer call() throws IOException {
    List<byte[]> contents = new ArrayList<>();
    for (Path text : texts) {
      contents.add(Files.readAllBytes(text));
    }
    ProgressLine progress = new ProgressLine(spec.commandLine().getErr(), "evaluating");
    print(Measurement.of(choice.load().model(), contents, progress::show));
    return 0;
  }

  private void print(Measurement measured) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      Map<String, Object> keys = new LinkedHashMap<>();
      keys.put("bytes", measured.score().bytes());
      keys.put("bitsPerByte", measured.score().bitsPerByte());
      keys.put("perplexity", measured.score().perplexity());
      keys.put("expertBytes", measured.expertBytes());
      keys.put("flopsPerToken", measured.flopsPerToken());
      out.println(new ObjectMapper().valueToTree(keys).toPrettyString());
    } else {
      out.printf(
          Locale.ROOT,
          "bits per byte     %.4f%n"
              + "perplexity        %.4f per byte%n"
              + "expert memory     %,d bytes%n"
              + "FLOPs per token   %,.0f%n"
              + "evaluated on      %,d bytes%n",
          measured.score().bitsPerByte(),
          measured.score().perplexity(),
          measured.expertBytes(),
          measured.flopsPerToken(),
          measured.score().bytes());
    }
    out.flush();
  }
}

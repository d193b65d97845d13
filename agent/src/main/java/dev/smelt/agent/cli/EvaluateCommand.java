package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.smelt.agent.inference.Measurement;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
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
    footer = {
      "  smelt evaluate --checkpoint tests/fixtures/byte-moe --text tests/fixtures/byte-moe/heldout/c.txt",
      "  smelt evaluate --checkpoint merged --text c.txt html.txt --json"
    })
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

  @Mixin private ResultOutput result = new ResultOutput();

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
    result.print(
        () ->
            JsonNodeFactory.instance
                .objectNode()
                .put("bytes", measured.score().bytes())
                .put("bitsPerByte", measured.score().bitsPerByte())
                .put("perplexity", measured.score().perplexity())
                .put("expertBytes", measured.expertBytes())
                .put("flopsPerToken", measured.flopsPerToken()),
        out ->
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
                measured.score().bytes()));
  }
}

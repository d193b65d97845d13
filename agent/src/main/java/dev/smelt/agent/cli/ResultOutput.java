package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintWriter;
import java.util.function.Consumer;
import java.util.function.Supplier;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The option {@code --json}, and a command's result in the form that it chooses. */
public final class ResultOutput {

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  /** Prints the result on standard output, in one of two forms. */
  public void print(Supplier<? extends JsonNode> asJson, Consumer<PrintWriter> asText) {
    PrintWriter out = command.commandLine().getOut();
    if (json) {
      out.println(asJson.get().toPrettyString());
    } else {
      asText.accept(out);
    }
    out.flush();
  }

  /** Prints a part of the result as soon as it is known, where text is wanted. */
  void printPart(Consumer<PrintWriter> asText) {
    printPart(asText, () -> {});
  }

  /**
   * Prints a part of the result as soon as it is known, where text is wanted; JSON comes as a whole
   * at the end, so that progress is shown instead.
   */
  void printPart(Consumer<PrintWriter> asText, Runnable progress) {
    if (json) {
      progress.run();
    } else {
      PrintWriter out = command.commandLine().getOut();
      asText.accept(out);
      out.flush();
    }
  }
}

package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

class SmeltCommandTest {

  static Stream<List<String>> shouldExplainEveryCommand() {
    List<List<String>> paths = new ArrayList<>();
    collect(SmeltCommand.commandLine(), List.of(), paths);
    return paths.stream();
  }

  @ParameterizedTest
  @MethodSource
  void shouldExplainEveryCommand(List<String> path) {
    StringWriter out = new StringWriter();
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    List<String> arguments = new ArrayList<>(path);
    arguments.add("--help");

    int exitCode = commandLine.execute(arguments.toArray(String[]::new));

    assertThat(exitCode).isZero();
    assertThat(out.toString()).startsWith("Usage: smelt");
  }

  private static void collect(CommandLine command, List<String> path, List<List<String>> into) {
    into.add(path);
    command
        .getSubcommands()
        .forEach(
            (name, subcommand) -> {
              if (!name.equals("help")) {
                List<String> longer = new ArrayList<>(path);
                longer.add(name);
                collect(subcommand, longer, into);
              }
            });
  }
}

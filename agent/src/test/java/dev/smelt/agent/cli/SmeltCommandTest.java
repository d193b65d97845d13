package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
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

  @Test
  void shouldExitWith0WhenDone() {
    assertThat(run("inspect", "--help").exitCode()).isZero();
  }

  @Test
  void shouldExitWith1AndOneLineWhenItFails() {
    Run run = run("inspect", "no-such-folder");

    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(run.err()).hasLineCount(1).startsWith("smelt: no-such-folder: no such file");
    assertThat(run.out()).isEmpty();
  }

  @Test
  void shouldAddWhereItFailedOnRequest() {
    assertThat(run("inspect", "no-such-folder", "--stacktrace").err()).contains("\tat ");
  }

  @Test
  void shouldExitWith2AndOneLineOnAnUnknownOption() {
    assertWrong(
        run("drift", "--jsn"), "Unknown option: '--jsn'", "--json?", "see smelt drift --help");
  }

  @Test
  void shouldExitWith2AndOneLineOnAnUnknownCommand() {
    assertWrong(run("insepct"), "'insepct'", "did you mean inspect?", "see smelt --help");
  }

  @Test
  void shouldExitWith2AndOneLineOnAMissingOption() {
    assertWrong(run("evaluate", "--checkpoint", "x"), "--text", "see smelt evaluate --help");
  }

  @Test
  void shouldExitWith2AndOneLineOnOptionsThatDoNotGoTogether() {
    assertWrong(run("compress", "--checkpoint", "x", "-o", "y"), "exactly one of --plan");
  }

  @Test
  void shouldPrintACompletionThatBashTakes() throws Exception {
    Process bash =
        new ProcessBuilder(
                "bash",
                "-c",
                "source /dev/stdin; COMP_WORDS=(smelt comp); COMP_CWORD=1; _complete_smelt;"
                    + " echo ${COMPREPLY[@]}")
            .redirectErrorStream(true)
            .start();
    bash.getOutputStream().write(run("completion").out().getBytes(StandardCharsets.UTF_8));
    bash.getOutputStream().close();

    assertThat(new String(bash.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .isEqualToIgnoringNewLines("completion compress");
  }

  private static void assertWrong(Run run, String... words) {
    assertThat(run.exitCode()).isEqualTo(2);
    assertThat(run.err()).hasLineCount(1).startsWith("smelt: ").contains(words);
    assertThat(run.out()).isEmpty();
  }

  private record Run(int exitCode, String out, String err) {}

  private static Run run(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    return new Run(commandLine.execute(arguments), out.toString(), err.toString());
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

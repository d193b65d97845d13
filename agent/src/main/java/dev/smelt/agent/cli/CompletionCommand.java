package dev.smelt.agent.cli;

import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code smelt completion}: lets a shell complete commands and options. */
@Command(
    name = "completion",
    description = "Prints a script that completes commands and options in bash and zsh.",
    footer = {"  source <(smelt completion)", "  smelt completion > ~/.smelt-completion"})
final class CompletionCommand implements Runnable {

  @Spec private CommandSpec spec;

  CompletionCommand() {}

  @Override
  public void run() {
    spec.commandLine()
        .getOut()
        .println(AutoComplete.bash(spec.root().name(), spec.root().commandLine()));
    spec.commandLine().getOut().flush();
  }
}

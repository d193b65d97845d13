package dev.smelt.agent.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Measures what the agent's work is made of. */
@Command(
    name = "bench",
    description = "Measures parts of the work, each beside its limit or peer in the same run.",
    mixinStandardHelpOptions = true,
    subcommands = BenchProxyCommand.class)
final class BenchCommand implements Runnable {

  @Spec private CommandSpec spec;

  BenchCommand() {}

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }
}

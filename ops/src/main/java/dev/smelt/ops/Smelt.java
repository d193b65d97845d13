package dev.smelt.ops;

import dev.smelt.agent.cli.SmeltCommand;
import dev.smelt.ops.demo.DemoCommand;
import picocli.CommandLine;

/** The program behind {@code ops/smelt}: the agent's commands and the ones that run the whole. */
public final class Smelt {

  private Smelt() {}

  public static void main(String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  /** Every command there is. */
  public static CommandLine commandLine() {
    return SmeltCommand.commandLine(new DemoCommand());
  }
}

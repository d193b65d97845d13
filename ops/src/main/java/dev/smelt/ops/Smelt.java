package dev.smelt.ops;

import dev.smelt.agent.cli.SmeltCommand;
import dev.smelt.ops.demo.DemoCommand;

/** The program behind {@code ops/smelt}: the agent's commands and the ones that run the whole. */
public final class Smelt {

  private Smelt() {}

  public static void main(String[] arguments) {
    System.exit(SmeltCommand.commandLine(new DemoCommand()).execute(arguments));
  }
}

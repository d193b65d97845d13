package dev.smelt.agent.cli;

import picocli.CommandLine.Option;

/** Which recoveries without gradients are used where their statistics are there. */
final class RecoveryChoices {

  @Option(
      names = "--refit",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "Fit down projections of merged experts to the original experts' outputs (default), or"
              + " leave the averages as they are.")
  private boolean refit;

  @Option(
      names = "--whiten",
      negatable = true,
      defaultValue = "true",
      fallbackValue = "true",
      description =
          "Factor by what the activations need, each matrix with a rank of its own (default), or by"
              + " the weights alone.")
  private boolean whiten;

  boolean refit() {
    return refit;
  }

  boolean whiten() {
    return whiten;
  }
}

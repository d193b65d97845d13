package dev.smelt.agent.cli;

import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * The root of the command line. Exit codes: 0 for success, 1 for a failure, 2 for wrong usage.
 *
 * <p>A failure prints one line on standard error that names the thing and what to do; {@code
 * --stacktrace} adds where it happened.
 */
@Command(
    name = "smelt",
    description =
        "Keeps the experts of a serving Mixture-of-Experts model merged and compressed to fit its"
            + " traffic.",
    mixinStandardHelpOptions = true,
    scope = ScopeType.INHERIT,
    version = "smelt 0.1.0",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:it failed, or what was examined is not in order; one line on standard error says why",
      "2:the command is not typed as it must be; nothing was done"
    },
    footer = {"  smelt demo --once", "  smelt up -c smelt.yaml", "  smelt help compress"},
    subcommands = {
      HelpCommand.class,
      AblateCommand.class,
      BenchCommand.class,
      CompletionCommand.class,
      CompressCommand.class,
      DoctorCommand.class,
      DriftCommand.class,
      EvaluateCommand.class,
      InspectCommand.class,
      PlanCommand.class,
      ReplayCommand.class,
      StoreCommand.class,
      TraceCommand.class,
      UpCommand.class
    })
public final class SmeltCommand implements Runnable {

  @Spec private CommandSpec spec;

  @Option(
      names = "--stacktrace",
      scope = ScopeType.INHERIT,
      description = "On failure, also print where it happened.")
  private boolean stackTrace;

  /**
   * The command line with every command of the agent and the given further ones.
   *
   * @param furtherCommands picocli command objects, named by their annotation
   */
  public static CommandLine commandLine(Object... furtherCommands) {
    SmeltCommand root = new SmeltCommand();
    CommandLine commandLine = new CommandLine(root);
    for (Object command : furtherCommands) {
      commandLine.addSubcommand(command);
    }
    commandLine.setCaseInsensitiveEnumValuesAllowed(true);
    commandLine.setParameterExceptionHandler(new WrongUsage());
    commandLine.setUsageHelpAutoWidth(true);
    headExamples(commandLine);
    commandLine.setExecutionExceptionHandler(
        (exception, failed, parsed) -> {
          PrintWriter err = failed.getErr();
          err.println("smelt: " + FailureMessage.of(exception));
          if (root.stackTrace) {
            exception.printStackTrace(err);
          }
          err.flush();
          return CommandLine.ExitCode.SOFTWARE;
        });
    return commandLine;
  }

  /** Footers hold examples. */
  private static void headExamples(CommandLine command) {
    if (command.getCommandSpec().usageMessage().footer().length > 0) {
      command.getCommandSpec().usageMessage().footerHeading("%nExamples:%n");
    }
    command.getSubcommands().values().forEach(SmeltCommand::headExamples);
  }

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }
}

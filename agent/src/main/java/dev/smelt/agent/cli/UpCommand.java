package dev.smelt.agent.cli;

import dev.smelt.agent.Agent;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.SmeltConfig;
import dev.smelt.store.checkpoint.Checkpoint;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code smelt up}: runs the agent until it is told to stop. */
@Command(
    name = "up",
    description = "Runs the agent beside an engine, as a configuration file says, until Ctrl-C.")
final class UpCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Option(
      names = {"-c", "--config"},
      paramLabel = "FILE",
      defaultValue = "smelt.yaml",
      description = "The configuration; default: ${DEFAULT-VALUE}.")
  private Path file;

  @Option(
      names = "--check",
      description = "Only check the configuration and the checkpoints that it names.")
  private boolean check;

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    SmeltConfig config = ConfigFile.read(file);
    if (check) {
      for (ModelSettings model : config.models()) {
        try (Checkpoint checkpoint = Checkpoint.open(model.checkpoint())) {
          out.printf(
              "%s: %d blocks with experts in %s%n",
              model.name(), checkpoint.blocks().size(), model.checkpoint());
        }
      }
      out.println(file + " can be used");
      return 0;
    }
    CountDownLatch stop = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  stop.countDown();
                  awaitQuietly(stopped);
                }));
    try (Agent agent = Agent.start(config)) {
      out.println("dashboard and API at " + agent.api());
      out.println("health and metrics at " + agent.management());
      for (ModelSettings model : config.models()) {
        out.println(model.name() + " behind " + agent.proxy(model.name()));
      }
      out.flush();
      stop.await();
    } finally {
      stopped.countDown();
    }
    return 0;
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

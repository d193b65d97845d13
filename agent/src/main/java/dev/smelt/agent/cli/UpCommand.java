package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.Agent;
import dev.smelt.agent.Preflight;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.SmeltConfig;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code smelt up}: runs the agent until it is told to stop. */
@Command(
    name = "up",
    description = "Runs the agent beside an engine, as a configuration file says, until Ctrl-C.",
    footer = {"  smelt up -c smelt.yaml --check", "  smelt up -c smelt.yaml"})
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
      description =
          "Start nothing: only check every setting, path and name, and say all that is wrong.")
  private boolean check;

  @Mixin private ResultOutput result = new ResultOutput();

  @Override
  public Integer call() throws IOException, InterruptedException {
    SmeltConfig config = ConfigFile.read(file);
    Preflight preflight = Preflight.of(config);
    if (check) {
      result.print(() -> json(preflight), out -> print(preflight, out));
    }
    if (!preflight.problems().isEmpty()) {
      PrintWriter err = spec.commandLine().getErr();
      preflight.problems().forEach(problem -> err.println("smelt: " + file + ": " + problem));
      err.flush();
      return ExitCode.SOFTWARE;
    }
    return check ? ExitCode.OK : run(config);
  }

  private int run(SmeltConfig config) throws IOException, InterruptedException {
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
      result.print(() -> json(agent, config), out -> print(agent, config, out));
      stop.await();
    } finally {
      stopped.countDown();
    }
    return ExitCode.OK;
  }

  private JsonNode json(Preflight preflight) {
    ObjectNode found = JsonNodeFactory.instance.objectNode();
    found.put("file", file.toString());
    found.put("usable", preflight.problems().isEmpty());
    preflight.blocks().forEach(found.putObject("blocks")::put);
    preflight.problems().forEach(found.putArray("problems")::add);
    return found;
  }

  private void print(Preflight preflight, PrintWriter out) {
    preflight
        .blocks()
        .forEach((model, blocks) -> out.printf("%s: %d blocks with experts%n", model, blocks));
    if (preflight.problems().isEmpty()) {
      out.println(file + " can be used");
    }
  }

  private static JsonNode json(Agent agent, SmeltConfig config) {
    ObjectNode running = JsonNodeFactory.instance.objectNode();
    running.put("api", agent.api().toString());
    running.put("management", agent.management().toString());
    ObjectNode proxies = running.putObject("proxies");
    config
        .models()
        .forEach(model -> proxies.put(model.name(), agent.proxy(model.name()).toString()));
    return running;
  }

  private static void print(Agent agent, SmeltConfig config, PrintWriter out) {
    out.println("dashboard and API at " + agent.api());
    out.println("health and metrics at " + agent.management());
    for (ModelSettings model : config.models()) {
      out.println(model.name() + " behind " + agent.proxy(model.name()));
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

package dev.smelt.agent.swap;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.net.URI;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Runs the commands, or calls the webhooks, that start and stop engines. */
final class Launcher {

  private final BlueGreenSettings settings;
  private final Map<URI, Process> running = new HashMap<>();

  Launcher(BlueGreenSettings settings) {
    this.settings = settings;
  }

  /** Starts an engine; success means that the command was begun, not that the engine is healthy. */
  Outcome start(URI place, Serving serving) {
    if (isWebhook(settings.start())) {
      return call(settings.start().get(0), place, serving);
    }
    try {
      running.put(place, process(settings.start(), place, serving));
      return Outcome.done();
    } catch (IOException failed) {
      return new Outcome.Failed("the start command failed: " + failed.getMessage());
    }
  }

  /** Whether the start command has already ended with an error. */
  Outcome alive(URI place) {
    Process process = running.get(place);
    return process == null || process.isAlive() || process.exitValue() == 0
        ? Outcome.done()
        : new Outcome.Failed("the start command ended with status " + process.exitValue());
  }

  /** Stops what an earlier swap may have left at a place; there usually is nothing. */
  void clear(URI place, Serving serving) {
    if (running.containsKey(place) || !settings.stop().isEmpty()) {
      stop(place, serving);
    }
  }

  Outcome stop(URI place, Serving serving) {
    Process process = running.remove(place);
    if (settings.stop().isEmpty()) {
      return process == null
          ? new Outcome.Failed("no stop command is configured for an engine started elsewhere")
          : ended(process);
    }
    return isWebhook(settings.stop())
        ? call(settings.stop().get(0), place, serving)
        : run(place, serving);
  }

  private Outcome ended(Process process) {
    process.destroy();
    try {
      if (!process.waitFor(settings.commandTimeout().toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
    return Outcome.done();
  }

  private Outcome run(URI place, Serving serving) {
    try {
      Process process = process(settings.stop(), place, serving);
      if (!process.waitFor(settings.commandTimeout().toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroyForcibly();
        return new Outcome.Lost("the stop command did not end within " + settings.commandTimeout());
      }
      return process.exitValue() == 0
          ? Outcome.done()
          : new Outcome.Failed("the stop command ended with status " + process.exitValue());
    } catch (IOException failed) {
      return new Outcome.Failed("the stop command failed: " + failed.getMessage());
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return new Outcome.Lost("interrupted");
    }
  }

  private static Process process(List<String> command, URI place, Serving serving)
      throws IOException {
    List<String> words =
        command.stream()
            .map(
                word ->
                    word.replace("{directory}", serving.directory().toString())
                        .replace("{snapshot}", serving.version())
                        .replace("{url}", place.toString())
                        .replace("{port}", String.valueOf(place.getPort())))
            .toList();
    return new ProcessBuilder(words).inheritIO().start();
  }

  private Outcome call(String address, URI place, Serving serving) {
    String body =
        JsonNodeFactory.instance
            .objectNode()
            .put("directory", serving.directory().toString())
            .put("snapshot", serving.version())
            .put("url", place.toString())
            .put("port", place.getPort())
            .toString();
    return EngineCalls.outcome(
        new EngineCalls(URI.create(address), SwapSettings.defaults())
            .post("", body, settings.commandTimeout()));
  }

  private static boolean isWebhook(List<String> command) {
    return command.size() == 1
        && (command.get(0).startsWith("http://") || command.get(0).startsWith("https://"));
  }
}

package dev.smelt.agent.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** The load generator wrk, as its own process. */
final class Wrk implements AutoCloseable {

  private static final String SCRIPT =
      """
      wrk.method = "POST"
      wrk.path = "/v1/completions"
      wrk.headers["content-type"] = "application/json"
      function init(arguments)
        wrk.body = arguments[1]
        pause = tonumber(arguments[2])
        if pause > 0 then
          math.randomseed(1)
          delay = function() return math.random(0, 2 * pause) end
        end
      end
      function done(summary, latency, requests)
        local bad = summary.errors.status + summary.errors.connect + summary.errors.read
          + summary.errors.write + summary.errors.timeout
        io.write(string.format(
          '\\n{"requests":%d,"micros":%d,"failed":%d,"p50":%d,"p99":%d}\\n',
          summary.requests, summary.duration, bad,
          latency:percentile(50), latency:percentile(99)))
      end
      """;

  private final String command;
  private final Path script;

  /**
   * @param command wrk's name or path
   */
  Wrk(String command) throws IOException {
    this.command = command;
    script = Files.createTempFile("smelt-bench", ".lua");
    Files.writeString(script, SCRIPT);
  }

  /**
   * Sends requests for a while, each connection one after another.
   *
   * @param pause mean time that a connection waits before it sends its next request; each wait is
   *     drawn anew, from none to twice as long, so that connections do not fall into step
   */
  Load run(Target target, int connections, Duration pause, Duration time)
      throws IOException, InterruptedException {
    Process process;
    try {
      process =
          new ProcessBuilder(
                  command,
                  "-t1",
                  "-c" + connections,
                  "-d" + Math.max(1, time.toSeconds()) + "s",
                  "-s",
                  script.toString(),
                  target.uri().toString(),
                  "--",
                  target.body(),
                  Long.toString(pause.toMillis()))
              .redirectErrorStream(true)
              .start();
    } catch (IOException missing) {
      throw new IOException(
          command + ": the load generator does not start; install the Debian package wrk", missing);
    }
    String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    if (process.waitFor() != 0 || !output.endsWith("}")) {
      throw new IOException(command + " failed: " + output);
    }
    JsonNode figures = new ObjectMapper().readTree(output.substring(output.lastIndexOf('{')));
    return new Load(
        figures.path("requests").asLong() * 1e6 / figures.path("micros").asDouble(),
        figures.path("p50").asDouble() / 1000,
        figures.path("p99").asDouble() / 1000,
        figures.path("failed").asLong());
  }

  /**
   * Where requests go, and what they say.
   *
   * @param body JSON of a completion request
   */
  record Target(URI uri, String body) {}

  /**
   * What a run measured.
   *
   * @param perSecond requests answered per second
   * @param p50 median latency, ms
   * @param p99 99th percentile of latency, ms
   * @param failed requests that failed
   */
  record Load(double perSecond, double p50, double p99, long failed) {}

  @Override
  public void close() throws IOException {
    Files.deleteIfExists(script);
  }
}

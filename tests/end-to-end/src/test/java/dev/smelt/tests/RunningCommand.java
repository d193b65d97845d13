package dev.smelt.tests;

import static org.awaitility.Awaitility.await;

import dev.smelt.ops.Smelt;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine;

/** A command that runs in this process until it is closed, with what it has said so far. */
final class RunningCommand implements AutoCloseable {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final CompletableFuture<Integer> exitCode = new CompletableFuture<>();
  private final Thread thread;

  RunningCommand(String... arguments) {
    CommandLine commandLine = Smelt.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    thread =
        new Thread(
            () -> exitCode.complete(commandLine.execute(arguments)),
            "command " + String.join(" ", arguments));
    thread.start();
  }

  String out() {
    return out.toString();
  }

  String err() {
    return err.toString();
  }

  /**
   * Waits until it has said something on standard error.
   *
   * @return what the pattern's first group matched
   * @throws IllegalStateException if it ends before that
   */
  String awaitSaid(String pattern, Duration atMost) {
    Pattern compiled = Pattern.compile(pattern);
    return await()
        .atMost(atMost)
        .pollInterval(Duration.ofMillis(100))
        .until(
            () -> {
              Matcher matcher = compiled.matcher(err());
              if (matcher.find()) {
                return Optional.of(matcher.group(1));
              }
              if (exitCode.isDone()) {
                throw new IllegalStateException("it ended: " + err());
              }
              return Optional.<String>empty();
            },
            Optional::isPresent)
        .orElseThrow();
  }

  /** Stops it as Ctrl-C does, and waits until it has ended. */
  @Override
  public void close() throws InterruptedException {
    thread.interrupt();
    thread.join(Duration.ofMinutes(1).toMillis());
  }
}

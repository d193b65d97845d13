package dev.smelt.tests;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.awaitility.Awaitility;

/** A main class in a process of its own, with the classes of this one. */
final class JavaProcess implements AutoCloseable {

  private static final Duration LIMIT = Duration.ofSeconds(90);

  private final Process process;
  private final Path log;

  private JavaProcess(Process process, Path log) {
    this.process = process;
    this.log = log;
  }

  /**
   * @param log where its output goes
   */
  static JavaProcess start(Path log, String mainClass, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx700m",
                "-XX:+UseSerialGC",
                "-Dlogback.configurationFile=logback.xml",
                "-cp",
                System.getProperty("java.class.path"),
                mainClass));
    command.addAll(List.of(arguments));
    return new JavaProcess(
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start(),
        log);
  }

  /** Waits until it has said something, and returns the first group. */
  String awaitWords(String pattern) {
    Pattern words = Pattern.compile(pattern);
    return Awaitility.await(pattern)
        .atMost(LIMIT)
        .until(
            () -> {
              if (!process.isAlive()) {
                throw new IOException("the process ended at its start: " + Files.readString(log));
              }
              Matcher found = words.matcher(Files.readString(log));
              return found.find() ? found.group(1) : "";
            },
            found -> !found.isEmpty());
  }

  /**
   * Waits until it has ended by itself.
   *
   * @return its exit code
   */
  int awaitEnd() throws InterruptedException, IOException {
    if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)) {
      throw new IOException("the process does not end: " + Files.readString(log));
    }
    return process.exitValue();
  }

  /** Ends it at once, as {@code kill -9} does. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  /** Lets it stand still. */
  void stop() throws IOException, InterruptedException {
    signal("STOP");
  }

  /** Lets it go on. */
  void goOn() throws IOException, InterruptedException {
    signal("CONT");
  }

  private void signal(String name) throws IOException, InterruptedException {
    new ProcessBuilder("kill", "-" + name, String.valueOf(process.pid())).start().waitFor();
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

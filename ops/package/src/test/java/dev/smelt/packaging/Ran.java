package dev.smelt.packaging;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A process that has ended.
 *
 * @param exitCode what it ended with
 * @param said what it wrote, standard error included
 */
record Ran(int exitCode, String said) {

  private static final long LONGEST_SECONDS = 120;

  static Ran of(List<String> command, Map<String, String> environment)
      throws IOException, InterruptedException {
    Path said = Files.createTempFile("smelt-ran", ".log");
    try {
      ProcessBuilder builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile());
      builder.environment().putAll(environment);
      Process process = builder.start();
      if (!process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IllegalStateException(command + " did not end: " + Files.readString(said));
      }
      return new Ran(process.exitValue(), Files.readString(said, StandardCharsets.UTF_8));
    } finally {
      Files.delete(said);
    }
  }

  static String successfully(String... command) throws IOException, InterruptedException {
    Ran ran = of(List.of(command), Map.of());
    assertThat(ran.exitCode()).as(ran.said()).isZero();
    return ran.said();
  }
}

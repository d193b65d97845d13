package dev.smelt.agent.swap;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every exchange with an engine, as files beside this test's resources; see {@link Transcript}. */
class TranscriptIT {

  private static final SwapSettings SETTINGS =
      new SwapSettings(
          Duration.ofSeconds(5),
          Duration.ofMillis(500),
          Duration.ofMillis(500),
          2,
          Duration.ofMillis(1),
          Optional.empty());

  static Stream<Arguments> sglang() {
    return transcripts("sglang");
  }

  static Stream<Arguments> vllm() {
    return transcripts("vllm");
  }

  static Stream<Arguments> storePull() {
    return transcripts("store-pull");
  }

  private static Stream<Arguments> transcripts(String folder) {
    return Transcript.files(folder).stream()
        .map(file -> Arguments.of(file.getFileName().toString(), file));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("sglang")
  void shouldSpeakToSglangAsRecorded(String name, Path file) throws IOException {
    assertRecorded(file, InPlaceDriver::sglang);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("vllm")
  void shouldSpeakToVllmAsRecorded(String name, Path file) throws IOException {
    assertRecorded(file, InPlaceDriver::vllm);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("storePull")
  void shouldWaitForAnEngineThatFollowsTheStoreAsRecorded(String name, Path file)
      throws IOException {
    assertRecorded(file, StorePullDriver::new);
  }

  private static void assertRecorded(Path file, BiFunction<URI, SwapSettings, SwapDriver> driver)
      throws IOException {
    try (Transcript transcript = new Transcript(file)) {
      assertThat(transcript.play(driver.apply(transcript.engine(), SETTINGS)))
          .isEqualTo(Files.readString(file));
    }
  }
}

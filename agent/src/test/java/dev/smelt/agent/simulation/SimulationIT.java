package dev.smelt.agent.simulation;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Three weeks of what {@code smelt bench simulate} does for a year. */
@Timeout(300)
class SimulationIT {

  private static final Path FIXTURE = Path.of("../tests/fixtures/byte-moe");
  private static final Duration LENGTH = Duration.ofDays(21);
  private static final long SEED = 20260301;

  @TempDir Path folder;

  @Test
  void shouldAdaptAndRecallThroughOutages() throws IOException {
    try (Simulation simulation = simulation(false)) {
      Figures loop = simulation.compare(List.of(), (way, seconds) -> {}).get(0);

      assertThat(loop.remerges()).isPositive();
      assertThat(loop.recalls()).isPositive();
      assertThat(loop.fullModelShare()).isZero();
    }
  }

  @Test
  void shouldNotMergeAgainWhileTrafficStaysAsItIs() throws IOException {
    try (Simulation simulation = simulation(true)) {
      Figures loop = simulation.compare(List.of(), (way, seconds) -> {}).get(0);

      assertThat(loop.remerges()).isZero();
      assertThat(loop.recalls()).isZero();
    }
  }

  private Simulation simulation(boolean stationary) throws IOException {
    return new Simulation(
        new Simulation.Setup(
            FIXTURE, FIXTURE.resolve("heldout"), LENGTH, SEED, stationary, /* measured= */ 2),
        folder.resolve("simulation"));
  }
}

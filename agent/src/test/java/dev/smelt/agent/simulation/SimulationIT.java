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
  void shouldLoseLessThanAnyFixedIntervalAtAsManyRemerges() throws IOException {
    try (Simulation simulation = simulation(false)) {
      List<Figures> figures =
          simulation.compare(
              List.of(Way.never(), Way.each(Duration.ofDays(1))), (way, seconds) -> {});

      Figures loop = figures.get(0);
      assertThat(figures).hasSize(4);
      assertThat(loop.remerges()).isPositive();
      assertThat(loop.fullModelShare()).isZero();
      assertThat(figures.subList(1, figures.size()))
          .allSatisfy(other -> assertThat(loop.meanLoss()).isLessThan(other.meanLoss()));
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
            FIXTURE, FIXTURE.resolve("heldout"), LENGTH, SEED, stationary, /* measured= */ 6),
        folder.resolve("simulation"));
  }
}

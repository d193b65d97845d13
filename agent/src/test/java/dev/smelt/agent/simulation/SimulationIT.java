package dev.smelt.agent.simulation;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two weeks of what {@code smelt bench simulate} does for a year. */
@Timeout(300)
class SimulationIT {

  private static final Path FIXTURE = Path.of("../tests/fixtures/byte-moe");
  private static final Duration LENGTH = Duration.ofDays(14);
  private static final long SEED = 20260301;

  @TempDir Path folder;

  @Test
  void shouldLoseLessThanAnyFixedIntervalThroughOutages() throws IOException {
    try (Simulation simulation = simulation(false)) {
      List<Figures> all =
          simulation.compare(List.of(Way.never(), Way.each(Duration.ofDays(7))), (way, s) -> {});

      Figures loop = all.get(0);
      assertThat(loop.remerges()).isPositive();
      assertThat(loop.fullModelShare()).isZero();
      assertThat(all.subList(1, all.size()))
          .filteredOn(way -> !way.way().endsWith("gated"))
          .hasSize(4)
          .allSatisfy(way -> assertThat(way.meanLoss()).isGreaterThan(loop.meanLoss()));
    }
  }

  @Test
  void shouldNotMergeAgainWhileTrafficStaysAsItIs() throws IOException {
    try (Simulation simulation = simulation(true)) {
      Figures loop = simulation.compare(List.of(), (way, seconds) -> {}).get(0);

      assertThat(loop.remerges()).isOne();
      assertThat(loop.recalls()).isZero();
    }
  }

  private Simulation simulation(boolean stationary) throws IOException {
    return new Simulation(
        new Simulation.Setup(FIXTURE, FIXTURE.resolve("heldout"), LENGTH, SEED, stationary),
        folder.resolve("simulation"));
  }
}

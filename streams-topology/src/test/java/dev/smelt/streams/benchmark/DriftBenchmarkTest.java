package dev.smelt.streams.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.streams.benchmark.DriftBenchmark.Extent;
import dev.smelt.streams.benchmark.DriftBenchmark.FalseAlarms;
import dev.smelt.streams.benchmark.DriftBenchmark.Rule;
import dev.smelt.streams.benchmark.SyntheticTraffic.Shape;
import dev.smelt.streams.drift.DriftSettings;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class DriftBenchmarkTest {

  private final DriftBenchmark benchmark =
      new DriftBenchmark(DriftSettings.DEFAULT, new Extent(2, 60, 3, 60, 1));

  @Test
  void shouldRaiseNoAlarmWhereTheRulesOfThumbAlwaysDo() {
    FalseAlarms alarms = benchmark.falseAlarms(new Shape(64, 2, 1_000, 1), 1);

    assertThat(alarms.perThousand(Rule.SMELT)).isZero();
    assertThat(alarms.perThousand(Rule.JENSEN_SHANNON)).isGreaterThan(900);
    assertThat(alarms.perThousand(Rule.STABILITY_INDEX)).isGreaterThan(300);
  }

  @Test
  void shouldRaiseNoAlarmForAModelOfManyLayers() {
    assertThat(benchmark.falseAlarms(new Shape(16, 2, 4_000, 1), 8).perThousand(Rule.SMELT))
        .isZero();
  }

  @Test
  void shouldSeeALargeShiftWithinAFewWindows() {
    assertThat(benchmark.delays(new Shape(64, 2, 10_000, 1), 0.5).median(Rule.SMELT))
        .isLessThan(20);
  }

  @Test
  void shouldGiveTheSameFiguresForTheSameSeed() {
    Shape shape = new Shape(8, 2, 1_000, 3);

    assertThat(benchmark.falseAlarms(shape, 1).alarms())
        .isEqualTo(benchmark.falseAlarms(shape, 1).alarms());
  }

  @Test
  void shouldComputeTheStabilityIndex() {
    assertThat(DriftBenchmark.stabilityIndex(new double[] {0.6, 0.4}, new double[] {0.5, 0.5}))
        .isCloseTo(0.1 * Math.log(0.6 / 0.5) - 0.1 * Math.log(0.4 / 0.5), within(1e-12));
  }

  @Test
  void shouldChooseByWeight() {
    double[] weights = {1, 0.01, 4, 3};
    Choice choice = new Choice(weights.length);
    choice.prepare(weights);
    SplittableRandom random = new SplittableRandom(1);
    int[] chosen = new int[weights.length];
    for (int i = 0; i < 801_000; i++) {
      chosen[choice.draw(random)]++;
    }

    assertThat(chosen[0]).isCloseTo(100_000, within(1_500));
    assertThat(chosen[1]).isCloseTo(1_000, within(150));
    assertThat(chosen[2]).isCloseTo(400_000, within(2_500));
    assertThat(chosen[3]).isCloseTo(300_000, within(2_500));
  }
}

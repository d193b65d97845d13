package dev.smelt.agent.ablation;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.plan.Strategy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What agent/ABLATION.md claims of the byte-level model, on less of each text. */
class AblationIT {

  private static final Path FIXTURE = Path.of("../tests/fixtures/byte-moe");
  private static final String OLD = "old";
  private static final String NEW = "new";

  private static Ablation.Result result;

  @BeforeAll
  static void compare() throws IOException {
    result =
        Ablation.run(
            new Ablation.Setup(
                FIXTURE,
                FIXTURE.resolve("heldout"),
                List.of("c", "english", "german"),
                List.of("html", "python", "russian"),
                8192,
                List.of(
                    Strategy.M_SMOE,
                    Strategy.MC_SMOE,
                    Strategy.FREQUENCY_PRUNE,
                    Strategy.REAP,
                    Strategy.SMELT),
                List.of(50, 80),
                Set.of()),
            row -> {});
  }

  @Test
  void shouldLoseAtMostHalfOfTheBestOfMergingAndPruningAtHalfOfTheMemory() {
    double best =
        DoubleStream.of(
                loss(Strategy.M_SMOE, 50, NEW),
                loss(Strategy.FREQUENCY_PRUNE, 50, NEW),
                loss(Strategy.REAP, 50, NEW))
            .min()
            .orElseThrow();

    assertThat(loss(Strategy.SMELT, 50, NEW)).isLessThanOrEqualTo(best / 2);
  }

  @Test
  void shouldCloseMostOfTheGapThatStatisticsOfOtherTrafficOpen() {
    double gap = loss(Strategy.SMELT, 50, OLD);

    assertThat(gap - loss(Strategy.SMELT, 50, NEW)).isGreaterThanOrEqualTo(0.7 * gap);
  }

  @Test
  void shouldLoseAtMostAThirdOfPlainFactorsWithAFifthOfTheMemory() {
    assertThat(loss(Strategy.SMELT, 80, NEW))
        .isLessThanOrEqualTo(loss(Strategy.MC_SMOE, 80, NEW) / 3);
  }

  @Test
  void shouldShowThePapersOrderings() {
    double paper = loss(Strategy.M_SMOE, 50, NEW);

    assertThat(paper)
        .isLessThan(variant("aligned to none"))
        .isLessThan(variant("plain average"))
        .isLessThan(variant("random groups"));
  }

  @Test
  void shouldGiveNoStrategyMoreMemoryThanThereIs() {
    long whole = result.full().expertBytes();
    long maps = 4 * 16 * Integer.BYTES;

    assertThat(result.rows())
        .allSatisfy(
            row ->
                assertThat(row.expertBytes() - maps)
                    .isLessThanOrEqualTo(whole * (100 - row.off()) / 100));
  }

  private static double loss(Strategy strategy, int off, String statistics) {
    return bitsLost(
        row ->
            row.strategy().equals(strategy.toString())
                && row.variant().isEmpty()
                && row.off() == off
                && row.statistics().equals(statistics));
  }

  private static double variant(String name) {
    return bitsLost(row -> row.variant().equals(name));
  }

  private static double bitsLost(Predicate<Ablation.Row> which) {
    return result.rows().stream().filter(which).findFirst().orElseThrow().bitsPerByte()
        - result.full().score().bitsPerByte();
  }
}

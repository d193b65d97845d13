package dev.smelt.streams.topology;

import static dev.smelt.streams.topology.TopologyFixture.EXPERTS;
import static dev.smelt.streams.topology.TopologyFixture.LAYER;
import static dev.smelt.streams.topology.TopologyFixture.TOP_K;
import static dev.smelt.streams.topology.TopologyFixture.at;
import static dev.smelt.streams.topology.TopologyFixture.layers;
import static dev.smelt.streams.topology.TopologyFixture.models;
import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.LayerDrift;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.drift.Status;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class DriftTopologyTest {

  private static final LayerKey SECOND = new LayerKey("mixtral", "model.layers.1.block_sparse_moe");
  private static final int REQUESTS = 100;

  private final TopologyFixture topology = new TopologyFixture(TopologyFixture.config());
  private final Random random = new Random(9);
  private final Map<LayerKey, Long> sequences = new HashMap<>();
  private int window;

  @AfterEach
  void close() {
    topology.close();
  }

  @Test
  void shouldSayWhyItCannotJudgeYet() {
    List<Drift> drifts = run(3, 0.5, LAYER);
    assertThat(layers(drifts)).extracting(LayerDrift::status).containsOnly(Status.NO_BASELINE);

    takeBaseline(LAYER);
    assertThat(layers(run(3, 0.5, LAYER)))
        .extracting(LayerDrift::status)
        .contains(Status.CALIBRATING);
  }

  @Test
  void shouldStayQuietWhileNothingChanges() {
    run(20, 0.5, LAYER);
    takeBaseline(LAYER);

    List<ModelDrift> models = models(run(60, 0.5, LAYER));

    assertThat(models).hasSizeGreaterThan(55).noneMatch(ModelDrift::breached);
    assertThat(models.get(models.size() - 1).judgedLayers()).isEqualTo(1);
  }

  @Test
  void shouldSeeAShiftAndNameWhatMoved() {
    run(20, 0.2, LAYER);
    takeBaseline(LAYER);
    run(3, 0.2, LAYER);

    List<Drift> drifts = run(4, 0.8, LAYER);

    ModelDrift last = models(drifts).get(models(drifts).size() - 1);
    assertThat(last.breached()).isTrue();
    assertThat(last.snapshot()).isEqualTo("snapshot-1");
    assertThat(last.value()).isGreaterThan(last.threshold());
    assertThat(last.breachedLayers()).containsExactly(LAYER.layer());
    LayerDrift layer = layers(drifts).get(layers(drifts).size() - 1);
    assertThat(layer.movers().get(0).expert()).isIn(0, 1, 2, 3);
    assertThat(layer.movers())
        .filteredOn(mover -> mover.expert() >= 2)
        .allMatch(mover -> mover.change() < 0);
    assertThat(layer.tokens()).isPositive();
    assertThat(layer.requests()).isEqualTo(REQUESTS);
  }

  @Test
  void shouldMeasureFromTheNewBaselineAfterAnActivation() {
    run(20, 0.2, LAYER);
    takeBaseline(LAYER);
    run(150, 0.8, LAYER);
    takeBaseline(LAYER);

    assertThat(models(run(20, 0.8, LAYER))).filteredOn(ModelDrift::breached).isEmpty();
  }

  @Test
  void shouldJudgeAllLayersOfAWindowTogether() {
    List<ModelDrift> models = models(run(10, 0.5, LAYER, SECOND));

    assertThat(models).hasSizeGreaterThan(7).allMatch(model -> model.layers() == 2);
  }

  @Test
  void shouldNotWaitForeverForASilentLayer() {
    run(5, 0.5, LAYER, SECOND);

    List<ModelDrift> models = models(run(10, 0.5, LAYER));

    assertThat(models).hasSizeGreaterThan(5);
    assertThat(models.get(models.size() - 1).layers()).isEqualTo(1);
  }

  @Test
  void shouldJudgeTheLastWindowWhenNothingMoreComes() {
    List<ModelDrift> models = new ArrayList<>(models(run(5, 0.5, LAYER)));
    topology.passTime(Duration.ofMinutes(2));
    topology.passTime(Duration.ofMinutes(2));
    models.addAll(models(topology.drifts()));

    assertThat(models).hasSize(5);
    assertThat(models).extracting(ModelDrift::windowEnd).isSorted().doesNotHaveDuplicates();
  }

  private void takeBaseline(LayerKey key) {
    topology.baseline(Baseline.of(topology.profile(key), "snapshot-1", at(10.0 * window)));
  }

  /**
   * Sends some windows of traffic.
   *
   * @param low how often a token chooses the experts 0 and 1, and not 2 and 3
   */
  private List<Drift> run(int windows, double low, LayerKey... keys) {
    List<Drift> drifts = new ArrayList<>();
    for (int end = window + windows; window < end; window++) {
      for (LayerKey key : keys) {
        Accumulator sums = Usage.accumulator(EXPERTS, TOP_K).addRequests(REQUESTS);
        for (int request = 0; request < REQUESTS; request++) {
          double own = Math.min(1, Math.max(0, low + 0.1 * random.nextGaussian()));
          for (int token = 0; token < 10; token++) {
            sums.add(random.nextDouble() < own ? new int[] {0, 1} : new int[] {2, 3}, 1);
          }
        }
        long sequence = sequences.merge(key, 1L, Long::sum);
        topology.send(
            new UsageRecord(
                key,
                "engine",
                "",
                sequence,
                at(10 * window + 5),
                at(10 * window + 5),
                new Combined(sums.build())));
      }
      drifts.addAll(topology.drifts());
    }
    return drifts;
  }
}

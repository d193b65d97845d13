package dev.smelt.streams.drift;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.streams.usage.LayerKey;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class ModelVerdictTest {

  private static final Instant START = Instant.parse("2026-03-01T12:00:00Z");
  private static final Spread SPREAD = new Spread(10, 10, 10, 1e6);
  private static final double UNIT = 1e-4;

  private final DriftSettings settings = new DriftSettings(0.01, 0.001, 30, 8, 32, 4, 5);

  @Test
  void shouldCallALayerDriftedThatNoChanceExplains() {
    ModelVerdict verdict =
        ModelVerdict.of(List.of(layer(0, 10), layer(1, 100), layer(2, 9)), settings);

    assertThat(verdict.model().breached()).isTrue();
    assertThat(verdict.model().breachedLayers()).containsExactly("layers.1");
    assertThat(verdict.model().decidingLayer()).isEqualTo("layers.1");
    assertThat(verdict.model().value()).isGreaterThan(verdict.model().threshold());
    assertThat(verdict.layers())
        .extracting(LayerDrift::breached)
        .containsExactly(false, true, false);
  }

  @Test
  void shouldDemandMoreOfOneLayerAmongMany() {
    double surprising = SPREAD.quantile(0.004 / 2);
    List<LayerEvidence> many = new ArrayList<>();
    many.add(layer(0, surprising));
    assertThat(ModelVerdict.of(many, settings).model().breached()).isTrue();

    for (int quiet = 1; quiet < 20; quiet++) {
      many.add(layer(quiet, 10));
    }
    assertThat(ModelVerdict.of(many, settings).model().breached()).isFalse();
  }

  @Test
  void shouldDemandLessOfEachWhenManyLayersAgree() {
    List<LayerEvidence> many = new ArrayList<>();
    for (int layer = 0; layer < 20; layer++) {
      many.add(layer(layer, SPREAD.quantile(0.004 / 2)));
    }

    assertThat(ModelVerdict.of(many, settings).model().breachedLayers()).hasSize(20);
  }

  @Test
  void shouldCorrectTheDistanceForWhatSamplesShowAnyway() {
    LayerDrift drift = ModelVerdict.of(List.of(layer(0, 10)), settings).layers().get(0);

    assertThat(drift.profile().value()).isZero();
    assertThat(drift.profile().uncorrected()).isCloseTo(Math.sqrt(10 * UNIT), within(1e-9));
  }

  @Test
  void shouldReachTheThresholdExactlyWhenThePValueDoes() {
    double limit = 0.01 / 2;
    LayerDrift below =
        ModelVerdict.of(List.of(layer(0, SPREAD.quantile(limit * 1.01))), settings).layers().get(0);
    LayerDrift above =
        ModelVerdict.of(List.of(layer(0, SPREAD.quantile(limit * 0.99))), settings).layers().get(0);

    assertThat(below.profile().exceeded()).isFalse();
    assertThat(below.breached()).isFalse();
    assertThat(above.profile().exceeded()).isTrue();
    assertThat(above.breached()).isTrue();
  }

  @Test
  void shouldIgnoreWhatIsCertainButTooSmallToMatter() {
    DriftSettings coarse = new DriftSettings(0.01, 0.2, 30, 8, 32, 4, 5);

    assertThat(ModelVerdict.of(List.of(layer(0, 100)), coarse).model().breached()).isFalse();
  }

  @Test
  void shouldNotJudgeLayersWithoutEvidence() {
    LayerEvidence unknown = layer(0, 1000, Status.CALIBRATING, null);

    ModelVerdict verdict = ModelVerdict.of(List.of(unknown), settings);

    assertThat(verdict.model().breached()).isFalse();
    assertThat(verdict.model().judgedLayers()).isZero();
    assertThat(verdict.layers().get(0).profile().threshold()).isEqualTo(1);
  }

  @Test
  void shouldReadBackEveryRecord() {
    ModelVerdict verdict =
        ModelVerdict.of(
            List.of(layer(0, 10), layer(1, 100), layer(2, 5, Status.TOO_FEW_REQUESTS, null)),
            settings);

    assertThat(DriftFormat.read(DriftFormat.write(verdict.model()))).isEqualTo(verdict.model());
    for (LayerDrift layer : verdict.layers()) {
      assertThat(DriftFormat.read(DriftFormat.write(layer))).isEqualTo(layer);
    }
    LayerEvidence evidence = layer(1, 100);
    assertThat(LayerEvidenceFormat.read(LayerEvidenceFormat.write(evidence))).isEqualTo(evidence);
  }

  private static LayerEvidence layer(int layer, double q) {
    return layer(layer, q, Status.JUDGED, SPREAD);
  }

  private static LayerEvidence layer(int layer, double q, Status status, @Nullable Spread spread) {
    return new LayerEvidence(
        new LayerKey("mixtral", "layers." + layer),
        "snapshot",
        START,
        START.plusSeconds(10),
        status,
        spread,
        new SpanEvidence(q * UNIT, UNIT),
        null,
        1000,
        40,
        400,
        32,
        List.of(new Mover(300, 0.1, 0.2), new Mover(1, 0.2, 0.15)));
  }
}

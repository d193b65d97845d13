package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.tap.CombinerSettings.Form;
import dev.smelt.streams.usage.PackedIds;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CombinerTest {

  private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

  private final TappedModel model = TestModels.model(2, 4, 2);
  private final List<UsageRecord> sent = new ArrayList<>();
  private Instant now = START;
  private final Clock clock = ((InstantSource) () -> now).withZone(ZoneOffset.UTC);

  @Test
  void shouldSendOneRecordForEachLayerWhenTheIntervalIsOver() throws PayloadException {
    Combiner combiner = quiet(Form.COMBINED, 4096);

    combiner.add(List.of(sequence()), "snap");
    combiner.tick();
    assertThat(sent).isEmpty();
    now = START.plusMillis(100);
    combiner.add(List.of(sequence()), "snap");
    now = START.plusMillis(250);
    combiner.tick();

    assertThat(sent).hasSize(2);
    UsageRecord first = sent.get(0);
    assertThat(first.key()).hasToString("tiny/model.layers.0.block_sparse_moe");
    assertThat(first.snapshot()).isEqualTo("snap");
    assertThat(first.start()).isEqualTo(START);
    assertThat(first.end()).isEqualTo(START.plusMillis(100));
    assertThat(first.decisions().usage().counts()).containsExactly(4, 4, 0, 0);
    assertThat(first.decisions().requests()).isEqualTo(2);
  }

  @Test
  void shouldSendEarlierWhenEnoughTokensCame() throws PayloadException {
    Combiner combiner = quiet(Form.COMBINED, 3);

    combiner.add(List.of(sequence()), "snap");
    assertThat(sent).isEmpty();
    combiner.add(List.of(sequence()), "snap");

    assertThat(sent).hasSize(2);
  }

  @Test
  void shouldNeverMixSnapshots() throws PayloadException {
    Combiner combiner = quiet(Form.COMBINED, 4096);

    combiner.add(List.of(sequence()), "old");
    combiner.add(List.of(sequence()), "new");
    combiner.flush();

    assertThat(sent).extracting(UsageRecord::snapshot).containsExactly("old", "old", "new", "new");
  }

  @Test
  void shouldCountSequenceNumbersForEachLayer() throws PayloadException {
    Combiner combiner = quiet(Form.COMBINED, 1);

    combiner.add(List.of(sequence()), "snap");
    combiner.add(List.of(sequence()), "snap");

    assertThat(sent).extracting(UsageRecord::sequence).containsExactly(0L, 0L, 1L, 1L);
    assertThat(sent).extracting(UsageRecord::engine).containsOnly("engine@" + START.toEpochMilli());
  }

  @Test
  void shouldSendHeartbeatsOfSilentLayers() {
    Combiner combiner =
        combiner(
            new CombinerSettings(
                Duration.ofMillis(250), 4096, Duration.ofSeconds(1), Form.COMBINED));

    combiner.tick();
    assertThat(sent).isEmpty();
    now = START.plusSeconds(1);
    combiner.tick();
    combiner.tick();

    assertThat(sent).extracting(UsageRecord::sequence).containsExactly(0L, 0L);
    assertThat(sent.get(0).decisions().usage().tokens()).isZero();
  }

  @Test
  void shouldPackEveryChoice() throws PayloadException {
    Combiner combiner = quiet(Form.PACKED, 4096);

    combiner.add(List.of(sequence()), "snap");
    combiner.add(List.of(sequence()), "snap");
    combiner.flush();

    assertThat(sent).hasSize(2);
    PackedIds packed = (PackedIds) sent.get(1).decisions();
    assertThat(packed.ids()).containsExactly(2, 3, 3, 2, 2, 3, 3, 2);
    assertThat(packed.requests()).isEqualTo(2);
  }

  @Test
  void shouldAddWhatAHookHasAddedUp() {
    Combiner combiner = quiet(Form.COMBINED, 4096);
    Usage usage =
        Usage.accumulator(4, 2)
            .add(new int[] {0, 3}, new float[] {0.75f, 0.25f}, 1)
            .addLogits(new float[] {1, 2, 3, 4}, 1)
            .addRequests(1)
            .build();

    combiner.add(Map.of(TestModels.name(1), usage), "snap");
    combiner.flush();

    assertThat(sent).hasSize(1);
    assertThat(sent.get(0).decisions().usage()).isEqualTo(usage);
  }

  @Test
  void shouldRefuseUsageOfAnUnknownBlock() {
    Combiner combiner = quiet(Form.COMBINED, 4096);

    assertThatThrownBy(() -> combiner.add(Map.of("other", Usage.empty(4, 2)), "snap"))
        .hasMessage("other: the model has no such block");
  }

  @Test
  void shouldPinDefaults() {
    assertThat(CombinerSettings.defaults())
        .isEqualTo(
            new CombinerSettings(
                Duration.ofMillis(250), 4096, Duration.ofSeconds(1), Form.COMBINED));
  }

  private Combiner quiet(Form form, int tokens) {
    return combiner(
        new CombinerSettings(Duration.ofMillis(250), tokens, Duration.ofDays(9999999), form));
  }

  private Combiner combiner(CombinerSettings settings) {
    return new Combiner(model, settings, "engine", clock, sent::add);
  }

  private TappedModel.SequenceDecisions sequence() throws PayloadException {
    return model.decisions(new RoutedExperts(2, 2, 2, new int[] {0, 1, 2, 3, 1, 0, 3, 2}));
  }
}

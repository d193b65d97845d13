package dev.smelt.streams.topology;

import static dev.smelt.streams.topology.TopologyFixture.ENGINE;
import static dev.smelt.streams.topology.TopologyFixture.EPOCH;
import static dev.smelt.streams.topology.TopologyFixture.EXPERTS;
import static dev.smelt.streams.topology.TopologyFixture.LAYER;
import static dev.smelt.streams.topology.TopologyFixture.TOP_K;
import static dev.smelt.streams.topology.TopologyFixture.at;
import static dev.smelt.streams.topology.TopologyFixture.header;
import static dev.smelt.streams.topology.TopologyFixture.usage;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.PackedIds;
import dev.smelt.streams.usage.RandomDecisions;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.apache.kafka.streams.test.TestRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RoutingTopologyTest {

  private final TopologyFixture topology = new TopologyFixture(TopologyFixture.config());

  @AfterEach
  void close() {
    topology.close();
  }

  @Test
  void shouldEmitAWindowOnceWhenItsGraceHasPassed() {
    topology.send(topology.record(1, 0, 1));
    topology.send(topology.record(9.999, 0, 2));
    topology.send(topology.record(14.999, 2, 3));
    assertThat(topology.closed()).isEmpty();

    topology.heartbeat(15);
    topology.heartbeat(16);

    List<UsageWindow> closed = topology.closed();
    assertThat(closed).hasSize(1);
    assertThat(closed.get(0).start()).isEqualTo(EPOCH);
    assertThat(closed.get(0).end()).isEqualTo(at(10));
    assertThat(closed.get(0).usage()).isEqualTo(usage(0, 1).plus(usage(0, 2)));
    assertThat(closed.get(0).records()).isEqualTo(2);
  }

  @Test
  void shouldCountRecordsThatAreOutOfOrderWithinTheGrace() {
    topology.send(topology.record(9, 0, 1));
    topology.send(topology.record(14, 0, 1));
    topology.send(topology.record(8, 2, 3));
    topology.heartbeat(15);

    assertThat(topology.closed())
        .singleElement()
        .extracting(UsageWindow::usage)
        .isEqualTo(usage(0, 1).plus(usage(2, 3)));
    assertThat(topology.deadLetters()).isEmpty();
  }

  @Test
  void shouldCountLateRecordsAndSendThemToTheDeadLetters() {
    topology.send(topology.record(1, 0, 1));
    topology.heartbeat(15);
    UsageRecord late = topology.record(2, 2, 3, 0, 1);
    topology.send(late);
    topology.send(topology.record(16, 0, 1));
    topology.heartbeat(25);

    List<UsageWindow> closed = topology.closed();
    assertThat(closed).hasSize(2);
    assertThat(closed.get(1).lateRecords()).isEqualTo(1);
    assertThat(closed.get(1).lateDecisions()).isEqualTo(4);
    TestRecord<String, byte[]> letter = topology.deadLetters().get(0);
    assertThat(header(letter, DeadLetters.REASON)).isEqualTo("late");
    assertThat(header(letter, DeadLetters.ORIGIN)).isEqualTo("0@2");
    assertThat(header(letter, DeadLetters.DETAIL)).startsWith("ends at 2026-03-01T12:00:02Z");
    assertThat(UsageRecordFormat.read(letter.value())).isEqualTo(late);
    topology.passTime(Duration.ofSeconds(1));
    assertThat(topology.metric("records-late-total")).isEqualTo(1);
    assertThat(topology.metric("records-counted-total")).isEqualTo(4);
  }

  @Test
  void shouldDropRepeatedRecordsAndCountThem() {
    UsageRecord first = topology.record(1, 0, 1);
    UsageRecord second = topology.record(2, 0, 1);
    topology.send(first);
    topology.send(second);
    topology.send(first);
    topology.send(second);
    topology.heartbeat(15);

    assertThat(topology.closed())
        .singleElement()
        .satisfies(
            window -> {
              assertThat(window.usage().tokens()).isEqualTo(2);
              assertThat(window.duplicates()).isEqualTo(2);
            });
    topology.passTime(Duration.ofSeconds(1));
    assertThat(topology.metric("records-duplicate-total")).isEqualTo(2);
  }

  @Test
  void shouldNotTakeAnOvertakenRecordForARepeatedOne() {
    UsageRecord first = topology.record(1, 0, 1);
    UsageRecord second = topology.record(2, 2, 3);
    topology.send(second);
    topology.send(first);
    topology.heartbeat(15);

    assertThat(topology.closed().get(0).usage().tokens()).isEqualTo(2);
  }

  @Test
  void shouldKeepTheSequencesOfEnginesApart() {
    for (String engine : List.of("engine-a", "engine-b")) {
      topology.send(new UsageRecord(LAYER, engine, "", 0, at(1), at(1), new Combined(usage(0, 1))));
    }
    topology.heartbeat(15);

    assertThat(topology.closed().get(0).usage().tokens()).isEqualTo(2);
  }

  @Test
  void shouldRefuseARecordFarBehindItsEngine() {
    topology.send(
        new UsageRecord(LAYER, ENGINE, "", 5000, at(1), at(1), new Combined(usage(0, 1))));
    topology.send(new UsageRecord(LAYER, ENGINE, "", 5, at(1), at(1), new Combined(usage(0, 1))));

    assertThat(topology.deadReasons()).containsExactly("sequence-too-old");
  }

  @Test
  void shouldCountRawIdsAndSkipPadding() {
    PackedIds ids = PackedIds.pack(EXPERTS, TOP_K, new int[] {0, 1, -1, -1, 3, -1}, 3, 1);
    topology.send(topology.record(at(1), ids));
    topology.heartbeat(15);

    Usage usage = topology.closed().get(0).usage();
    assertThat(usage.counts()).containsExactly(1, 1, 0, 1);
    assertThat(usage.tokens()).isEqualTo(2);
  }

  @Test
  void shouldCountTheLargestLayersInBothForms() {
    int[] ids = RandomDecisions.ids(new Random(1), Usage.MAX_EXPERTS, Usage.MAX_TOP_K, 2000);
    Usage usage =
        Usage.accumulator(Usage.MAX_EXPERTS, Usage.MAX_TOP_K).add(ids, 2000).addRequests(5).build();
    topology.send(topology.record(at(1), new Combined(usage)));
    topology.send(
        topology.record(at(1), PackedIds.pack(Usage.MAX_EXPERTS, Usage.MAX_TOP_K, ids, 2000, 5)));
    topology.heartbeat(15);

    assertThat(topology.closed())
        .singleElement()
        .extracting(UsageWindow::usage)
        .isEqualTo(usage.plus(usage));
    assertThat(topology.profile(LAYER).experts()).isEqualTo(Usage.MAX_EXPERTS);
  }

  @Test
  void shouldRefuseCountsThatContradictEachOther() {
    int[] ids = RandomDecisions.ids(new Random(1), 64, 4, 500);
    Usage usage = Usage.accumulator(64, 4).add(ids, 500).build();
    byte[] bytes = UsageRecordFormat.write(topology.record(at(1), new Combined(usage)));
    bytes[bytes.length - 1] += 100; // the last pair has been seen 100 times more
    topology.send(LAYER.toString(), bytes, at(1));
    topology.heartbeat(15);

    assertThat(topology.deadReasons()).containsExactly("inconsistent");
    assertThat(topology.closed()).isEmpty();
  }

  @Test
  void shouldRefuseAnExpertOutOfRange() {
    topology.send(topology.record(at(1), PackedIds.pack(5, TOP_K, new int[] {0, 1}, 1, 1)));
    byte[] bytes =
        UsageRecordFormat.write(
            topology.record(at(1), PackedIds.pack(5, TOP_K, new int[] {0, 1}, 1, 1)));
    bytes[bytes.length - 1] = 9;
    topology.send(LAYER.toString(), bytes, at(1));

    assertThat(topology.deadReasons()).containsExactly("expert-out-of-range");
  }

  @Test
  void shouldRefuseAnExpertThatIsChosenTwice() {
    topology.send(topology.record(at(1), PackedIds.pack(EXPERTS, TOP_K, new int[] {2, 2}, 1, 1)));
    topology.heartbeat(15);

    assertThat(topology.deadReasons()).containsExactly("duplicate-expert");
    assertThat(topology.closed()).isEmpty();
  }

  @Test
  void shouldFlagALayerOfZeros() {
    topology.send(
        topology.record(at(1), PackedIds.pack(EXPERTS, TOP_K, new int[] {0, 0, 0, 0}, 2, 1)));
    topology.send(topology.record(at(1), PackedIds.pack(EXPERTS, TOP_K, new int[] {0, -1}, 1, 1)));
    topology.heartbeat(15);

    assertThat(topology.deadReasons()).containsExactly("all-zero");
    assertThat(topology.closed()).singleElement().matches(UsageWindow::onlyExpertZero);
  }

  @Test
  void shouldRefuseDamagedBytes() {
    topology.send(LAYER.toString(), new byte[] {1, 2, 3}, at(1));
    topology.send(LAYER.toString(), null, at(1));

    assertThat(topology.deadReasons()).containsExactly("damaged", "damaged");
  }

  @Test
  void shouldRefuseAnUnknownMajorVersion() {
    byte[] bytes = UsageRecordFormat.write(topology.record(1, 0, 1));
    bytes[1] = 9;
    topology.send(LAYER.toString(), bytes, at(1));

    assertThat(topology.deadReasons()).containsExactly("unknown-version");
  }

  @Test
  void shouldRefuseARecordUnderTheKeyOfAnotherLayer() {
    topology.send("mixtral/other", UsageRecordFormat.write(topology.record(1, 0, 1)), at(1));

    assertThat(topology.deadReasons()).containsExactly("wrong-key");
  }

  @Test
  void shouldRefuseARecordFromTheFuture() {
    topology.send(topology.record(Duration.ofDays(2).toSeconds(), 0, 1));
    topology.send(topology.record(1, 0, 1));
    topology.heartbeat(15);

    assertThat(topology.deadReasons()).containsExactly("in-the-future");
    assertThat(topology.closed()).hasSize(1);
  }

  @Test
  void shouldRefuseAnotherShapeWithinAWindow() {
    topology.send(topology.record(1, 0, 1));
    topology.send(
        topology.record(
            at(2), new Combined(Usage.accumulator(8, 2).add(new int[] {6, 7}, 1).build())));
    topology.heartbeat(15);

    assertThat(topology.deadReasons()).containsExactly("shape-changed");
    assertThat(topology.closed().get(0).usage()).isEqualTo(usage(0, 1));
  }

  @Test
  void shouldCloseWindowsByTheClockWhenNothingComesAnyMore() {
    topology.send(topology.record(1, 0, 1));
    topology.passTime(Duration.ofSeconds(29));
    assertThat(topology.closed()).isEmpty();

    topology.passTime(Duration.ofSeconds(2));

    assertThat(topology.closed()).hasSize(1);
  }

  @Test
  void shouldNotCloseByTheClockWhileRecordsCome() {
    topology.send(topology.record(1, 0, 1));
    for (int i = 0; i < 10; i++) {
      topology.passTime(Duration.ofSeconds(20));
      topology.send(topology.record(2, 0, 1));
    }

    assertThat(topology.closed()).isEmpty();
  }

  @Test
  void shouldCloseTheWindowsOfOtherLayersAsTimePasses() {
    LayerKey other = new LayerKey("mixtral", "model.layers.1.block_sparse_moe");
    topology.send(new UsageRecord(other, ENGINE, "", 0, at(1), at(1), new Combined(usage(0, 1))));
    topology.heartbeat(15);

    assertThat(topology.closed()).singleElement().extracting(UsageWindow::key).isEqualTo(other);
  }

  @Test
  void shouldLetThePastFadeInTheProfile() {
    topology.send(topology.record(1, 0, 1));
    topology.heartbeat(15);
    double halfLife = TopologyFixture.config().halfLife().toSeconds();
    topology.send(topology.record(1 + halfLife, 2, 3));
    topology.heartbeat(15 + halfLife);

    Profile profile = topology.profile(LAYER);
    assertThat(profile.asOf()).isEqualTo(at(10 + halfLife));
    assertThat(profile.counts()).containsExactly(0.5, 0.5, 1, 1);
    assertThat(profile.coActivation(0, 1)).isEqualTo(0.5);
    assertThat(profile.coActivation(2, 3)).isEqualTo(1);
    assertThat(profile.requests()).isEqualTo(1.5);
    assertThat(profile.effectiveRequests()).isCloseTo(1.5 * 1.5 / 1.25, within(1e-9));
    assertThat(profile.frequency()[2]).isCloseTo(1 / 3.0, within(1e-9));
  }

  @Test
  void shouldBeginANewProfileWhenTheLayerChangesItsShape() {
    topology.send(topology.record(1, 0, 1));
    topology.send(
        topology.record(
            at(11), new Combined(Usage.accumulator(8, 2).add(new int[] {6, 7}, 1).build())));
    topology.heartbeat(25);

    assertThat(topology.profile(LAYER).experts()).isEqualTo(8);
  }

  @Test
  void shouldNameEveryOperator() {
    assertThat(RoutingTopology.build(RoutingConfig.DEFAULT).describe().toString())
        .doesNotContain("KSTREAM-")
        .doesNotContain("KTABLE-");
  }
}

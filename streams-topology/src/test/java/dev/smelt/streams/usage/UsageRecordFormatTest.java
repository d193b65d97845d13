package dev.smelt.streams.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import java.io.ByteArrayOutputStream;
import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import org.apache.kafka.common.errors.SerializationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UsageRecordFormatTest {

  private static final Instant START = Instant.parse("2026-03-01T12:00:00Z");
  private static final LayerKey KEY = new LayerKey("org/model", "model.layers.0.block_sparse_moe");

  private final Random random = new Random(11);

  @ParameterizedTest
  @CsvSource({"1,1", "8,2", "16,1", "128,8", "255,8", "256,8", "257,4", "512,16"})
  void shouldReadBackEveryShape(int experts, int topK) {
    int[] ids = RandomDecisions.ids(random, experts, topK, 300);
    Usage usage = Usage.accumulator(experts, topK).add(ids, 300).addRequests(7).build();
    UsageRecord combined = record(new Combined(usage));
    UsageRecord raw = record(PackedIds.pack(experts, topK, ids, 300, 7));

    assertThat(roundTrip(combined)).isEqualTo(combined);
    assertThat(roundTrip(raw)).isEqualTo(raw);
    assertThat(roundTrip(raw).decisions().usage()).isEqualTo(usage);
  }

  @Test
  void shouldReadBackWhatOnlySomeEnginesKnow() {
    float[] logits = new float[5 * 8];
    float[] gates = new float[5 * 2];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextGaussian();
    }
    Arrays.fill(gates, 0.5f);
    int[] ids = RandomDecisions.ids(random, 8, 2, 5);
    Usage usage =
        Usage.accumulator(8, 2)
            .add(ids, gates, 5)
            .addLogits(logits, 5)
            .addOutputNorms(ids, gates, 5)
            .build();

    UsageRecord record = record(new Combined(usage));

    assertThat(roundTrip(record)).isEqualTo(record);
  }

  @Test
  void shouldReadBackAHeartbeat() {
    UsageRecord heartbeat = UsageRecord.heartbeat(KEY, "engine-1", "", 4, START, 128, 8);

    assertThat(roundTrip(heartbeat)).isEqualTo(heartbeat);
    assertThat(UsageRecordFormat.write(heartbeat)).hasSizeLessThan(100);
  }

  @ParameterizedTest
  @CsvSource({"8,2,1", "256,8,1", "512,8,2"})
  void shouldTakeAtMostTwoBytesForARawDecision(int experts, int topK, int bytesPerDecision) {
    int[] ids = RandomDecisions.ids(random, experts, topK, 4096);

    int size = UsageRecordFormat.write(record(PackedIds.pack(experts, topK, ids, 4096, 1))).length;

    assertThat(size).isLessThan(4096 * topK * bytesPerDecision + 128);
  }

  @ParameterizedTest
  @CsvSource({"8,2,256", "128,8,17000", "256,8,66000"})
  void shouldStaySmallWhenCombined(int experts, int topK, int limit) {
    int[] ids = RandomDecisions.ids(random, experts, topK, 4096);
    Usage usage = Usage.accumulator(experts, topK).add(ids, 4096).build();

    assertThat(UsageRecordFormat.write(record(new Combined(usage)))).hasSizeLessThan(limit);
  }

  @Test
  void shouldStaySmallWhenFewPairsOccur() {
    Usage usage = Usage.accumulator(256, 2).add(new int[] {3, 200}, 1).build();

    assertThat(UsageRecordFormat.write(record(new Combined(usage)))).hasSizeLessThan(128);
  }

  @Test
  void shouldSkipFieldsOfALaterMinorVersion() {
    UsageRecord record = record(new Combined(Usage.empty(8, 2)));
    ByteArrayOutputStream extended = new ByteArrayOutputStream();
    extended.writeBytes(UsageRecordFormat.write(record));
    extended.writeBytes(new byte[] {(byte) 0xc8, 0x01, 3, 1, 2, 3}); // tag 200, three bytes

    assertThat(UsageRecordFormat.read(extended.toByteArray())).isEqualTo(record);
  }

  @Test
  void shouldTakeTheLaterOfAFieldThatComesTwice() {
    byte[] record = UsageRecordFormat.write(record(new Combined(Usage.empty(8, 2))));
    byte[] origin = UsageRecordFormat.writeOrigin("engine-2", 7, START.toEpochMilli() + 5);
    byte[] whole = Arrays.copyOf(record, record.length + origin.length);
    System.arraycopy(origin, 0, whole, record.length, origin.length);

    UsageRecord read = UsageRecordFormat.read(whole);

    assertThat(read.engine()).isEqualTo("engine-2");
    assertThat(read.sequence()).isEqualTo(7);
    assertThat(read.start()).isEqualTo(START.plusMillis(5));
    assertThat(read.key()).isEqualTo(KEY);
  }

  @Test
  void shouldRefuseAnUnknownMajorVersion() {
    byte[] bytes = UsageRecordFormat.write(record(new Combined(Usage.empty(8, 2))));
    bytes[1] = 2;

    assertThatThrownBy(() -> UsageRecordFormat.read(bytes))
        .isInstanceOfSatisfying(
            WireFormatException.class,
            failure -> assertThat(failure.reason()).isEqualTo(Reason.UNKNOWN_VERSION))
        .hasMessageContaining("major version 2");
  }

  @Test
  void shouldRefuseAnotherKindOfRecord() {
    assertThatThrownBy(() -> UsageRecordFormat.read("{\"json\": true}".getBytes()))
        .isInstanceOfSatisfying(
            WireFormatException.class,
            failure -> assertThat(failure.reason()).isEqualTo(Reason.WRONG_KIND));
  }

  @Test
  void shouldRefuseEveryTruncationWithOneExceptionType() {
    int[] ids = RandomDecisions.ids(random, 16, 4, 40);
    byte[] whole =
        UsageRecordFormat.write(
            record(new Combined(Usage.accumulator(16, 4).add(ids, 40).build())));

    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      try {
        UsageRecordFormat.read(cut);
      } catch (WireFormatException expected) {
        continue;
      }
      // A cut between two fields leaves a record that misses the later ones: readable by design.
    }
  }

  @Test
  void shouldNeverFailOtherwiseOnDamagedBytes() {
    int[] ids = RandomDecisions.ids(random, 16, 4, 40);
    byte[] whole =
        UsageRecordFormat.write(
            record(new Combined(Usage.accumulator(16, 4).add(ids, 40).build())));

    for (int round = 0; round < 20_000; round++) {
      byte[] damaged = whole.clone();
      for (int flips = random.nextInt(4); flips >= 0; flips--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
      }
      try {
        UsageRecordFormat.read(damaged);
      } catch (WireFormatException expected) {
        assertThat(expected.reason()).isNotNull();
      }
    }
  }

  @Test
  void shouldReportDamageAsASerializationErrorToKafka() {
    try (var serde = UsageRecordFormat.serde();
        var deserializer = serde.deserializer()) {
      assertThatThrownBy(() -> deserializer.deserialize("smelt.routing", new byte[] {1}))
          .isInstanceOf(SerializationException.class)
          .hasMessageStartingWith("smelt.routing: ");
      assertThat(deserializer.deserialize("smelt.routing", null)).isNull();
    }
  }

  @Test
  void shouldRefuseToPackWhatItCannotExpress() {
    assertThatThrownBy(() -> PackedIds.pack(256, 1, new int[] {-1}, 1, 0))
        .hasMessageContaining("can't pack expert -1");
    assertThat(PackedIds.pack(255, 1, new int[] {-1, 254}, 2, 0).ids()).containsExactly(-1, 254);
    assertThat(PackedIds.pack(512, 1, new int[] {-1, 511}, 2, 0).ids()).containsExactly(-1, 511);
  }

  private static UsageRecord record(Decisions decisions) {
    return new UsageRecord(KEY, "engine-1", "sha-1", 42, START, START.plusMillis(250), decisions);
  }

  private static UsageRecord roundTrip(UsageRecord record) {
    return UsageRecordFormat.read(UsageRecordFormat.write(record));
  }
}

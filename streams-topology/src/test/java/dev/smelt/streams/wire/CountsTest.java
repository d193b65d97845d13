package dev.smelt.streams.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Counts in both of their forms, and what adds them up. */
class CountsTest {

  private static final int TAG = 21;

  private final Random random = new Random(4);

  @ParameterizedTest
  @CsvSource({
    "1,4,0.5",
    "31,200,0.1",
    "33,200,0.0",
    "100,255,0.0",
    "101,256,0.1",
    "8128,70000,0.01",
    "8129,2000000000,0.5",
    "32640,20,0.9"
  })
  void shouldReadBackCounts(int size, int most, double zeros) {
    long[] counts = counts(size, most, zeros);

    assertThat(field(counts).counts(size)).isEqualTo(counts);
  }

  @Test
  void shouldReadBackTheLargestCount() {
    long[] counts = counts(64, 9, 0);
    counts[0] = Long.MAX_VALUE;
    counts[63] = 256;

    BytePlane plane = field(counts).plane(64);

    assertThat(plane).isNotNull();
    assertThat(plane.toArray()).isEqualTo(counts);
    assertThat(plane.total()).as("as an overflow").isNegative();
  }

  @Test
  void shouldWriteWhicheverFormIsShort() {
    assertThat(field(counts(1000, 200, 0)).plane(1000)).isNotNull();
    assertThat(field(counts(1000, 200, 0.9)).plane(1000)).isNull();
    assertThat(field(counts(1000, 60_000, 0)).plane(1000)).isNull();
    assertThat(field(new long[1000]).plane(1000)).isNull();
  }

  @ParameterizedTest
  @ValueSource(ints = {32, 35, 39, 40, 1031, 8128})
  void shouldAddUpPlanesAsTheirCounts(int size) {
    CountSums sums = new CountSums(size);
    long[] expected = new long[size];
    for (int record = 0; record < 600; record++) {
      long[] counts = record < 300 ? fullOf(size, 255) : counts(size, 300, 0);
      BytePlane plane = field(counts).plane(size);
      assertThat(plane).isNotNull();
      assertThat(plane.total()).isEqualTo(Arrays.stream(counts).sum());
      sums.add(plane);
      sums.add(counts);
      for (int i = 0; i < size; i++) {
        expected[i] += 2 * counts[i];
      }
      if (record == 400) {
        assertThat(sums.settled()).isEqualTo(expected);
      }
    }

    assertThat(sums.settled()).isEqualTo(expected);
  }

  @Test
  void shouldRefuseToAddPlanesOfAnotherSize() {
    BytePlane plane = field(counts(64, 9, 0)).plane(64);

    assertThatThrownBy(() -> new CountSums(65).add(plane)).hasMessageContaining("64 counts");
  }

  @Test
  void shouldRefuseAnotherNumberOfCounts() {
    long[] counts = counts(64, 9, 0);

    assertThatThrownBy(() -> field(counts).counts(65)).isInstanceOf(WireFormatException.class);
    assertThatThrownBy(() -> field(counts).counts(63)).isInstanceOf(WireFormatException.class);
  }

  @ParameterizedTest
  @CsvSource({"0x40,1", "0x3f,0", "0,0", "0,"})
  void shouldRefuseALargeCountThatCannotBe(int gap, @Nullable Integer high) {
    byte[] field = new byte[high == null ? 67 : 68]; // two zeros, 64 low bytes, the large count
    field[66] = (byte) gap;
    if (high != null) {
      field[67] = high.byteValue();
    }
    byte[] record = new FieldWriter(RecordKind.OPEN_WINDOW).bytes(TAG, field).toBytes();
    FieldReader in = new FieldReader(RecordKind.OPEN_WINDOW, record);
    assertThat(in.next()).isTrue();

    assertThatThrownBy(() -> in.counts(64)).isInstanceOf(WireFormatException.class);
  }

  private static FieldReader field(long[] counts) {
    byte[] record = new FieldWriter(RecordKind.OPEN_WINDOW).counts(TAG, counts).toBytes();
    FieldReader in = new FieldReader(RecordKind.OPEN_WINDOW, record);
    assertThat(in.next()).isTrue();
    return in;
  }

  private static long[] fullOf(int size, long count) {
    long[] counts = new long[size];
    Arrays.fill(counts, count);
    return counts;
  }

  private long[] counts(int size, int most, double zeros) {
    long[] counts = new long[size];
    for (int i = 0; i < size; i++) {
      counts[i] = random.nextDouble() < zeros ? 0 : 1 + random.nextInt(most);
    }
    return counts;
  }
}

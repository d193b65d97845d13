package dev.smelt.streams.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.Random;
import java.util.spi.ToolProvider;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The plain loops and those with vector instructions against a sum of one byte after another. */
class PlaneLoopsTest {

  private static final int BEGIN = 3;

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7, 8, 9, 127, 1016, 4080, 16352})
  void shouldAddUpEveryByteWithVectorsAndWithout(int words) {
    byte[] bytes = new byte[BEGIN + words * Long.BYTES + 5];
    for (PlaneLoops loops : new PlaneLoops[] {new PlaneLoops(), new VectorPlaneLoops()}) {
      Arrays.fill(bytes, (byte) 0xff);
      assertThat(loops.total(bytes, BEGIN, words)).isEqualTo(255L * words * Long.BYTES);

      new Random(words).nextBytes(bytes);
      long[] even = new long[words];
      long[] odd = new long[words];
      loops.add(bytes, BEGIN, even, odd);
      loops.add(bytes, BEGIN, even, odd);

      long total = 0;
      for (int i = 0; i < words * Long.BYTES; i++) {
        int count = bytes[BEGIN + i] & 0xff;
        total += count;
        long[] half = i % 2 == 0 ? even : odd;
        long sum = (half[i / Long.BYTES] >>> (i % Long.BYTES / 2 * Short.SIZE)) & 0xffff;
        assertThat(sum).as("sum %d", i).isEqualTo(2L * count);
      }
      assertThat(loops.total(bytes, BEGIN, words)).isEqualTo(total);
    }
  }

  /** Larger than {@code FreqInlineSize}, the largest that a compiler makes part of a caller. */
  @ParameterizedTest
  @ValueSource(strings = {"long total", "void add"})
  void shouldKeepVectorLoopsTooLargeToBecomePartOfTheirCallers(String method) {
    StringWriter code = new StringWriter();
    ToolProvider.findFirst("javap")
        .orElseThrow()
        .run(
            new PrintWriter(code),
            new PrintWriter(System.err, true),
            "-c",
            "-p",
            String.valueOf(VectorPlaneLoops.class.getResource("VectorPlaneLoops.class")));

    String body = code.toString().split(" " + method + "\\(")[1].split("\n\n")[0];
    String last = body.strip().lines().reduce((first, second) -> second).orElseThrow().strip();
    assertThat(Integer.parseInt(last.substring(0, last.indexOf(':')))).isGreaterThan(325);
  }
}

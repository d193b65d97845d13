package dev.smelt.streams.topology;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.streams.topology.SequenceWindow.Verdict;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SequenceWindowTest {

  private final SequenceWindow sequences = new SequenceWindow();

  @Test
  void shouldTellARepeatedNumberFromAnOvertakenOne() {
    sequences.mark(0, 1);
    sequences.mark(3, 1);

    assertThat(sequences.check(3)).isEqualTo(Verdict.DUPLICATE);
    assertThat(sequences.check(1)).isEqualTo(Verdict.FRESH);
    sequences.mark(1, 1);
    assertThat(sequences.check(1)).isEqualTo(Verdict.DUPLICATE);
    assertThat(sequences.check(2)).isEqualTo(Verdict.FRESH);
  }

  @Test
  void shouldSayWhenANumberIsTooOldToTell() {
    sequences.mark(2 * SequenceWindow.SIZE, 1);

    assertThat(sequences.check(SequenceWindow.SIZE)).isEqualTo(Verdict.TOO_OLD);
    assertThat(sequences.check(SequenceWindow.SIZE + 1)).isEqualTo(Verdict.FRESH);
  }

  @Test
  void shouldAgreeWithASetOfAllNumbersAndSurviveStorage() {
    Random random = new Random(2);
    Set<Long> seen = new HashSet<>();
    SequenceWindow window = sequences;
    long highest = 0;
    for (int round = 0; round < 20_000; round++) {
      long sequence = Math.max(0, highest + random.nextInt(40) - 30);
      if (random.nextInt(500) == 0) {
        sequence = highest + random.nextInt(3000);
      }
      if (sequence > highest - SequenceWindow.SIZE) {
        assertThat(window.check(sequence))
            .isEqualTo(seen.contains(sequence) ? Verdict.DUPLICATE : Verdict.FRESH);
        if (seen.add(sequence)) {
          window.mark(sequence, round);
          highest = Math.max(highest, sequence);
        }
      }
      if (round % 100 == 0) {
        window = new SequenceWindow(window.highest(), window.lastSeenAt(), window.bits());
      }
    }
  }

  @Test
  void shouldStoreNothingButTheHighestWhenNoneIsMissing() {
    for (long sequence = 0; sequence < 5000; sequence++) {
      sequences.mark(sequence, sequence);
    }

    assertThat(sequences.bits()).isEmpty();
    assertThat(sequences.highest()).isEqualTo(4999);
  }
}

package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.merge.AlignmentCache.Pair;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AlignmentFileTest {

  private static final Pair FIRST = new Pair("block", 0, 1);
  private static final Pair SECOND = new Pair("block", 0, 2);

  @TempDir Path folder;

  @Test
  void shouldRememberOverARestart() throws Exception {
    keep("sha256:a", FIRST, 2, 0, 1);
    keep("sha256:a", SECOND, 1, 0, 2);

    try (AlignmentFile file = open("sha256:a")) {
      assertThat(file.find(FIRST)).hasValue(new int[] {2, 0, 1});
      assertThat(file.find(SECOND)).hasValue(new int[] {1, 0, 2});
    }
  }

  @Test
  void shouldBeginAnewForAnotherCheckpoint() throws Exception {
    keep("sha256:a", FIRST, 2, 0, 1);

    try (AlignmentFile file = open("sha256:b")) {
      assertThat(file.find(FIRST)).isEmpty();
    }
  }

  @Test
  void shouldCutOffARecordTornByACrash() throws Exception {
    keep("sha256:a", FIRST, 2, 0, 1);
    keep("sha256:a", SECOND, 1, 0, 2);
    try (FileChannel channel =
        FileChannel.open(folder.resolve("alignments.bin"), StandardOpenOption.WRITE)) {
      channel.truncate(channel.size() - 3);
    }

    keep("sha256:a", SECOND, 0, 2, 1);

    try (AlignmentFile file = open("sha256:a")) {
      assertThat(file.find(FIRST)).hasValue(new int[] {2, 0, 1});
      assertThat(file.find(SECOND)).hasValue(new int[] {0, 2, 1});
    }
  }

  private void keep(String checkpoint, Pair pair, int... permutation) throws Exception {
    try (AlignmentFile file = open(checkpoint)) {
      file.keep(pair, permutation);
    }
  }

  private AlignmentFile open(String checkpoint) throws Exception {
    return AlignmentFile.open(folder.resolve("alignments.bin"), checkpoint);
  }
}

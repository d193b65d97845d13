package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AlignmentFolderTest {

  private static final AlignmentCache.Pair PAIR = new AlignmentCache.Pair("layers.0.mlp", 2, 5);

  @TempDir private Path folder;

  @Test
  void shouldRememberAcrossProcesses() {
    new AlignmentFolder(folder.resolve("a")).keep(PAIR, new int[] {2, 0, 1});

    assertThat(new AlignmentFolder(folder.resolve("a")).find(PAIR))
        .hasValueSatisfying(found -> assertThat(found).containsExactly(2, 0, 1));
    assertThat(new AlignmentFolder(folder.resolve("b")).find(PAIR)).isEmpty();
  }

  @Test
  void shouldForgetAFileThatIsNoPermutation() throws IOException {
    AlignmentFolder cache = new AlignmentFolder(folder);
    cache.keep(PAIR, new int[] {2, 0, 1});
    Files.write(folder.resolve("layers.0.mlp.2.5"), new byte[12]);

    assertThat(new AlignmentFolder(folder).find(PAIR)).isEmpty();
  }

  @Test
  void shouldGoOnWhereItCannotWrite() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "in the way");
    AlignmentFolder cache = new AlignmentFolder(file.resolve("alignments"));

    cache.keep(PAIR, new int[] {0, 1});

    assertThat(cache.find(PAIR)).isPresent();
  }
}

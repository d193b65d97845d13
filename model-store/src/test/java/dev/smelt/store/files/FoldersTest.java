package dev.smelt.store.files;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FoldersTest {

  @TempDir private Path home;

  @Test
  void shouldRemoveAFolderAndWhatIsInItButNotWhatALinkLeadsTo() throws IOException {
    Path elsewhere = Files.writeString(home.resolve("elsewhere"), "kept");
    Path folder = home.resolve("folder");
    Files.createDirectories(folder.resolve("inner/most"));
    Files.writeString(folder.resolve("inner/file"), "removed");
    Files.createSymbolicLink(folder.resolve("link"), elsewhere);

    Folders.delete(folder);

    assertThat(folder).doesNotExist();
    assertThat(elsewhere).hasContent("kept");
  }

  @Test
  void shouldNotMissAFolderThatIsNotThere() {
    assertThatCode(() -> Folders.delete(home.resolve("never"))).doesNotThrowAnyException();
  }
}

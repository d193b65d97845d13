package dev.smelt.agent;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FreeSpaceTest {

  @TempDir Path folder;

  @Test
  void shouldNameAFolderOnAFullDiskAndWhatToDo() {
    Path data = folder.resolve("not/yet/there");

    assertThatThrownBy(() -> FreeSpace.require(data, Long.MAX_VALUE))
        .hasMessageStartingWith(data + ": only ")
        .hasMessageContaining("free some, or set 'data' to a folder on another disk");
  }

  @Test
  void shouldLetAFolderWithSpacePass() {
    assertThatCode(() -> FreeSpace.require(folder, 1)).doesNotThrowAnyException();
  }
}

package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.control.Journal.Entry;
import dev.smelt.agent.control.Journal.Kind;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JournalTest {

  private static final Instant NOW = Instant.parse("2026-01-01T12:00:00Z");

  @TempDir Path folder;

  @Test
  void shouldReadBackWhatWasWritten() throws Exception {
    Path file = folder.resolve("journal.jsonl");
    try (Journal journal = Journal.open(file, entry -> {})) {
      journal.write(new Entry(NOW, Kind.STATE, "planning", Map.of("trigger", "DRIFT")));
    }

    try (Journal journal = Journal.open(file, entry -> {})) {
      assertThat(journal.newest(10))
          .containsExactly(new Entry(NOW, Kind.STATE, "planning", Map.of("trigger", "DRIFT")));
    }
  }

  @Test
  void shouldNotRepeatADecision() throws Exception {
    List<Entry> heard = new ArrayList<>();
    try (Journal journal = Journal.open(folder.resolve("journal.jsonl"), heard::add)) {
      journal.write(new Entry(NOW, Kind.DECISION, "drift under", Map.of()));
      journal.write(new Entry(NOW.plusSeconds(1), Kind.DECISION, "drift under", Map.of()));
      journal.write(new Entry(NOW.plusSeconds(2), Kind.DECISION, "drift over", Map.of()));
    }

    assertThat(heard).extracting(Entry::message).containsExactly("drift under", "drift over");
  }

  @Test
  void shouldCutOffALineTornByACrash() throws Exception {
    Path file = folder.resolve("journal.jsonl");
    try (Journal journal = Journal.open(file, entry -> {})) {
      journal.write(new Entry(NOW, Kind.STATE, "whole", Map.of()));
    }
    Files.writeString(file, "{\"at\":\"2026-01-01T1", StandardOpenOption.APPEND);

    try (Journal journal = Journal.open(file, entry -> {})) {
      journal.write(new Entry(NOW, Kind.STATE, "after", Map.of()));
    }

    try (Journal journal = Journal.open(file, entry -> {})) {
      assertThat(journal.newest(10)).extracting(Entry::message).containsExactly("after", "whole");
    }
  }
}

package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.EngineSettings.ExportFormat;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.agent.swap.Serving;
import dev.smelt.agent.swap.SwapDriver;
import dev.smelt.agent.swap.SwapResult;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threeten.extra.MutableClock;

class EngineActivatorTest {

  @TempDir Path folder;

  private final MutableClock clock =
      MutableClock.of(Instant.parse("2026-01-01T12:00:00Z"), ZoneOffset.UTC);

  /** An engine that tells what it serves. */
  private static final class TellingDriver implements SwapDriver {
    private String serves = "";

    @Override
    public SwapResult swap(Serving target, Serving previous) {
      serves = target.snapshot();
      return new SwapResult.Served(target.snapshot());
    }

    @Override
    public boolean servesOther(Serving served) {
      return !serves.equals(served.snapshot());
    }
  }

  @Test
  void shouldNoticeNowAndThenThatTheEngineWasStartedAnew() throws IOException {
    TellingDriver engine = new TellingDriver();
    try (Checkpoint checkpoint =
            Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve("tiny")));
        SnapshotStore store = SnapshotStore.open(folder.resolve("store"), clock);
        Publication publication = store.begin("tiny")) {
      EngineActivator activator =
          new EngineActivator(
              engine, store, checkpoint, ExportFormat.COMPACT, folder.resolve("served"), clock);
      activator.activate(
          publication.commit(ManifestDraft.of("test", "start", "none", checkpoint.digest())));
      clock.add(Duration.ofSeconds(5));
      assertThat(activator.disturbed()).isFalse();

      engine.serves = "something else";

      assertThat(activator.disturbed()).isFalse();
      clock.add(Duration.ofSeconds(5));
      assertThat(activator.disturbed()).isTrue();
    }
  }
}

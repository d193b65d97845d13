package dev.smelt.agent.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the store exports, run. */
class ExportFormsTest {

  private static final int[] MAP = {0, 1, 0, 2, 1, 0};
  private static final int GROUPS = 3;

  @TempDir private Path folder;

  @Test
  void shouldGiveTheSameLogitsExpandedAsCompactAndLoadUniform() throws Exception {
    // Given a snapshot whose groups hold some experts of the base
    Files.createDirectories(folder.resolve("base"));
    Path base = new TinyCheckpoint(1).write(folder.resolve("base"));
    try (SnapshotStore store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
        Checkpoint checkpoint = Checkpoint.open(base)) {
      Manifest snapshot = publish(store, checkpoint);

      // When
      Exporter.expanded(store, snapshot, checkpoint, folder.resolve("expanded"));
      Exporter.compact(store, snapshot, checkpoint, folder.resolve("compact"));
      Exporter.uniform(store, snapshot, checkpoint, folder.resolve("uniform"));
    }

    // Then
    float[] expanded = logits("expanded");
    float[] compact = logits("compact");
    for (int i = 0; i < expanded.length; i++) {
      assertThat(expanded[i]).isCloseTo(compact[i], within(1e-4f));
    }
    assertThat(logits("uniform")).hasSameSizeAs(expanded);
    assertThat(MoeModel.load(folder.resolve("uniform")).blocks().get(0).experts())
        .isEqualTo(GROUPS);
    assertThat(MoeModel.load(folder.resolve("compact")).expertBytes())
        .isLessThan(MoeModel.load(folder.resolve("expanded")).expertBytes());
  }

  private static Manifest publish(SnapshotStore store, Checkpoint base) {
    try (Publication publication = store.begin("tiny")) {
      for (MoeBlock block : base.blocks()) {
        publication.add(
            Tensor.ints(CompactNames.map(block.name()), List.of((long) MAP.length), MAP));
        for (int group = 0; group < GROUPS; group++) {
          for (Role role : block.roles()) {
            publication.add(
                Tensor.floats(
                    CompactNames.weight(block.name(), group, role),
                    base.expertDType(block, role),
                    block.shape(role),
                    base.expert(block, group + 1, role)));
          }
        }
      }
      return publication.commit(ManifestDraft.of("test", "test", "m-smoe", base.digest()));
    }
  }

  private float[] logits(String form) {
    int[] tokens = new Random(3).ints(40, 0, 256).toArray();
    return MoeModel.load(folder.resolve(form))
        .logits(List.of(tokens), ForwardObserver.NONE)
        .values();
  }
}

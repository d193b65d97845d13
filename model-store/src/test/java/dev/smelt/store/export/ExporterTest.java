package dev.smelt.store.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.checkpoint.SmallCheckpoints;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExporterTest {

  private static final int[] MAP = {0, 1, 0, 1};

  @TempDir Path folder;
  private SnapshotStore store;

  @BeforeEach
  void open() {
    store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
  }

  /** Group g holds expert g's weights. */
  private Manifest publish(Checkpoint base, int[] map) {
    try (Publication publication = store.begin("tiny")) {
      for (MoeBlock block : base.blocks()) {
        publication.add(Tensor.ints(CompactNames.map(block.name()), List.of(4L), map));
        for (int group = 0; group < 2; group++) {
          for (Role role : block.roles()) {
            publication.add(
                Tensor.floats(
                    CompactNames.weight(block.name(), group, role),
                    base.expertDType(block, role),
                    block.shape(role),
                    base.expert(block, group, role)));
          }
        }
      }
      return publication.commit(ManifestDraft.of("test", "test", "m-smoe", base.digest()));
    }
  }

  @Test
  void shouldPutTheMergedExpertIntoEveryMembersSlot() {
    try (Checkpoint base =
        Checkpoint.open(SmallCheckpoints.shardedMixtral(folder.resolve("base")))) {
      Manifest manifest = publish(base, MAP);
      Exporter.expanded(store, manifest, base, folder.resolve("out"));

      try (Checkpoint expanded = Checkpoint.open(folder.resolve("out"))) {
        assertThat(expanded.tensors()).isEqualTo(base.tensors());
        assertThat(folder.resolve("out/config.json"))
            .hasSameBinaryContentAs(folder.resolve("base/config.json"));
        for (MoeBlock block : base.blocks()) {
          for (int expert = 0; expert < 4; expert++) {
            for (Role role : block.roles()) {
              assertThat(expanded.expert(block, expert, role))
                  .containsExactly(base.expert(block, MAP[expert], role));
            }
          }
          assertThat(expanded.floats(block.routerWeight()))
              .containsExactly(base.floats(block.routerWeight()));
        }
      }
    }
  }

  @Test
  void shouldReadCompactAsTheMergedExperts() {
    try (Checkpoint base = Checkpoint.open(SmallCheckpoints.mixtral(folder.resolve("base")))) {
      Manifest manifest = publish(base, MAP);
      Exporter.compact(store, manifest, base, folder.resolve("out"));

      try (Checkpoint compact = Checkpoint.open(folder.resolve("out"))) {
        assertThat(compact.compact()).isTrue();
        assertThat(compact.blocks()).isEqualTo(base.blocks());
        assertThat(compact.floats("model.embed_tokens.weight"))
            .containsExactly(base.floats("model.embed_tokens.weight"));
        assertThat(compact.tensors())
            .doesNotContainKey("model.layers.0.block_sparse_moe.experts.0.w1.weight");
        MoeBlock block = base.blocks().get(1);
        assertThat(compact.expert(block, 3, Role.DOWN))
            .containsExactly(base.expert(block, 1, Role.DOWN));
      }
    }
  }

  @Test
  void shouldKeepWhereMergedExpertsComeFrom() {
    try (Checkpoint base = Checkpoint.open(SmallCheckpoints.mixtral(folder.resolve("base")))) {
      Manifest manifest = publish(base, MAP);
      Exporter.compact(
          store.tensors(manifest), Map.of("groups", "these"), base, folder.resolve("out"));

      try (Checkpoint compact = Checkpoint.open(folder.resolve("out"))) {
        assertThat(compact.config().path("smelt").path("groups").asText()).isEqualTo("these");
      }
    }
  }

  @Test
  void shouldReduceTheRouterInTheUniformForm() {
    try (Checkpoint base =
        Checkpoint.open(SmallCheckpoints.shardedMixtral(folder.resolve("base")))) {
      Manifest manifest = publish(base, MAP);
      Exporter.uniform(store, manifest, base, folder.resolve("out"));

      try (Checkpoint uniform = Checkpoint.open(folder.resolve("out"))) {
        MoeBlock block = uniform.blocks().get(0);
        assertThat(block.experts()).isEqualTo(2);
        assertThat(uniform.config().path("num_local_experts").asInt()).isEqualTo(2);
        assertThat(uniform.expert(block, 1, Role.UP))
            .containsExactly(base.expert(base.blocks().get(0), 1, Role.UP));
        assertThat(uniform.floats(block.routerWeight()))
            .containsExactly(
                java.util.Arrays.copyOf(base.floats(block.routerWeight()), 2 * block.hidden()));
      }
    }
  }

  @Test
  void shouldRefuseToExpandAMaskedExpertAndLeaveNothing() {
    try (Checkpoint base = Checkpoint.open(SmallCheckpoints.mixtral(folder.resolve("base")))) {
      Manifest manifest = publish(base, new int[] {0, 1, -1, 1});
      assertThatThrownBy(() -> Exporter.expanded(store, manifest, base, folder.resolve("out")))
          .isInstanceOf(ExportException.class)
          .hasMessageContaining("expert 2 is masked");
      assertThat(folder.resolve("out")).doesNotExist();
      assertThat(folder.toFile().list()).containsExactlyInAnyOrder("base", "store");
    }
  }

  @Test
  void shouldNameTheCheckpointInPlaceOfExportingTheFullModel() {
    try (Checkpoint base = Checkpoint.open(SmallCheckpoints.mixtral(folder.resolve("base")));
        Publication publication = store.begin("tiny")) {
      Manifest full = publication.commit(ManifestDraft.of("test", "test", "none", base.digest()));
      assertThatThrownBy(() -> Exporter.expanded(store, full, base, folder.resolve("out")))
          .isInstanceOf(ExportException.class)
          .hasMessageContaining("stands for the full model; use " + folder.resolve("base"));
    }
  }

  @Test
  void shouldRefuseAnotherCheckpointThanTheSnapshotWasMadeFrom() throws Exception {
    SmallCheckpoints.mixtral(folder.resolve("base"));
    Path other = SmallCheckpoints.mixtral(folder.resolve("other"));
    Files.writeString(
        other.resolve("config.json"),
        Files.readString(other.resolve("config.json")).replace("{", "{\"x\": 1,"));
    try (Checkpoint base = Checkpoint.open(folder.resolve("base"));
        Checkpoint wrong = Checkpoint.open(other)) {
      Manifest manifest = publish(base, MAP);
      assertThatThrownBy(() -> Exporter.expanded(store, manifest, wrong, folder.resolve("out")))
          .isInstanceOf(ExportException.class)
          .hasMessageContaining("is not the checkpoint that snapshot " + manifest.id());
    }
  }

  @Test
  void shouldMultiplyFactorsOut() {
    try (Checkpoint base = Checkpoint.open(SmallCheckpoints.mixtral(folder.resolve("base")))) {
      MoeBlock block = base.blocks().get(0);
      try (Publication publication = store.begin("tiny")) {
        String name = block.name();
        publication.add(Tensor.ints(CompactNames.map(name), List.of(4L), new int[4]));
        float[] left = {1, 2, 3, 4, 5, 6};
        float[] right = {1, 0, -1, 2, 1};
        publication.add(
            Tensor.floats(CompactNames.left(name, 0, Role.DOWN), DType.F32, List.of(6L, 1L), left));
        publication.add(
            Tensor.floats(
                CompactNames.right(name, 0, Role.DOWN), DType.F32, List.of(1L, 5L), right));
        publication.add(
            Tensor.ints(CompactNames.rows(name, 0, Role.DOWN), List.of(1L), new int[] {2}));
        publication.add(
            Tensor.floats(
                CompactNames.residual(name, 0, Role.DOWN),
                DType.F32,
                List.of(1L, 5L),
                new float[] {10, 10, 10, 10, 10}));
        Manifest manifest =
            publication.commit(ManifestDraft.of("test", "test", "mc-smoe", base.digest()));
        float[] product = new CompactExperts(store.tensors(manifest)).weight(block, 0, Role.DOWN);
        assertThat(java.util.Arrays.copyOfRange(product, 5, 15))
            .containsExactly(2, 0, -2, 4, 2, 13, 10, 7, 16, 13);
      }
    }
  }
}

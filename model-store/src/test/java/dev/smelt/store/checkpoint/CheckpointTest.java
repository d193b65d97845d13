package dev.smelt.store.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.store.safetensors.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointTest {

  @TempDir Path folder;

  @Test
  void shouldFindTheBlocksOfMixtral() {
    try (Checkpoint checkpoint = Checkpoint.open(SmallCheckpoints.mixtral(folder))) {
      assertThat(checkpoint.blocks()).hasSize(2);
      MoeBlock block = checkpoint.blocks().get(1);
      assertThat(block.name()).isEqualTo("model.layers.1.block_sparse_moe");
      assertThat(block.layer()).isEqualTo(1);
      assertThat(block.experts()).isEqualTo(4);
      assertThat(block.topK()).isEqualTo(2);
      assertThat(block.hidden()).isEqualTo(6);
      assertThat(block.width()).isEqualTo(5);
      assertThat(block.activation()).isEqualTo(Activation.SILU);
      assertThat(block.roles()).containsExactlyInAnyOrder(Role.GATE, Role.UP, Role.DOWN);
      assertThat(block.routerWeight()).isEqualTo("model.layers.1.block_sparse_moe.gate.weight");
      assertThat(checkpoint.expertDType(block, Role.DOWN)).isEqualTo(DType.BF16);
      assertThat(checkpoint.expert(block, 3, Role.DOWN))
          .containsExactly(
              checkpoint.floats("model.layers.1.block_sparse_moe.experts.3.w2.weight"));
    }
  }

  @Test
  void shouldReadShardsAsOneFile() {
    try (Checkpoint whole = Checkpoint.open(SmallCheckpoints.mixtral(folder.resolve("a")));
        Checkpoint sharded =
            Checkpoint.open(SmallCheckpoints.shardedMixtral(folder.resolve("b")))) {
      assertThat(sharded.blocks()).isEqualTo(whole.blocks());
      assertThat(sharded.tensors().keySet())
          .containsExactlyInAnyOrderElementsOf(whole.tensors().keySet());
      for (String name : whole.tensors().keySet()) {
        assertThat(sharded.floats(name)).containsExactly(whole.floats(name));
      }
    }
  }

  @Test
  void shouldNameTheSameCheckpointTheSameWay() {
    Path first = SmallCheckpoints.mixtral(folder.resolve("a"));
    Path second = SmallCheckpoints.mixtral(folder.resolve("b"));
    try (Checkpoint a = Checkpoint.open(first);
        Checkpoint b = Checkpoint.open(second)) {
      assertThat(a.digest()).startsWith("sha256:").hasSize(71).isEqualTo(b.digest());
    }
  }

  @Test
  void shouldListTheKnownArchitecturesWhenOneIsUnknown() throws Exception {
    SmallCheckpoints.mixtral(folder);
    Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"gpt2\"}");
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("unknown architecture, model_type is 'gpt2'; known are ")
        .hasMessageContaining("mixtral");
  }

  @Test
  void shouldNameAMissingShard() throws Exception {
    SmallCheckpoints.shardedMixtral(folder);
    Files.delete(folder.resolve("model-00002-of-00002.safetensors"));
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("model-00002-of-00002.safetensors: is missing");
  }

  @Test
  void shouldRefuseAShardNameThatLeavesTheFolder() throws Exception {
    SmallCheckpoints.shardedMixtral(folder);
    Files.writeString(
        folder.resolve("model.safetensors.index.json"),
        "{\"weight_map\":{\"a\":\"../../etc/x.safetensors\"}}");
    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("which is no file name");
  }
}

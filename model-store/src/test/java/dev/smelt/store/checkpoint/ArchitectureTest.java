package dev.smelt.store.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ArchitectureTest {

  private static final int E = SmallCheckpoints.EXPERTS;
  private static final int D = SmallCheckpoints.HIDDEN;
  private static final int F = SmallCheckpoints.WIDTH;

  @TempDir Path folder;

  static List<String> modelTypes() {
    return SmallCheckpoints.modelTypes();
  }

  @ParameterizedTest
  @MethodSource("modelTypes")
  void shouldWriteExpertsBackByteIdentically(String modelType) {
    Path copy = folder.resolve("copy.safetensors");
    try (Checkpoint checkpoint = Checkpoint.open(SmallCheckpoints.of(modelType, folder))) {
      assertThat(checkpoint.blocks()).hasSize(2);
      Map<String, Tensor> replacements = new HashMap<>();
      for (MoeBlock block : checkpoint.blocks()) {
        assertThat(block.experts()).isEqualTo(E);
        assertThat(block.hidden()).isEqualTo(D);
        assertThat(block.width()).isEqualTo(F);
        ExpertTensors.of(
                checkpoint, block, E, (expert, role) -> checkpoint.expert(block, expert, role))
            .forEach(tensor -> replacements.put(tensor.name(), tensor));
      }
      assertThat(replacements.keySet())
          .containsExactlyInAnyOrderElementsOf(checkpoint.expertTensors().keySet());
      SafetensorsFile file = checkpoint.files().get("model.safetensors");
      SafetensorsWriter.rewrite(file, replacements, copy);
      assertThat(copy).hasSameBinaryContentAs(file.path());
    }
  }

  @Test
  void shouldOrderEncoderBeforeDecoderAndLayersByNumber() {
    try (Checkpoint checkpoint =
        Checkpoint.open(SmallCheckpoints.of("switch_transformers", folder.resolve("a")))) {
      // By name the decoder would come first; taps count the encoder's layers first.
      assertThat(checkpoint.blocks())
          .extracting(MoeBlock::name)
          .containsExactly("encoder.block.1.layer.1.mlp", "decoder.block.1.layer.2.mlp");
      assertThat(checkpoint.blocks().get(0).roles()).containsExactlyInAnyOrder(Role.UP, Role.DOWN);
      assertThat(checkpoint.blocks().get(0).topK()).isEqualTo(1);
    }
    try (Checkpoint checkpoint =
        Checkpoint.open(SmallCheckpoints.of("qwen3_moe", folder.resolve("b")))) {
      assertThat(checkpoint.blocks()).extracting(MoeBlock::layer).containsExactly(2, 10);
    }
  }

  @Test
  void shouldUnpackInterleavedTransposedExperts() {
    try (Checkpoint checkpoint = Checkpoint.open(SmallCheckpoints.of("gpt_oss", folder))) {
      MoeBlock block = checkpoint.blocks().get(1);
      float[] fused = checkpoint.floats(block.name() + ".experts.gate_up_proj");
      float[] bias = checkpoint.floats(block.name() + ".experts.gate_up_proj_bias");
      float[] down = checkpoint.floats(block.name() + ".experts.down_proj");
      int expert = 2;
      for (int f = 0; f < F; f++) {
        for (int x = 0; x < D; x++) {
          int at = (expert * D + x) * 2 * F + 2 * f;
          assertThat(checkpoint.expert(block, expert, Role.GATE)[f * D + x]).isEqualTo(fused[at]);
          assertThat(checkpoint.expert(block, expert, Role.UP)[f * D + x]).isEqualTo(fused[at + 1]);
          assertThat(checkpoint.expert(block, expert, Role.DOWN)[x * F + f])
              .isEqualTo(down[(expert * F + f) * D + x]);
        }
        assertThat(checkpoint.expert(block, expert, Role.GATE_BIAS)[f])
            .isEqualTo(bias[expert * 2 * F + 2 * f]);
        assertThat(checkpoint.expert(block, expert, Role.UP_BIAS)[f])
            .isEqualTo(bias[expert * 2 * F + 2 * f + 1]);
      }
      assertThat(block.routerBias()).contains(block.name() + ".router.bias");
    }
  }

  @Test
  void shouldUnpackHalves() {
    try (Checkpoint granite =
            Checkpoint.open(SmallCheckpoints.of("granitemoe", folder.resolve("g")));
        Checkpoint llama = Checkpoint.open(SmallCheckpoints.of("llama4", folder.resolve("l")))) {
      MoeBlock block = granite.blocks().get(0);
      float[] fused = granite.floats(block.name() + ".input_linear.weight");
      assertThat(granite.expert(block, 3, Role.GATE)[4 * D + 1])
          .isEqualTo(fused[(3 * 2 * F + 4) * D + 1]);
      assertThat(granite.expert(block, 3, Role.UP)[4 * D + 1])
          .isEqualTo(fused[(3 * 2 * F + F + 4) * D + 1]);
      block = llama.blocks().get(0);
      fused = llama.floats(block.name() + ".experts.gate_up_proj");
      assertThat(llama.expert(block, 1, Role.GATE)[4 * D + 2])
          .isEqualTo(fused[(D + 2) * 2 * F + 4]);
      assertThat(llama.expert(block, 1, Role.UP)[4 * D + 2])
          .isEqualTo(fused[(D + 2) * 2 * F + F + 4]);
    }
  }

  @Test
  void shouldNameQuantisedBlocksAndReadTheOthers() throws Exception {
    Path source = SmallCheckpoints.of("gpt_oss", folder.resolve("plain"));
    List<Tensor> tensors = new ArrayList<>();
    String quantised = "model.layers.0.mlp.experts.";
    try (SafetensorsFile file = SafetensorsFile.open(source.resolve("model.safetensors"))) {
      for (String name : file.tensors().keySet()) {
        if (name.startsWith(quantised) && !name.endsWith("bias")) {
          tensors.add(Tensor.raw(name + "_blocks", DType.U8, List.of(4L), new byte[4]));
          tensors.add(Tensor.raw(name + "_scales", DType.U8, List.of(4L), new byte[4]));
        } else {
          tensors.add(Tensor.of(file, name));
        }
      }
      write(source.resolve("config.json"), tensors);
    }

    try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("other"))) {
      assertThat(checkpoint.blocks())
          .extracting(MoeBlock::name)
          .containsExactly("model.layers.1.mlp");
      UntouchedBlock untouched = checkpoint.untouched().get(0);
      assertThat(untouched.name()).isEqualTo("model.layers.0.mlp");
      assertThat(untouched.position()).isZero();
      assertThat(untouched.experts()).isEqualTo(4);
      assertThat(untouched.reason()).endsWith("is quantised; convert the experts to bf16 first");
      assertThat(checkpoint.expertTensors().keySet()).noneMatch(name -> name.contains(".0."));
    }
  }

  @Test
  void shouldNotTakeBlockScaledNumbersForWeights() throws Exception {
    Path source = SmallCheckpoints.of("deepseek_v3", folder.resolve("plain"));
    List<Tensor> tensors = new ArrayList<>();
    try (SafetensorsFile file = SafetensorsFile.open(source.resolve("model.safetensors"))) {
      for (String name : file.tensors().keySet()) {
        tensors.add(Tensor.of(file, name));
        if (name.contains(".10.mlp.experts.")) {
          tensors.add(Tensor.floats(name + "_scale_inv", DType.F32, List.of(1L), new float[] {2}));
        }
      }
      write(source.resolve("config.json"), tensors);
    }

    try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("other"))) {
      assertThat(checkpoint.blocks()).hasSize(1);
      assertThat(checkpoint.untouched())
          .extracting(UntouchedBlock::name)
          .containsExactly("model.layers.10.mlp");
    }
  }

  private void write(Path config, List<Tensor> tensors) throws Exception {
    Path other = Files.createDirectory(folder.resolve("other"));
    Files.copy(config, other.resolve("config.json"));
    SafetensorsWriter.write(other.resolve("model.safetensors"), Map.of(), tensors);
  }
}

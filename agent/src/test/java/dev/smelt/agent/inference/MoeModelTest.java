package dev.smelt.agent.inference;

import static dev.smelt.agent.inference.TinyCheckpoint.EXPERTS;
import static dev.smelt.agent.inference.TinyCheckpoint.HIDDEN;
import static dev.smelt.agent.inference.TinyCheckpoint.LAYERS;
import static dev.smelt.agent.inference.TinyCheckpoint.WIDTH;
import static dev.smelt.agent.inference.TinyCheckpoint.block;
import static dev.smelt.agent.inference.TinyCheckpoint.expert;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.CheckpointException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MoeModelTest {

  private static final int[] MAP = {0, 1, 0, 2, 1, 0};
  private static final int GROUPS = 3;
  private static final Map<String, String> ROLES = Map.of("gate", "w1", "up", "w3", "down", "w2");

  @TempDir private Path folder;

  @Test
  void shouldGiveTheSameLogitsStepByStepAsAtOnce() {
    // Given
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    int[] tokens = tokens(40, 2);

    // When
    Matrix atOnce = model.logits(List.of(tokens), ForwardObserver.NONE);
    Decoder decoder = model.decoder(tokens.length);
    float[][] steps = new float[tokens.length][];
    steps[9] = decoder.append(Arrays.copyOf(tokens, 10), ForwardObserver.NONE);
    for (int i = 10; i < 20; i++) {
      steps[i] = decoder.append(new int[] {tokens[i]}, ForwardObserver.NONE);
    }
    Matrix rest = decoder.appendScoring(Arrays.copyOfRange(tokens, 20, 40), ForwardObserver.NONE);

    // Then
    for (int i = 9; i < 20; i++) {
      assertClose(steps[i], atOnce.rows(i, i + 1).values());
    }
    assertClose(rest.values(), atOnce.rows(20, 40).values());
    assertThat(decoder.length()).isEqualTo(40);
  }

  @Test
  void shouldKeepSequencesOfOnePassApart() {
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    int[] first = tokens(17, 3);
    int[] second = tokens(9, 4);

    Matrix together = model.logits(List.of(first, second), ForwardObserver.NONE);

    assertClose(
        together.rows(0, 17).values(), model.logits(List.of(first), ForwardObserver.NONE).values());
    assertClose(
        together.rows(17, 26).values(),
        model.logits(List.of(second), ForwardObserver.NONE).values());
  }

  @Test
  void shouldGiveTheSameLogitsMergedAsExpanded() {
    // Given groups of experts, once each behind a map and once in every member's place
    TinyCheckpoint expanded = new TinyCheckpoint(5);
    TinyCheckpoint merged = new TinyCheckpoint(5).compact();
    Random random = new Random(6);
    for (int layer = 0; layer < LAYERS; layer++) {
      merged.put(block(layer) + ".experts.map", MAP);
      for (int group = 0; group < GROUPS; group++) {
        for (String role : ROLES.keySet()) {
          float[] weight = gaussian(random, HIDDEN * WIDTH);
          merged.put(group(layer, group, role) + ".weight", weight, shape(role));
          putInMembers(expanded, layer, group, role, weight);
        }
      }
    }
    MoeModel fewer = MoeModel.load(merged.write(folder.resolve("merged")));
    MoeModel all = MoeModel.load(expanded.write(folder.resolve("expanded")));
    int[] tokens = tokens(64, 7);

    // When, then
    assertClose(
        fewer.logits(List.of(tokens), ForwardObserver.NONE).values(),
        all.logits(List.of(tokens), ForwardObserver.NONE).values());
    assertThat(fewer.expertBytes())
        .isEqualTo(LAYERS * (GROUPS * 3L * HIDDEN * WIDTH + EXPERTS) * Float.BYTES);
    assertThat(all.expertBytes()).isEqualTo(LAYERS * EXPERTS * 3L * HIDDEN * WIDTH * Float.BYTES);
  }

  @Test
  void shouldGiveTheSameLogitsFactoredAsMultipliedOut() {
    // Given
    TinyCheckpoint expanded = new TinyCheckpoint(8);
    TinyCheckpoint factored = new TinyCheckpoint(8).compact();
    int rank = 5;
    for (int layer = 0; layer < LAYERS; layer++) {
      factored.put(block(layer) + ".experts.map", MAP);
      for (int group = 0; group < GROUPS; group++) {
        for (String role : ROLES.keySet()) {
          int rows = (int) shape(role)[0];
          int cols = (int) shape(role)[1];
          int[] kept = group == 1 ? new int[0] : new int[] {0, 3, rows - 1};
          String name = group(layer, group, role);
          Matrix left = new Matrix(rows, rank, factored.random(name + ".u", rows, rank));
          Matrix right = new Matrix(rank, cols, factored.random(name + ".v", rank, cols));
          float[] residual = factored.random(name + ".s", kept.length, cols);
          factored.put(name + ".rows", kept);
          Matrix product = Compute.cpu().multiply(left, right);
          for (int i = 0; i < kept.length; i++) {
            for (int j = 0; j < cols; j++) {
              product.values()[kept[i] * cols + j] += residual[i * cols + j];
            }
          }
          putInMembers(expanded, layer, group, role, product.values());
        }
      }
    }
    MoeModel small = MoeModel.load(factored.write(folder.resolve("factored")));
    MoeModel all = MoeModel.load(expanded.write(folder.resolve("expanded")));
    int[] tokens = tokens(64, 9);

    // When, then
    assertClose(
        small.logits(List.of(tokens), ForwardObserver.NONE).values(),
        all.logits(List.of(tokens), ForwardObserver.NONE).values());
    assertThat(small.expertFlops(0, 1))
        .isEqualTo(3L * 2 * rank * (HIDDEN + WIDTH))
        .isLessThan(all.expertFlops(0, 1));
  }

  @Test
  void shouldNeverSelectMaskedExpertsButKeepTheirLogits() {
    // Given a block whose experts 1 and 4 are masked
    TinyCheckpoint masked = new TinyCheckpoint(10).compact();
    for (int layer = 0; layer < LAYERS; layer++) {
      masked.put(block(layer) + ".experts.map", 0, -1, 1, 2, -1, 3);
      for (int group = 0; group < 4; group++) {
        for (String role : ROLES.keySet()) {
          masked.random(group(layer, group, role) + ".weight", shape(role));
        }
      }
    }
    MoeModel model = MoeModel.load(masked.write(folder));

    // When
    model.logits(
        List.of(tokens(200, 11)),
        new ForwardObserver() {
          @Override
          public void routed(Routing routing) {
            // Then
            assertThat(routing.selected()).doesNotContain(1, 4).contains(0, 2, 3, 5);
            assertThat(routing.logits()).hasSize(200 * EXPERTS);
            for (float logit : routing.logits()) {
              assertThat(logit).isFinite();
            }
          }
        });
  }

  @Test
  void shouldShowRoutingAndWhatEachExpertCalculated() {
    // Given
    MoeModel model = MoeModel.load(new TinyCheckpoint(12).write(folder));
    Map<Integer, Integer> pairs = new HashMap<>();
    Map<Integer, Double> gateMass = new HashMap<>();

    // When
    model.logits(
        List.of(tokens(50, 13)),
        new ForwardObserver() {
          @Override
          public void routed(Routing routing) {
            for (int token = 0; token < routing.tokens(); token++) {
              assertThat(routing.selected()[2 * token])
                  .isNotEqualTo(routing.selected()[2 * token + 1]);
              assertThat(routing.weights()[2 * token])
                  .isGreaterThanOrEqualTo(routing.weights()[2 * token + 1]);
            }
            assertThat(routing.inputs()).hasSize(50 * HIDDEN);
          }

          @Override
          public void calculated(ExpertBatch batch) {
            pairs.merge(batch.layer(), batch.count(), Integer::sum);
            assertThat(batch.activations().length).isGreaterThanOrEqualTo(batch.count() * WIDTH);
            for (float gate : batch.gates()) {
              gateMass.merge(batch.layer(), (double) gate, Double::sum);
            }
          }
        });

    // Then
    for (int layer = 0; layer < LAYERS; layer++) {
      assertThat(pairs.get(layer)).isEqualTo(100);
      assertThat(gateMass.get(layer)).isCloseTo(50, within(1e-3));
    }
  }

  @Test
  void shouldUseTheEmbeddingsAsOutputWhereTheyAreTied() {
    TinyCheckpoint separate = new TinyCheckpoint(14);
    float[] embeddings = separate.random("model.embed_tokens.weight", 256, HIDDEN);
    separate.put("lm_head.weight", embeddings, 256, HIDDEN);
    TinyCheckpoint tied =
        new TinyCheckpoint(14)
            .configured(config -> config.put("tie_word_embeddings", true))
            .put("model.embed_tokens.weight", embeddings, 256, HIDDEN)
            .without("lm_head.weight");
    int[] tokens = tokens(20, 15);

    assertClose(
        MoeModel.load(tied.write(folder.resolve("tied")))
            .logits(List.of(tokens), ForwardObserver.NONE)
            .values(),
        MoeModel.load(separate.write(folder.resolve("separate")))
            .logits(List.of(tokens), ForwardObserver.NONE)
            .values());
  }

  @Test
  void shouldRefuseSlidingWindowAttention() {
    assertRefused(
        new TinyCheckpoint(1).configured(config -> config.put("sliding_window", 128)),
        "config.json: sliding_window is set, inference supports models without it only");
  }

  @Test
  void shouldRefuseOtherActivations() {
    assertRefused(
        new TinyCheckpoint(1).configured(config -> config.put("hidden_act", "gelu")),
        "config.json: hidden_act is 'gelu', inference supports 'silu' only");
  }

  @Test
  void shouldRefuseOtherArchitectures() {
    assertRefused(
        new TinyCheckpoint(1).configured(config -> config.put("model_type", "phimoe")),
        "config.json: model_type is 'phimoe', inference supports 'mixtral' only");
  }

  @Test
  void shouldRefuseScaledRotaryEmbedding() {
    assertRefused(
        new TinyCheckpoint(1)
            .configured(config -> config.putObject("rope_parameters").put("rope_type", "yarn")),
        "config.json: rope_parameters.rope_type is yarn, only default is supported");
  }

  @Test
  void shouldNameAMissingTensor() {
    assertRefused(
        new TinyCheckpoint(1).without("model.layers.1.self_attn.k_proj.weight"),
        "model.layers.1.self_attn.k_proj.weight: is missing");
  }

  @Test
  void shouldNameATensorOfTheWrongShape() {
    assertRefused(
        new TinyCheckpoint(1).put("model.norm.weight", new float[3], 3),
        "model.norm.weight: has shape [3], config.json asks for [16]");
  }

  @Test
  void shouldRefuseAMapThatLeavesTooFewExperts() {
    TinyCheckpoint masked = new TinyCheckpoint(1).compact();
    for (int layer = 0; layer < LAYERS; layer++) {
      masked.put(block(layer) + ".experts.map", -1, -1, -1, 0, -1, -1);
      for (String role : ROLES.keySet()) {
        masked.random(group(layer, 0, role) + ".weight", shape(role));
      }
    }
    assertRefused(masked, "leaves 1 router outputs unmasked, each token needs 2");
  }

  @Test
  void shouldRefuseTokensOutsideTheVocabulary() {
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    Decoder decoder = model.decoder(4);

    assertThatThrownBy(() -> decoder.append(new int[] {256}, ForwardObserver.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("token 256 is not in the vocabulary of 256");
    assertThat(decoder.length()).isZero();
  }

  @Test
  void shouldRefuseSequencesBeyondTheirCapacity() {
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));

    assertThatThrownBy(() -> model.decoder(4).append(new int[5], ForwardObserver.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("5 more tokens after 0 don't fit a sequence of at most 4");
    assertThatThrownBy(() -> model.decoder(301))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a sequence of 301 tokens is longer than the model's 300 positions");
  }

  private void assertRefused(TinyCheckpoint checkpoint, String message) {
    Path written = checkpoint.write(folder.resolve("refused"));
    assertThatThrownBy(() -> MoeModel.load(written))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(written.toString())
        .hasMessageEndingWith(message);
  }

  private static void putInMembers(
      TinyCheckpoint checkpoint, int layer, int group, String role, float[] weight) {
    for (int e = 0; e < EXPERTS; e++) {
      if (MAP[e] == group) {
        checkpoint.put(expert(layer, e, ROLES.get(role)), weight, shape(role));
      }
    }
  }

  private static String group(int layer, int group, String role) {
    return block(layer) + ".groups." + group + "." + role;
  }

  private static long[] shape(String role) {
    return role.equals("down") ? new long[] {HIDDEN, WIDTH} : new long[] {WIDTH, HIDDEN};
  }

  private static float[] gaussian(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian() * 0.3f;
    }
    return values;
  }

  private static int[] tokens(int count, long seed) {
    return new Random(seed).ints(count, 0, 256).toArray();
  }

  private static void assertClose(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).isCloseTo(expected[i], within(1e-4f));
    }
  }
}

package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.Decoder;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The trained fixture gives what PyTorch gave when it was exported. */
class GoldenParityTest {

  private static MoeModel model;
  private static SafetensorsFile golden;

  @BeforeAll
  static void load() {
    model = MoeModel.load(Fixture.CHECKPOINT);
    golden = SafetensorsFile.open(Fixture.CHECKPOINT.resolve("golden.safetensors"));
  }

  @AfterAll
  static void close() {
    golden.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void shouldGiveTheSameLogitsAndChooseTheSameExperts(int index) {
    // Given
    int[] prompt = golden.ints("prompt." + index);
    Map<Integer, int[]> selected = new HashMap<>();
    Map<Integer, float[]> routerLogits = new HashMap<>();

    // When
    Matrix logits =
        model.logits(
            List.of(prompt),
            new ForwardObserver() {
              @Override
              public void routed(Routing routing) {
                selected.put(routing.layer(), routing.selected().clone());
                routerLogits.put(routing.layer(), routing.logits().clone());
              }
            });

    // Then
    assertClose(logits.values(), golden.floats("logits." + index));
    for (int layer = 0; layer < model.blocks().size(); layer++) {
      String block = "prompt." + index + "." + model.blocks().get(layer).name();
      assertThat(selected.get(layer)).isEqualTo(golden.ints(block + ".selected_experts"));
      assertClose(routerLogits.get(layer), golden.floats(block + ".router_logits"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void shouldGenerateTheSameBytesGreedily(int index) {
    int[] prompt = golden.ints("prompt." + index);
    int[] expected = golden.ints("greedy." + index);
    Decoder decoder = model.decoder(prompt.length + expected.length);
    int[] generated = new int[expected.length];

    float[] logits = decoder.append(prompt, ForwardObserver.NONE);
    for (int i = 0; i < generated.length; i++) {
      generated[i] = best(logits);
      logits = decoder.append(new int[] {generated[i]}, ForwardObserver.NONE);
    }

    assertThat(generated).isEqualTo(expected);
  }

  private static int best(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    return best;
  }

  private static void assertClose(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    float largest = 0;
    for (int i = 0; i < actual.length; i++) {
      largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
    }
    assertThat(largest).isCloseTo(0, within(1e-3f));
  }
}

package dev.smelt.agent.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluationTest {

  @TempDir private Path folder;

  @Test
  void shouldMeasureEachWindowOnItsOwn() {
    // Given texts of one whole window, a whole and a short one, and a short one
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    List<byte[]> texts = List.of(text(256, 1), text(300, 2), text(3, 3));
    double bits = 0;
    for (byte[] text : texts) {
      for (int from = 0; from < text.length; from += 256) {
        bits += bits(model, text, from, Math.min(text.length, from + 256));
      }
    }
    List<Long> heard = new ArrayList<>();

    // When
    Measurement measured = Measurement.of(model, texts, (done, all) -> heard.add(done));

    // Then
    assertThat(measured.score().bytes()).isEqualTo(559);
    assertThat(measured.score().bitsPerByte()).isCloseTo(bits / 559, within(1e-5));
    assertThat(measured.score().perplexity()).isCloseTo(Math.pow(2, bits / 559), within(1e-2));
    assertThat(measured.expertBytes()).isEqualTo(model.expertBytes());
    assertThat(measured.flopsPerToken())
        .isEqualTo(model.sharedFlops() + 2.0 * 2 * model.expertFlops(0, 0));
    assertThat(heard).contains(559L);
  }

  @Test
  void shouldScoreOneTextLikeAMeasurement() {
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    byte[] text = text(5000, 5);
    List<Long> heard = new ArrayList<>();

    Evaluation.Score score = Evaluation.score(model, text, ForwardObserver.NONE, heard::add);

    assertThat(score).isEqualTo(Measurement.of(model, List.of(text), ByteProgress.NONE).score());
    assertThat(heard).containsExactly(2048L, 4096L, 5000L);
  }

  @Test
  void shouldStopScoringWhenInterrupted() {
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    Thread.currentThread().interrupt();
    try {
      assertThatThrownBy(
              () -> Evaluation.score(model, text(100, 6), ForwardObserver.NONE, done -> {}))
          .isInstanceOf(CancellationException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void shouldRefuseModelsThatAreNotByteLevel() {
    TinyCheckpoint wide = new TinyCheckpoint(1).configured(config -> config.put("vocab_size", 300));
    wide.random("model.embed_tokens.weight", 300, TinyCheckpoint.HIDDEN);
    wide.random("lm_head.weight", 300, TinyCheckpoint.HIDDEN);
    MoeModel model = MoeModel.load(wide.write(folder));

    assertThatThrownBy(() -> Measurement.of(model, List.of(text(9, 1)), ByteProgress.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("texts need a byte-level model; this one has a vocabulary of 300");
  }

  @Test
  void shouldRefuseEmptyTexts() {
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));

    assertThatThrownBy(() -> Measurement.of(model, List.of(new byte[0]), ByteProgress.NONE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there is no text to evaluate on");
  }

  @Test
  void shouldRecordWhatTheRoutersDecideInOrder() {
    // Given
    MoeModel model = MoeModel.load(new TinyCheckpoint(1).write(folder));
    byte[] text = text(5000, 4);
    Path file = folder.resolve("trace.routing.safetensors");

    // When
    RoutingTraceWriter.write(model, "tiny", List.of(text), file, ByteProgress.NONE);

    // Then
    RoutingRecording expected = new RoutingRecording(model);
    Window.of(text).forEach(window -> model.logits(List.of(window.tokens()), expected));
    try (SafetensorsFile trace = SafetensorsFile.open(file)) {
      assertThat(trace.metadata()).containsEntry("model", "tiny").containsEntry("requests", "20");
      String block = TinyCheckpoint.block(1);
      assertThat(trace.tensor(block + ".selected_experts").shape()).containsExactly(5000L, 2L);
      assertThat(trace.tensor(block + ".router_logits").shape()).containsExactly(5000L, 6L);
      int[] selected = trace.ints(block + ".selected_experts");
      float[] logits = trace.floats(block + ".router_logits");
      float[] weights = trace.floats(block + ".routing_weights");
      float[] norms = trace.floats(block + ".output_norms");
      for (int token = 0; token < 5000; token++) {
        assertThat(logits[token * 6 + selected[2 * token]])
            .isGreaterThanOrEqualTo(logits[token * 6 + selected[2 * token + 1]]);
        assertThat(weights[2 * token] + weights[2 * token + 1]).isCloseTo(1f, within(1e-5f));
        assertThat(norms[2 * token]).isPositive();
      }
    }
    assertThat(expected.tokens()).isEqualTo(5000);
  }

  private static double bits(MoeModel model, byte[] text, int from, int to) {
    int[] tokens = new int[to - from];
    for (int i = 1; i < tokens.length; i++) {
      tokens[i] = text[from + i - 1] & 0xff;
    }
    Matrix logits = model.logits(List.of(tokens), ForwardObserver.NONE);
    double bits = 0;
    for (int i = 0; i < tokens.length; i++) {
      double sum = 0;
      for (int j = 0; j < 256; j++) {
        sum += Math.exp(logits.at(i, j));
      }
      bits += (Math.log(sum) - logits.at(i, text[from + i] & 0xff)) / Math.log(2);
    }
    return bits;
  }

  private static byte[] text(int length, long seed) {
    byte[] text = new byte[length];
    new Random(seed).nextBytes(text);
    return text;
  }
}

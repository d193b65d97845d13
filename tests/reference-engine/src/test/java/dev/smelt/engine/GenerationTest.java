package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.engine.Completion.Finish;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class GenerationTest {

  private static MoeModel model;
  private static List<Integer> whole;

  private final List<Integer> heard = new ArrayList<>();

  @BeforeAll
  static void load() {
    model = MoeModel.load(Fixture.CHECKPOINT);
    List<Integer> tokens = new ArrayList<>();
    new Generation(model, request(30), ForwardObserver.NONE, () -> false).run(tokens::add);
    whole = tokens;
  }

  @Test
  void shouldTellEachTokenOnce() {
    Completion completion = run(request(30), () -> false);

    assertThat(completion.finish()).isEqualTo(Finish.LENGTH);
    assertThat(completion.kept()).isEqualTo(30);
    assertThat(heard).isEqualTo(whole).hasSize(30);
  }

  @Test
  void shouldTellNothingOfAStopSequence() {
    Completion completion = run(request(30, text(10, 14)), () -> false);

    assertThat(completion.finish()).isEqualTo(Finish.STOP);
    assertThat(heard).isEqualTo(whole.subList(0, completion.kept()));
    assertThat(completion.generated()).hasSize(completion.kept() + 4);
    assertThat(joined(heard)).doesNotContain(text(10, 14));
  }

  @Test
  void shouldTellWhatOnlyBeganLikeAStopSequence() {
    Completion completion = run(request(30, text(26, 30) + "never"), () -> false);

    assertThat(completion.finish()).isEqualTo(Finish.LENGTH);
    assertThat(heard).isEqualTo(whole);
  }

  @Test
  void shouldEndWhereItIsWhenAborted() {
    Completion completion = run(request(30), () -> heard.size() == 3);

    assertThat(completion.finish()).isEqualTo(Finish.ABORT);
    assertThat(heard).isEqualTo(whole.subList(0, 3));
  }

  private Completion run(CompletionRequest request, BooleanSupplier aborted) {
    return new Generation(model, request, ForwardObserver.NONE, aborted).run(heard::add);
  }

  private static CompletionRequest request(int maxTokens, String... stops) {
    return new CompletionRequest(
        ByteText.tokens("The first thing"),
        1,
        maxTokens,
        0,
        OptionalLong.empty(),
        Stream.of(stops).map(stop -> stop.getBytes(StandardCharsets.UTF_8)).toList(),
        false,
        OptionalInt.empty(),
        false,
        0,
        false,
        false);
  }

  private static String text(int from, int to) {
    return joined(whole.subList(from, to));
  }

  private static String joined(List<Integer> tokens) {
    StringBuilder text = new StringBuilder();
    tokens.forEach(token -> text.append((char) token.intValue()));
    return text.toString();
  }
}

package dev.smelt.agent.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.agent.statistics.LiveMoments.Frozen;
import dev.smelt.agent.statistics.LiveMoments.Span;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threeten.extra.MutableClock;

class LiveMomentsTest {

  private static final Duration HALF_LIFE = Duration.ofMinutes(1);

  @TempDir Path folder;

  private final Random random = new Random(3);
  private final MutableClock clock =
      MutableClock.of(Instant.parse("2026-01-01T00:00:00Z"), ZoneOffset.UTC);
  private List<MoeBlock> blocks;
  private LiveMoments live;

  @BeforeEach
  void open() throws IOException {
    Path model = new TinyCheckpoint(1).write(folder.resolve("model"));
    try (Checkpoint checkpoint = Checkpoint.open(model)) {
      blocks = checkpoint.blocks();
    }
    live = reopened();
  }

  @Test
  void shouldAddUpWhatIsPosted() {
    BlockMoments first = moments(0, 10);
    BlockMoments second = moments(0, 6);

    assertThat(live.add(file(first))).isEqualTo(10 * TinyCheckpoint.EXPERTS / 2.0);
    live.add(file(second));

    try (Frozen all = live.freeze(Span.ALL)) {
      ExpertMoments expert = all.apply(blocks.get(0)).experts().get(2);
      assertThat(expert.tokens()).isEqualTo(16);
      assertThat(expert.activations().values()).containsExactly(sum(first, second, 2).values());
      assertThat(all.apply(blocks.get(1)).picks()).isZero();
    }
  }

  @Test
  void shouldHaveNoTokensUntilEveryBlockHasSome() {
    live.add(file(moments(0, 10)));
    assertThat(live.tokens(Span.ALL)).isZero();

    live.add(file(moments(1, 4)));
    assertThat(live.tokens(Span.ALL)).isEqualTo(4 * TinyCheckpoint.EXPERTS / 2.0);
  }

  @Test
  void shouldCountPastTrafficHalfAfterTheHalfLife() {
    BlockMoments old = moments(0, 10);
    live.add(file(old));
    live.add(file(moments(1, 10)));

    clock.add(HALF_LIFE);

    assertThat(live.tokens(Span.ALL)).isCloseTo(15, within(1e-9));
    try (Frozen all = live.freeze(Span.ALL)) {
      assertThat(all.apply(blocks.get(0)).experts().get(1).activations().at(3, 3))
          .isEqualTo(old.experts().get(1).activations().at(3, 3) / 2);
    }
  }

  @Test
  void shouldTellTheTrafficSinceItTurnedFromTheTrafficBefore() {
    BlockMoments before = moments(0, 8);
    BlockMoments after = moments(0, 2);
    live.add(file(before));
    live.add(file(moments(1, 8)));
    clock.add(Duration.ofSeconds(1));
    live.turn();
    assertThat(live.tokens(Span.SINCE_TURN)).isZero();

    clock.add(Duration.ofSeconds(1));
    live.add(file(after));
    live.add(file(moments(1, 2)));

    assertThat(live.tokens(Span.SINCE_TURN)).isEqualTo(6);
    assertThat(live.tokens(Span.ALL)).isGreaterThan(29);
    try (Frozen since = live.freeze(Span.SINCE_TURN);
        Frozen all = live.freeze(Span.ALL)) {
      assertThat(since.apply(blocks.get(0)).experts().get(0).activations().values())
          .containsExactly(after.experts().get(0).activations().values());
      assertThat(all.apply(blocks.get(0)).experts().get(0).tokens()).isGreaterThan(9.7);
    }
  }

  @Test
  void shouldGoOnAfterARestart() throws IOException {
    live.add(file(moments(0, 10)));
    live.add(file(moments(1, 10)));
    live.turn();
    clock.add(Duration.ofSeconds(1));
    live.add(file(moments(0, 4)));
    double known = live.tokens(Span.ALL);

    assertThat(reopened().tokens(Span.ALL)).isEqualTo(known);
  }

  @Test
  void shouldStartABlockAnewWhoseFileIsDamaged() throws IOException {
    live.add(file(moments(0, 10)));
    live.add(file(moments(1, 10)));
    Path damaged = folder.resolve("live/0.since.moments.safetensors");
    Files.write(damaged, new byte[] {1, 2, 3});

    LiveMoments anew = reopened();

    assertThat(anew.tokens(Span.ALL)).isZero();
    anew.add(file(moments(0, 10)));
    assertThat(anew.tokens(Span.ALL)).isEqualTo(30);
  }

  @Test
  void shouldKeepWhatIsFrozenWhateverIsPosted() throws IOException {
    BlockMoments first = moments(0, 10);
    live.add(file(first));
    Frozen frozen = live.freeze(Span.ALL);

    live.add(file(moments(0, 90)));

    assertThat(frozen.apply(blocks.get(0)).experts().get(1).activations().values())
        .containsExactly(first.experts().get(1).activations().values());
    frozen.close();
    try (Stream<Path> left = Files.list(folder.resolve("live"))) {
      assertThat(left).hasSize(1);
    }
  }

  @Test
  void shouldTakeNoMoreDiskHoweverMuchIsPosted() throws IOException {
    for (int post = 0; post < 4; post++) {
      live.add(file(moments(0, 10)));
      clock.add(Duration.ofSeconds(1));
      live.turn();
    }
    try (Stream<Path> files = Files.list(folder.resolve("live"))) {
      assertThat(files).hasSize(2);
    }
  }

  @Test
  void shouldRefuseMomentsOfAnotherModel() {
    BlockMoments other = new BlockMoments("model.layers.9.mlp", moments(0, 1).experts());
    Path file = file(other);

    assertThatThrownBy(() -> live.add(file))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining("model.layers.9.mlp: tiny has no such block");
  }

  @Test
  void shouldRefuseABodyWithoutMoments() {
    Path file = folder.resolve("none.moments.safetensors");
    MomentsFile.write(file, "tiny", List.of());

    assertThatThrownBy(() -> live.add(file)).hasMessageContaining("holds no moments of tiny");
  }

  @Test
  void shouldAddNothingOfABodyOfWhichOneBlockIsRefused() {
    BlockMoments wrong = moments(1, 5);
    wrong.experts().get(3).activations().set(2, 2, -1);
    Path file = folder.resolve("half.moments.safetensors");
    MomentsFile.write(file, "tiny", List.of(moments(0, 5), wrong));

    assertThatThrownBy(() -> live.add(file)).hasMessageContaining("is no sum of squares");
    try (Frozen all = live.freeze(Span.ALL)) {
      assertThat(all.apply(blocks.get(0)).picks()).isZero();
    }
  }

  private LiveMoments reopened() throws IOException {
    return LiveMoments.open(folder.resolve("live"), "tiny", blocks, HALF_LIFE, clock);
  }

  private Path file(BlockMoments moments) {
    Path file = folder.resolve("posted.moments.safetensors");
    MomentsFile.write(file, "tiny", List.of(moments));
    return file;
  }

  private static Matrix sum(BlockMoments first, BlockMoments second, int expert) {
    return first.experts().get(expert).plus(second.experts().get(expert)).activations();
  }

  private BlockMoments moments(int block, double tokens) {
    return new BlockMoments(
        blocks.get(block).name(),
        IntStream.range(0, TinyCheckpoint.EXPERTS)
            .mapToObj(expert -> new ExpertMoments(tokens, Optional.empty(), gram()))
            .toList());
  }

  private Matrix gram() {
    Matrix rows = Matrix.zeros(3, TinyCheckpoint.WIDTH);
    for (int i = 0; i < rows.values().length; i++) {
      rows.values()[i] = (float) random.nextGaussian();
    }
    Matrix gram = Matrix.zeros(TinyCheckpoint.WIDTH, TinyCheckpoint.WIDTH);
    Compute.cpu().addGram(1f, rows, gram);
    return gram;
  }
}

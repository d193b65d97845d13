package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class CompressionProgressTest {

  private final StringWriter out = new StringWriter();
  private final AtomicLong nanos = new AtomicLong();

  @Test
  void shouldTellTheTimeLeftOfBothPasses() {
    CompressionProgress progress = progress(10, 2);

    for (int block = 1; block <= 10; block++) {
      nanos.addAndGet(TimeUnit.SECONDS.toNanos(3));
      progress.measured("b", block, 10);
    }
    for (int block = 1; block <= 10; block++) {
      nanos.addAndGet(TimeUnit.SECONDS.toNanos(3));
      progress.finished("b", block, 10);
    }

    assertThat(out.toString())
        .contains("merging: 10 %, 54 s left", "merging: 50 %, 30 s left", "merging: 100 %");
  }

  @Test
  void shouldGoOnWithinABlockWhileItsExpertsAreAligned() {
    CompressionProgress progress = progress(2, 1);

    for (int pair = 1; pair <= 4; pair++) {
      nanos.addAndGet(TimeUnit.SECONDS.toNanos(3));
      progress.aligned("a", pair, 4);
    }
    progress.finished("a", 1, 2);
    progress.aligned("b", 3, 4);

    assertThat(out.toString())
        .contains("merging: 40 %, 18 s left", "merging: 50 %", "merging: 80 %");
  }

  private CompressionProgress progress(int blocks, int passes) {
    return new CompressionProgress(
        new ProgressLine(new PrintWriter(out), "merging", false, nanos::get), blocks, passes);
  }
}

package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class EventFilterTest {

  private final EventFilter filter =
      new EventFilter(100, json -> "rewritten".getBytes(StandardCharsets.UTF_8));

  @Test
  void shouldPassCompleteLinesAtOnce() {
    assertThat(pass("data: 1\n\ndata: 2\n\n")).isEqualTo("data: 1\n\ndata: 2\n\n");
    assertThat(filter.rest().toString()).isEmpty();
  }

  @Test
  void shouldHoldALineUntilItIsComplete() {
    assertThat(pass("data: 1\n\nda")).isEqualTo("data: 1\n\n");
    assertThat(pass("ta: ")).isEmpty();
    assertThat(pass("2\n")).isEqualTo("data: 2\n");
  }

  @Test
  void shouldPassAnUnfinishedLastLine() {
    assertThat(pass("data: [DO")).isEmpty();
    assertThat(filter.rest().toString()).isEqualTo("data: [DO");
  }

  @Test
  void shouldRewriteOnlyEventsWithExperts() {
    assertThat(
            pass("data: {\"a\":1}\ndata: {\"routed_experts\":\"x\"}\r\n: \"routed_experts\"\n\n"))
        .isEqualTo("data: {\"a\":1}\ndata: rewritten\r\n: \"routed_experts\"\n\n");
  }

  @Test
  void shouldRewriteAnEventSplitAnywhere() {
    String event = "data:{\"routed_experts\":\"x\"}\n\n";
    for (int cut = 0; cut <= event.length(); cut++) {
      EventFilter fresh =
          new EventFilter(100, json -> "rewritten".getBytes(StandardCharsets.UTF_8));
      String out =
          fresh.pass(Buffer.buffer(event.substring(0, cut))).toString()
              + fresh.pass(Buffer.buffer(event.substring(cut)))
              + fresh.rest();
      assertThat(out).isEqualTo("data:rewritten\n\n");
    }
  }

  @Test
  void shouldPassLinesBeyondTheLimitUnread() {
    String large = "data: " + "x".repeat(200);

    assertThat(pass(large)).isEqualTo(large);
    assertThat(pass("\ndata: {\"routed_experts\":\"x\"}\n"))
        .isEqualTo("\ndata: {\"routed_experts\":\"x\"}\n");
    assertThat(filter.rest().toString()).isEmpty();
  }

  private String pass(String chunk) {
    return filter.pass(Buffer.buffer(chunk)).toString();
  }
}

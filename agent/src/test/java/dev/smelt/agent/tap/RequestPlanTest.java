package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.tap.RequestPlan.Wish;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RequestPlanTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"a\":1}|{\"return_routed_experts\":true,\"a\":1}",
        "{}|{\"return_routed_experts\":true}",
        " { \"a\" : [1, {}] } | {\"return_routed_experts\":true, \"a\" : [1, {}] } ",
      })
  void shouldAskWithoutTouchingTheRest(String body, String expected) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);

    byte[] asking = RequestPlan.of(bytes).orElseThrow().asking(bytes, 0);

    assertThat(new String(asking, StandardCharsets.UTF_8).strip()).isEqualTo(expected.strip());
  }

  @Test
  void shouldLeaveOutTheKnownPrefix() {
    byte[] bytes = "{\"a\":1}".getBytes(StandardCharsets.UTF_8);

    byte[] asking = RequestPlan.of(bytes).orElseThrow().asking(bytes, 40);

    assertThat(new String(asking, StandardCharsets.UTF_8))
        .isEqualTo("{\"return_routed_experts\":true,\"routed_experts_start_len\":40,\"a\":1}");
  }

  @Test
  void shouldKeepTheStartLengthOfTheClient() {
    byte[] bytes = "{\"routed_experts_start_len\":3}".getBytes(StandardCharsets.UTF_8);

    RequestPlan plan = RequestPlan.of(bytes).orElseThrow();

    assertThat(plan.startLength()).contains(3);
    assertThat(new String(plan.asking(bytes, 40), StandardCharsets.UTF_8))
        .isEqualTo("{\"return_routed_experts\":true,\"routed_experts_start_len\":3}");
  }

  @ParameterizedTest
  @CsvSource({"true,ASKS", "false,DECLINES", "null,DECLINES"})
  void shouldReadTheWishOfTheClient(String value, Wish wish) {
    byte[] bytes = ("{\"return_routed_experts\":" + value + "}").getBytes(StandardCharsets.UTF_8);

    assertThat(RequestPlan.of(bytes).orElseThrow().wish()).isEqualTo(wish);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "3", "{", "{\"a\":1", "{\"a\":1}{}", "{\"a\" 1}", "grpc"})
  void shouldHaveNoPlanForWhatIsNotAJsonObject(String body) {
    assertThat(RequestPlan.of(body.getBytes(StandardCharsets.UTF_8))).isEmpty();
  }
}

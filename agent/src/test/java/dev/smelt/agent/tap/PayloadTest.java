package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Payloads that NumPy wrote; {@code payloads.py} beside the data writes them. */
class PayloadTest {

  private static final TappedModel MODEL = TestModels.model(3, 16, 2);

  static Stream<Arguments> payloads() throws IOException {
    JsonNode all;
    try (InputStream data = PayloadTest.class.getResourceAsStream("payloads.json")) {
      all = new ObjectMapper().readTree(data);
    }
    return Stream.of("npy", "raw")
        .flatMap(form -> StreamSupport.stream(all.get(form).spliterator(), false))
        .map(payload -> Arguments.of(payload.get("name").asText(), payload));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("payloads")
  void shouldDecodeOrRefuse(String name, JsonNode described) throws PayloadException {
    Payload payload =
        new Payload(
            ByteBuffer.wrap(described.get("base64").asText().getBytes(StandardCharsets.US_ASCII)),
            Optional.ofNullable(described.get("dtype")).map(JsonNode::asText),
            described.path("rows").asInt(Payload.UNKNOWN_ROWS));

    if (described.has("fault")) {
      assertThatThrownBy(() -> payload.decode(MODEL))
          .isInstanceOfSatisfying(
              PayloadException.class,
              refused ->
                  assertThat(refused.fault())
                      .as(refused.getMessage())
                      .isEqualTo(TapFault.valueOf(described.get("fault").asText())));
      return;
    }
    RoutedExperts routed = payload.decode(MODEL);
    assertThat(List.of(routed.tokens(), routed.layers(), routed.topK()))
        .isEqualTo(integers(described.get("shape")));
    assertThat(IntStream.of(routed.ids()).boxed()).isEqualTo(integers(described.get("ids")));
  }

  private static List<Integer> integers(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).map(JsonNode::asInt).toList();
  }
}

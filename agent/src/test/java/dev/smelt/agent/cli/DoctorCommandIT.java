package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.inference.TinyCheckpoint;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The tiny checkpoint has 2 blocks with top-2 of 6 experts. */
class DoctorCommandIT {

  private static final String PLAIN = "{\"choices\":[{\"text\":\"a\"}]}";

  @TempDir Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final Vertx vertx = Vertx.vertx();
  private final Map<String, String> routes = new HashMap<>();
  private Path checkpoint;
  private String engine;
  private boolean refusesTheField;

  @BeforeEach
  void start() throws Exception {
    checkpoint = new TinyCheckpoint(1).write(folder.resolve("tiny"));
    HttpServer server = vertx.createHttpServer().requestHandler(this::answer);
    engine = "http://127.0.0.1:" + server.listen(0, "127.0.0.1").await().actualPort();
    routes.put(
        "GET /v1/models", "{\"data\":[{\"id\":\"m\",\"root\":\"%s\"}]}".formatted(checkpoint));
    routes.put("POST /v1/completions", PLAIN);
  }

  @AfterEach
  void stop() {
    vertx.close().await();
  }

  @Test
  void shouldFindAReadySglang() throws Exception {
    sglang();
    routes.put("POST /v1/completions", routed(0, 1, 2, 3, 4, 5, 1, 0));

    assertThat(run("--checkpoint", checkpoint)).isZero();

    assertThat(out.toString())
        .contains("good    engine: SGLang, version 0.5.6, serves 'm'; write 'dialect: sglang'")
        .contains("good    routed experts: come back and fit the checkpoint: 2 tokens in each of 2")
        .contains("good    weight update: can be done in place through /update_weights_from_disk")
        .contains("has the checkpoint's 2 blocks");
  }

  @Test
  void shouldSayHowToStartVllm() {
    routes.put("GET /version", "{\"version\":\"0.12.0\"}");

    assertThat(run("--checkpoint", checkpoint)).isEqualTo(1);

    assertThat(out.toString())
        .contains("good    engine: vLLM, version 0.12.0")
        .contains("bad     routed experts: do not come back in the answer")
        .contains("-> start the engine with --enable-return-routed-experts")
        .contains("-> start vLLM with VLLM_SERVER_DEV_MODE=1");
  }

  @Test
  void shouldWarnOfExpertLoadBalancing() {
    routes.put("GET /version", "{\"version\":\"0.12.0\"}");
    routes.put("POST /collective_rpc", "{}");
    routes.put("POST /pause", "{}");
    routes.put("GET /server_info", "{\"vllm_config\":\"...enable_eplb=True...\"}");

    assertThat(run()).isEqualTo(1);

    assertThat(out.toString()).contains("-> start the engine without --enable-eplb");
  }

  @Test
  void shouldSayThatTheFieldIsRefused() {
    sglang();
    refusesTheField = true;

    assertThat(run()).isEqualTo(1);

    assertThat(out.toString())
        .contains("routed experts: the engine refuses return_routed_experts: HTTP 400");
  }

  @Test
  void shouldSayThatExpertsAreAllZero() {
    sglang();
    routes.put("POST /v1/completions", routed(new int[8]));

    assertThat(run("--checkpoint", checkpoint)).isEqualTo(1);

    assertThat(out.toString())
        .contains(
            "returns only zeros as expert ids; choose another MoE backend or update the engine");
  }

  @Test
  void shouldSayThatAnotherModelIsServed() throws Exception {
    Path other =
        new TinyCheckpoint(1)
            .configured(config -> config.put("num_experts_per_tok", 3))
            .write(folder.resolve("other"));
    sglang();
    routes.put("POST /v1/completions", routed(0, 1, 2, 3, 4, 5, 1, 0));

    assertThat(run("--checkpoint", other)).isEqualTo(1);

    assertThat(out.toString())
        .contains("with top-2 of 6 experts, 16 x 24 instead of")
        .contains("-> name the checkpoint that the engine was started on");
  }

  @Test
  void shouldPrintJson() throws Exception {
    sglang();

    run("--json");

    JsonNode findings = new ObjectMapper().readTree(out.toString()).path("findings");
    assertThat(findings.findValuesAsText("about"))
        .containsExactly("ENGINE", "ROUTED_EXPERTS", "WEIGHT_UPDATE", "SHAPES");
    assertThat(findings.findValuesAsText("verdict"))
        .containsExactly("GOOD", "BAD", "GOOD", "UNSURE");
  }

  @Test
  void shouldSayThatNothingAnswers() {
    engine = "http://127.0.0.1:1";

    assertThat(run()).isEqualTo(1);

    assertThat(out.toString()).startsWith("bad     engine: http://127.0.0.1:1 does not answer: ");
  }

  @Test
  void shouldSayThatItIsNoEngine() {
    routes.clear();

    assertThat(run()).isEqualTo(1);

    assertThat(out.toString()).contains("/v1/models answered HTTP 404");
  }

  @Test
  void shouldRefuseAnAddressThatIsNone() {
    engine = "localhost:8000";

    assertThat(run()).isEqualTo(1);

    assertThat(err.toString())
        .isEqualTo("smelt: 'localhost:8000' is no address; write http://host:port\n");
  }

  private void sglang() {
    routes.put("GET /model_info", "{\"model_path\":\"%s\"}".formatted(checkpoint));
    routes.put("GET /server_info", "{\"version\":\"0.5.6\"}");
    routes.put("POST /update_weights_from_disk", "{}");
    routes.put("POST /pause_generation", "{}");
  }

  private static String routed(int... ids) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * ids.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(ids);
    return "{\"choices\":[{\"text\":\"a\",\"sgl_ext\":{\"routed_experts\":\"%s\"}}],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}"
        .formatted(Base64.getEncoder().encodeToString(bytes.array()));
  }

  private void answer(HttpServerRequest request) {
    request
        .body()
        .onSuccess(
            body -> {
              String path = request.path();
              String found = routes.get(request.method() + " " + path);
              int status = 200;
              if (found == null) {
                status =
                    routes.keySet().stream().anyMatch(route -> route.endsWith(" " + path))
                        ? 405
                        : 404;
              } else if (refusesTheField && body.toString().contains("return_routed_experts")) {
                status = 400;
              }
              request.response().setStatusCode(status).end(found == null ? "{}" : found);
            });
  }

  private int run(Object... arguments) {
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out));
    commandLine.setErr(new PrintWriter(err));
    String[] texts = new String[arguments.length + 3];
    texts[0] = "doctor";
    texts[1] = "--engine";
    texts[2] = engine;
    for (int i = 0; i < arguments.length; i++) {
      texts[i + 3] = arguments[i].toString();
    }
    return commandLine.execute(texts);
  }
}

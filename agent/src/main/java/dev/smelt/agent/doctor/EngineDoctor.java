package dev.smelt.agent.doctor;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.doctor.EngineProbe.Reply;
import dev.smelt.agent.doctor.Finding.About;
import dev.smelt.agent.tap.AnswerCheck;
import dev.smelt.agent.tap.TappedModel;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CheckpointException;
import dev.smelt.store.checkpoint.MoeBlock;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Examines an engine: who it is, whether routed experts come back, whether its weights can be
 * updated and whether it serves what the checkpoint says.
 *
 * <p>Failure semantics: nothing is changed. One completion of a few tokens is generated; routes
 * that update weights are asked with GET, which they refuse, so that only their existence is seen.
 */
public final class EngineDoctor {

  private static final String PROMPT = "The quick brown fox jumps over the lazy dog.";
  private static final int NEW_TOKENS = 2;
  private static final int SHOWN_BLOCKS = 3;

  private final URI engine;
  private final EngineProbe probe;
  private final Optional<Checkpoint> checkpoint;
  private final List<Finding> findings = new ArrayList<>();

  private EngineDoctor(URI engine, EngineProbe probe, Optional<Checkpoint> checkpoint) {
    this.engine = engine;
    this.probe = probe;
    this.checkpoint = checkpoint;
  }

  /** What an engine is, as its routes tell. */
  private enum Kind {
    VLLM("vLLM", "vllm"),
    SGLANG("SGLang", "sglang"),
    BOTH("an engine that speaks both vLLM's and SGLang's interface", "sglang"),
    OTHER("an OpenAI-compatible server that is neither vLLM nor SGLang", "");

    private final String words;
    private final String dialect;

    Kind(String words, String dialect) {
      this.words = words;
      this.dialect = dialect;
    }
  }

  /**
   * Examines an engine.
   *
   * @param apiKey bearer token of the engine
   * @param timeout of each single call
   * @param checkpoint what it is meant to serve
   * @return what was found, in the order in which it was looked at
   */
  public static List<Finding> examine(
      URI engine, Optional<String> apiKey, Duration timeout, Optional<Checkpoint> checkpoint)
      throws InterruptedException {
    EngineDoctor doctor =
        new EngineDoctor(engine, new EngineProbe(engine, apiKey, timeout), checkpoint);
    try {
      doctor.examine();
    } catch (IOException silent) {
      doctor.findings.add(
          Finding.bad(
              About.ENGINE,
              "%s does not answer: %s".formatted(engine, reason(silent)),
              "start the engine, or correct the address; see --timeout if it is only slow"));
    }
    return List.copyOf(doctor.findings);
  }

  private static String reason(IOException silent) {
    String message = silent.getMessage();
    return message == null || message.isBlank() ? silent.getClass().getSimpleName() : message;
  }

  private void examine() throws IOException, InterruptedException {
    Reply models = probe.get("/v1/models");
    if (models.status() == 401 || models.status() == 403) {
      findings.add(
          Finding.bad(
              About.ENGINE,
              "%s wants a key: %s".formatted(engine, models.shown()),
              "pass --api-key"));
      return;
    }
    JsonNode served = models.json().path("data").path(0);
    if (!models.good() || !served.hasNonNull("id")) {
      findings.add(
          Finding.bad(
              About.ENGINE,
              "%s/v1/models answered %s".formatted(engine, models.shown()),
              "name the base address of an engine with an OpenAI-compatible interface"));
      return;
    }
    Reply info = probe.get("/model_info");
    boolean sglang = info.good() && info.json().hasNonNull("model_path");
    Reply version = probe.get("/version");
    boolean vllm =
        (version.good() && version.json().hasNonNull("version")) || probe.get("/is_paused").good();
    Kind kind = sglang ? (vllm ? Kind.BOTH : Kind.SGLANG) : vllm ? Kind.VLLM : Kind.OTHER;
    String model = served.path("id").asText();
    findings.add(identity(kind, model, version));
    routedExperts(kind, model);
    weightUpdate(kind);
    shapes(served, info);
  }

  private Finding identity(Kind kind, String model, Reply vllmVersion)
      throws IOException, InterruptedException {
    Optional<String> version = text(vllmVersion.json().path("version"));
    if (version.isEmpty() && kind != Kind.VLLM) {
      version = text(probe.get("/server_info").json().path("version"));
      if (version.isEmpty()) {
        version = text(probe.get("/get_server_info").json().path("version"));
      }
    }
    String says =
        "%s, %s, serves '%s'"
            .formatted(
                kind.words, version.map("version "::concat).orElse("version not told"), model);
    return kind == Kind.OTHER
        ? Finding.unsure(
            About.ENGINE,
            says,
            "only vLLM's and SGLang's interfaces are known; for others use the engine-side hook")
        : Finding.good(
            About.ENGINE,
            says + "; write 'dialect: %s' in the agent's YAML".formatted(kind.dialect));
  }

  private static Optional<String> text(JsonNode node) {
    return node.isTextual() ? Optional.of(node.asText()) : Optional.empty();
  }

  private void routedExperts(Kind kind, String model) throws IOException, InterruptedException {
    ObjectNode request =
        JsonNodeFactory.instance
            .objectNode()
            .put("model", model)
            .put("prompt", PROMPT)
            .put("max_tokens", NEW_TOKENS);
    Reply asked =
        probe.post("/v1/completions", request.deepCopy().put("return_routed_experts", true));
    if (!asked.good()) {
      Reply plain = probe.post("/v1/completions", request);
      findings.add(
          plain.good()
              ? Finding.bad(
                  About.ROUTED_EXPERTS,
                  "the engine refuses return_routed_experts: " + asked.shown(),
                  start(kind))
              : Finding.bad(
                  About.ROUTED_EXPERTS,
                  "completions fail: " + plain.shown(),
                  "see the engine's log; nothing can be tapped before it completes a prompt"));
      return;
    }
    AnswerCheck.Result result = AnswerCheck.of(asked.body(), checkpoint.map(this::tapped));
    if (result instanceof AnswerCheck.Fits fits) {
      findings.add(
          Finding.good(
              About.ROUTED_EXPERTS,
              "come back and fit the checkpoint: %d tokens in each of %d blocks"
                  .formatted(fits.tokens(), fits.blocks())));
    } else if (result instanceof AnswerCheck.Unchecked) {
      findings.add(
          Finding.unsure(
              About.ROUTED_EXPERTS,
              "come back; whether they fit the model was not looked at",
              "pass --checkpoint to have them checked"));
    } else if (result instanceof AnswerCheck.Unusable unusable) {
      findings.add(
          Finding.bad(
              About.ROUTED_EXPERTS,
              "come back, but cannot be used: " + unusable.detail(),
              unusable.fault().remedy()));
    } else {
      findings.add(
          Finding.bad(About.ROUTED_EXPERTS, "do not come back in the answer", start(kind)));
    }
  }

  private TappedModel tapped(Checkpoint opened) {
    return TappedModel.of(opened.name(), opened);
  }

  private static String start(Kind kind) {
    return kind == Kind.OTHER
        ? "put the engine-side hook into the engine, or use vLLM or SGLang"
        : "start the engine with --enable-return-routed-experts; if it was, a gateway in between"
            + " may drop the field (SGLang 20696), so ask the engine directly";
  }

  private void weightUpdate(Kind kind) throws IOException, InterruptedException {
    findings.add(
        switch (kind) {
          case SGLANG, BOTH ->
              probe.takesPosts("/update_weights_from_disk") && probe.takesPosts("/pause_generation")
                  ? Finding.good(
                      About.WEIGHT_UPDATE,
                      "can be done in place through /update_weights_from_disk, with pause and"
                          + " continue")
                  : Finding.bad(
                      About.WEIGHT_UPDATE,
                      "there is no /update_weights_from_disk or no /pause_generation",
                      "update SGLang, and let no gateway stand before its control routes");
          case VLLM -> vllmUpdate();
          case OTHER ->
              Finding.bad(
                  About.WEIGHT_UPDATE,
                  "no interface is known by which weights could be changed",
                  "replace replicas instead: export snapshots with smelt store export and start a"
                      + " new replica on the folder");
        });
  }

  private Finding vllmUpdate() throws IOException, InterruptedException {
    if (!probe.takesPosts("/collective_rpc") || !probe.takesPosts("/pause")) {
      return Finding.bad(
          About.WEIGHT_UPDATE,
          "there is no /collective_rpc or no /pause",
          "start vLLM with VLLM_SERVER_DEV_MODE=1, on a port that only this machine reaches");
    }
    Reply info = probe.get("/server_info?config_format=json");
    JsonNode balancing = info.json().findValue("enable_eplb");
    boolean on =
        (balancing != null && balancing.asBoolean()) || info.text().contains("enable_eplb=True");
    boolean off =
        (balancing != null && !balancing.asBoolean()) || info.text().contains("enable_eplb=False");
    if (on) {
      return Finding.bad(
          About.WEIGHT_UPDATE,
          "expert load balancing is on, under which reloading misplaces experts (vLLM 55228)",
          "start the engine without --enable-eplb");
    }
    return off
        ? Finding.good(About.WEIGHT_UPDATE, "can be done in place through reload_weights")
        : Finding.unsure(
            About.WEIGHT_UPDATE,
            "reload_weights is there, but the engine does not tell whether expert load balancing"
                + " is on",
            "make sure that it was started without --enable-eplb (vLLM 55228)");
  }

  private void shapes(JsonNode served, Reply info) {
    if (checkpoint.isEmpty()) {
      findings.add(
          Finding.unsure(About.SHAPES, "not compared with a checkpoint", "pass --checkpoint DIR"));
      return;
    }
    Optional<String> folder =
        text(info.json().path("model_path")).or(() -> text(served.path("root")));
    if (folder.isEmpty() || !Files.isDirectory(Path.of(folder.get()))) {
      findings.add(
          Finding.unsure(
              About.SHAPES,
              "the engine serves from %s, which is not readable here"
                  .formatted(folder.orElse("an unknown folder")),
              "run the doctor where the engine's files are; in place, only the same names and"
                  + " shapes can be loaded"));
      return;
    }
    try (Checkpoint other = Checkpoint.open(Path.of(folder.get()))) {
      String difference = difference(checkpoint.get(), other);
      findings.add(
          difference == null
              ? Finding.good(
                  About.SHAPES,
                  "the served %s has the checkpoint's %d blocks"
                      .formatted(folder.get(), other.blocks().size()))
              : Finding.bad(
                  About.SHAPES,
                  "the served %s differs: %s".formatted(folder.get(), difference),
                  "name the checkpoint that the engine was started on"));
    } catch (CheckpointException unreadable) {
      findings.add(
          Finding.unsure(
              About.SHAPES,
              "the served checkpoint cannot be read: " + unreadable.getMessage(),
              "run the doctor with the folder that the engine was started on"));
    }
  }

  private static @Nullable String difference(Checkpoint expected, Checkpoint served) {
    List<String> differences = new ArrayList<>();
    if (expected.blocks().size() != served.blocks().size()) {
      return "%d blocks with experts instead of %d"
          .formatted(served.blocks().size(), expected.blocks().size());
    }
    for (int i = 0; i < expected.blocks().size(); i++) {
      String wanted = shape(expected.blocks().get(i));
      String found = shape(served.blocks().get(i));
      if (!wanted.equals(found)) {
        differences.add("%s instead of %s".formatted(found, wanted));
      }
    }
    return differences.isEmpty()
        ? null
        : String.join("; ", differences.subList(0, Math.min(SHOWN_BLOCKS, differences.size())));
  }

  private static String shape(MoeBlock block) {
    return "%s with top-%d of %d experts, %d x %d"
        .formatted(block.name(), block.topK(), block.experts(), block.hidden(), block.width());
  }
}

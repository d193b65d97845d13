package dev.smelt.agent.swap;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.swap.EngineCalls.Answered;
import dev.smelt.agent.swap.EngineCalls.Reply;
import java.util.Optional;

/**
 * SGLang: pause by retracting (requests start over, the cache can be flushed), load from disk under
 * the snapshot's id as weight version, compare that version, continue.
 */
final class SglangProtocol implements InPlaceProtocol {

  private final EngineCalls engine;
  private final SwapSettings settings;

  SglangProtocol(EngineCalls engine, SwapSettings settings) {
    this.engine = engine;
    this.settings = settings;
  }

  @Override
  public Outcome ready() {
    return EngineCalls.outcome(engine.get("/model_info", settings.callTimeout()));
  }

  @Override
  public Outcome pause() {
    return EngineCalls.outcome(
        engine.post("/pause_generation", "{\"mode\":\"retract\"}", settings.pauseTimeout()));
  }

  @Override
  public Outcome load(Serving weights) {
    ObjectNode body =
        JsonNodeFactory.instance
            .objectNode()
            .put("model_path", weights.directory().toString())
            .put("abort_all_requests", false)
            .put("flush_cache", true)
            .put("weight_version", weights.version());
    Reply reply = engine.post("/update_weights_from_disk", body.toString(), settings.loadTimeout());
    if (reply instanceof Answered answered
        && answered.good()
        && !answered.json().path("success").asBoolean()) {
      return new Outcome.Failed(answered.problem());
    }
    return EngineCalls.outcome(reply);
  }

  @Override
  public Outcome verify(Serving weights) {
    Optional<String> version = version();
    return version.equals(Optional.of(weights.version()))
        ? Outcome.done()
        : new Outcome.Failed(
            "the engine says that it serves weight version %s and not %s"
                .formatted(version.orElse("unknown"), weights.version()));
  }

  @Override
  public Outcome resume() {
    return EngineCalls.outcome(engine.post("/continue_generation", "{}", settings.callTimeout()));
  }

  @Override
  public Optional<String> version() {
    return engine.get("/model_info", settings.callTimeout()) instanceof Answered answered
            && answered.good()
        ? Optional.ofNullable(answered.json().path("weight_version").asText(null))
        : Optional.empty();
  }
}

package dev.smelt.agent.swap;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.swap.EngineCalls.Answered;
import dev.smelt.agent.swap.EngineCalls.Reply;
import java.util.Optional;

/**
 * vLLM in developer mode: pause and wait for requests in flight, reload the weights on every
 * worker, forget cached prefixes, resume. vLLM has no name for what it serves, so that verifying
 * means that it is healthy.
 */
final class VllmProtocol implements InPlaceProtocol {

  private final EngineCalls engine;
  private final SwapSettings settings;

  VllmProtocol(EngineCalls engine, SwapSettings settings) {
    this.engine = engine;
    this.settings = settings;
  }

  @Override
  public Outcome ready() {
    Reply reply = engine.get("/server_info?config_format=json", settings.callTimeout());
    if (!(reply instanceof Answered answered)) {
      return EngineCalls.outcome(reply);
    }
    Optional<Boolean> balancing = answered.good() ? balancing(answered) : Optional.<Boolean>empty();
    if (balancing.isEmpty()) {
      return new Outcome.Failed(
          "the engine does not tell whether expert load balancing is on, under which reloading"
              + " misplaces experts silently (vLLM 55228); start it with VLLM_SERVER_DEV_MODE=1");
    }
    return balancing.get()
        ? new Outcome.Failed(
            "expert load balancing is on, under which reloading misplaces experts silently (vLLM"
                + " 55228); start the engine without --enable-eplb")
        : Outcome.done();
  }

  private static Optional<Boolean> balancing(Answered info) {
    JsonNode flag = info.json().findValue("enable_eplb");
    if (flag != null && flag.isBoolean()) {
      return Optional.of(flag.asBoolean());
    }
    // Older versions print the configuration as Python text.
    if (info.body().contains("enable_eplb=True")) {
      return Optional.of(true);
    }
    return info.body().contains("enable_eplb=False") ? Optional.of(false) : Optional.empty();
  }

  @Override
  public Outcome pause() {
    return EngineCalls.outcome(engine.post("/pause?mode=wait", "", settings.pauseTimeout()));
  }

  @Override
  public Outcome load(Serving weights) {
    ObjectNode call = JsonNodeFactory.instance.objectNode().put("method", "reload_weights");
    call.putObject("kwargs").put("weights_path", weights.directory().toString());
    Outcome reloaded =
        EngineCalls.outcome(
            engine.post("/collective_rpc", call.toString(), settings.loadTimeout()));
    return reloaded instanceof Outcome.Done
        ? EngineCalls.outcome(engine.post("/reset_prefix_cache", "", settings.callTimeout()))
        : reloaded;
  }

  @Override
  public Outcome verify(Serving weights) {
    return EngineCalls.outcome(engine.get("/health", settings.callTimeout()));
  }

  @Override
  public Outcome resume() {
    Outcome resumed = EngineCalls.outcome(engine.post("/resume", "", settings.callTimeout()));
    if (!(resumed instanceof Outcome.Done)) {
      return resumed;
    }
    Reply reply = engine.get("/is_paused", settings.callTimeout());
    return reply instanceof Answered answered && answered.json().path("is_paused").asBoolean()
        ? new Outcome.Failed("the engine says that it is still paused")
        : Outcome.done();
  }

  @Override
  public Optional<String> version() {
    return Optional.empty();
  }
}

package dev.smelt.agent.swap;

import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import dev.smelt.agent.swap.SwapResult.Unknown;
import java.net.URI;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Exchanges the weights of one running engine.
 *
 * <p>Failure semantics, step by step: where pausing fails, nothing was changed and generation is
 * resumed. Where loading fails or its outcome is lost, the engine's own rollback is not trusted:
 * the previous weights are pushed again, and only when the engine has them is generation resumed.
 * If they cannot be brought back, the engine is left paused rather than serving mixed weights, and
 * the result is unknown. Where resuming fails, it is tried again before the result is unknown.
 */
public final class InPlaceDriver implements SwapDriver {

  private static final Logger LOG = LoggerFactory.getLogger(InPlaceDriver.class);

  private final URI engine;
  private final InPlaceProtocol protocol;
  private final SwapSettings settings;

  private InPlaceDriver(URI engine, InPlaceProtocol protocol, SwapSettings settings) {
    this.engine = engine;
    this.protocol = protocol;
    this.settings = settings;
  }

  public static InPlaceDriver sglang(URI engine, SwapSettings settings) {
    return new InPlaceDriver(
        engine, new SglangProtocol(new EngineCalls(engine, settings), settings), settings);
  }

  public static InPlaceDriver vllm(URI engine, SwapSettings settings) {
    return new InPlaceDriver(
        engine, new VllmProtocol(new EngineCalls(engine, settings), settings), settings);
  }

  @Override
  public SwapResult swap(Serving target, Serving previous) {
    Outcome ready = protocol.ready();
    if (!(ready instanceof Outcome.Done)) {
      return new Kept(previous.snapshot(), ready.problem());
    }
    Outcome paused = protocol.pause();
    if (!(paused instanceof Outcome.Done)) {
      return resumed(new Kept(previous.snapshot(), "pausing failed: " + paused.problem()));
    }
    Outcome loaded = protocol.load(target);
    if (loaded instanceof Outcome.Lost && arrived(target)) {
      loaded = Outcome.done();
    }
    if (loaded instanceof Outcome.Done) {
      loaded = protocol.verify(target);
    }
    return loaded instanceof Outcome.Done
        ? resumed(new Served(target.snapshot()))
        : restored(previous, "loading %s failed: %s".formatted(target.version(), loaded.problem()));
  }

  @Override
  public boolean servesOther(Serving served) {
    return protocol.version().filter(version -> !version.equals(served.version())).isPresent();
  }

  private boolean arrived(Serving weights) {
    return protocol.version().equals(Optional.of(weights.version()));
  }

  private SwapResult restored(Serving previous, String reason) {
    LOG.atWarn()
        .addKeyValue("engine", engine)
        .addKeyValue("reason", reason)
        .log("The previous weights are pushed again");
    Outcome loaded = protocol.load(previous);
    if (loaded instanceof Outcome.Lost && arrived(previous)) {
      loaded = Outcome.done();
    }
    if (loaded instanceof Outcome.Done) {
      loaded = protocol.verify(previous);
    }
    return loaded instanceof Outcome.Done
        ? resumed(new Kept(previous.snapshot(), reason))
        : new Unknown(
            "%s; bringing back %s failed too: %s; the engine is left paused, restart it on %s"
                .formatted(reason, previous.version(), loaded.problem(), previous.directory()));
  }

  /** The result once the engine generates again. */
  private SwapResult resumed(SwapResult result) {
    Outcome resumed = protocol.resume();
    for (int attempt = 1; attempt < settings.attempts(); attempt++) {
      if (resumed instanceof Outcome.Done || !Pause.of(settings.between())) {
        break;
      }
      resumed = protocol.resume();
    }
    if (resumed instanceof Outcome.Done) {
      return result;
    }
    String so = result instanceof Kept kept ? kept.reason() + "; then " : "";
    return new Unknown(
        so + "%s may be paused: resuming failed: %s".formatted(engine, resumed.problem()));
  }
}

package dev.smelt.agent.control;

import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * One model in an agent that may or may not be the one that acts. While it acts, this is its loop;
 * while another does, it shows what the store knows, says who acts, and refuses requests.
 */
public final class LedModel implements ModelControl {

  private final ModelSettings settings;
  private final SnapshotStore store;
  private final Supplier<String> leader;
  private final Clock clock;
  private final long fullExpertBytes;
  private volatile Optional<ModelLoop> loop = Optional.empty();
  private volatile Instant since;

  /**
   * @param checkpoint the full model
   * @param leader the name of the agent that acts
   */
  public LedModel(
      ModelSettings settings,
      Checkpoint checkpoint,
      SnapshotStore store,
      Supplier<String> leader,
      Clock clock) {
    this.settings = settings;
    this.store = store;
    this.leader = leader;
    this.clock = clock;
    this.since = clock.instant();
    this.fullExpertBytes = Recipe.expertBytes(checkpoint);
  }

  /** From now on this agent acts, by this loop. */
  public void lead(ModelLoop next) {
    loop = Optional.of(next);
  }

  /** From now on another agent acts. */
  public void standBy() {
    loop = Optional.empty();
    since = clock.instant();
  }

  /** The id of the snapshot that the engine serves; empty for the full model or while unknown. */
  public String servedSnapshot() {
    return loop.map(ModelLoop::servedSnapshot)
        .orElseGet(() -> active().filter(Serving::compressed).map(Manifest::id).orElse(""));
  }

  @Override
  public String model() {
    return settings.name();
  }

  @Override
  public LoopState state() {
    return loop.map(ModelLoop::state).orElseGet(() -> new LoopState.Standby(since, leader.get()));
  }

  @Override
  public LoopStatus status() {
    return loop.map(ModelLoop::status).orElseGet(this::statusOnStandby);
  }

  private LoopStatus statusOnStandby() {
    Optional<Manifest> active = active();
    return new LoopStatus(
        model(),
        state(),
        settings.policy().mode(),
        active.map(Manifest::id),
        store.ref(model(), Ref.PREVIOUS).map(Ref::snapshot),
        Optional.empty(),
        Optional.empty(),
        0,
        0,
        "standing by: " + leader.get() + " acts",
        Optional.empty(),
        0,
        Optional.empty(),
        fullExpertBytes,
        active.filter(Serving::compressed).map(Manifest::bytes).orElse(fullExpertBytes));
  }

  @Override
  public List<BlockTraffic> traffic() {
    return loop.map(ModelLoop::traffic).orElse(List.of());
  }

  @Override
  public List<DriftPoint> drift(int most) {
    return loop.map(acting -> acting.drift(most)).orElse(List.of());
  }

  @Override
  public List<Journal.Entry> journal(int most) {
    return loop.map(acting -> acting.journal(most)).orElse(List.of());
  }

  @Override
  public CompletionStage<Outcome> remerge(Request request) {
    return asked(acting -> acting.remerge(request));
  }

  @Override
  public CompletionStage<Outcome> approve(Request request) {
    return asked(acting -> acting.approve(request));
  }

  @Override
  public CompletionStage<Outcome> reject(Request request) {
    return asked(acting -> acting.reject(request));
  }

  @Override
  public CompletionStage<Outcome> pause(Request request) {
    return asked(acting -> acting.pause(request));
  }

  @Override
  public CompletionStage<Outcome> resume(Request request) {
    return asked(acting -> acting.resume(request));
  }

  @Override
  public void signal(Signal signal) {
    loop.orElseThrow(() -> new IllegalArgumentException(refusal())).signal(signal);
  }

  @Override
  public CompletionStage<Outcome> activate(String snapshot, Request request) {
    return asked(acting -> acting.activate(snapshot, request));
  }

  @Override
  public CompletionStage<Outcome> rollback(Optional<String> snapshot, Request request) {
    return asked(acting -> acting.rollback(snapshot, request));
  }

  private CompletionStage<Outcome> asked(Function<ModelLoop, CompletionStage<Outcome>> what) {
    return loop.map(what)
        .orElseGet(() -> CompletableFuture.completedFuture(new Outcome.Refused(refusal())));
  }

  private String refusal() {
    return "this agent stands by; ask the one that acts: " + leader.get();
  }

  private Optional<Manifest> active() {
    return store.ref(model(), Ref.ACTIVE).map(ref -> store.manifest(model(), ref.snapshot()));
  }
}

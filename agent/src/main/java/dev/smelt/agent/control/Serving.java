package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.control.Journal.Kind;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.StateFile.OwnActivation;
import dev.smelt.agent.control.StateFile.TurnedDown;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Makes the engine of one model serve what the ref {@code active} names, whoever moved it, and
 * drift be measured from what that was made for. Written by the loop's thread, read by any.
 *
 * <p>Failure semantics: where the engine refuses, the ref goes back. After an outcome that is not
 * known, and at every start, what is served is taken as unknown and set right before anything else.
 */
final class Serving {

  static final String SELF = "smelt";

  private static final Duration RETRY = Duration.ofSeconds(5);

  /** The strategy of the snapshot that stands for the full model. */
  private static final String FULL_MODEL = "none";

  private final String model;
  private final String checkpointDigest;
  private final SnapshotStore store;
  private final Traffic traffic;
  private final Activator activator;
  private final CanarySettings settings;
  private final CanaryWatch canary;
  private final LoopRecord record;
  private final Fence fence;
  private final Clock clock;

  private volatile Optional<Manifest> served = Optional.empty();
  private volatile Optional<Manifest> active = Optional.empty();
  private volatile int activations;
  private Instant retryAt = Instant.MIN;
  private boolean baselineSent;

  /**
   * @param checkpointDigest of the full model
   * @param traffic what drift is measured in
   * @param canary begins when a snapshot of the loop's own serves
   */
  Serving(
      String model,
      String checkpointDigest,
      SnapshotStore store,
      Traffic traffic,
      Activator activator,
      CanarySettings settings,
      CanaryWatch canary,
      LoopRecord record,
      Fence fence,
      Clock clock) {
    this.model = model;
    this.checkpointDigest = checkpointDigest;
    this.store = store;
    this.traffic = traffic;
    this.activator = activator;
    this.settings = settings;
    this.canary = canary;
    this.record = record;
    this.fence = fence;
    this.clock = clock;
  }

  /** What the engine is known to serve. */
  Optional<Manifest> served() {
    return served;
  }

  /** What should serve, as last seen. */
  Optional<Manifest> active() {
    return active;
  }

  /** Whether a snapshot should serve, and not the full model. */
  boolean compressed() {
    return active.filter(Serving::compressed).isPresent();
  }

  static boolean compressed(Manifest manifest) {
    return !manifest.fullModel();
  }

  /** How many compressed snapshots the engine has taken since the start. */
  int activations() {
    return activations;
  }

  /** Whether the engine is left alone for a moment after a failure. */
  boolean waits() {
    return clock.instant().isBefore(retryAt);
  }

  /** Leaves the engine alone for a moment. */
  void retryLater() {
    retryAt = clock.instant().plus(RETRY);
  }

  /** The traffic that no better candidate than what serves was found for. */
  Optional<TurnedDown> turnedDown() {
    return active.flatMap(now -> record.content().turnedDownFor(now.id()));
  }

  /** What drift is measured from: what the active snapshot was made for, or was found good for. */
  JsonNode reference() {
    return turnedDown()
        .map(TurnedDown::usage)
        .or(() -> active.map(Manifest::baseline))
        .orElseGet(JsonNodeFactory.instance::objectNode);
  }

  /** Makes the engine serve what the ref {@code active} names. */
  Outcome follow() {
    Manifest wanted = wanted();
    active = Optional.of(wanted);
    if (activator.disturbed()) {
      served = Optional.empty();
    }
    if (served.isPresent() && served.get().id().equals(wanted.id())) {
      finish(wanted);
      return new Outcome.Done(wanted.id() + " serves");
    }
    String from = served.map(Manifest::id).orElse("unknown");
    LoopState.Activating activating =
        record.enter(record.state().activate(clock.instant(), from, wanted.id(), "ref active"));
    Activator.Result result = activator.activate(wanted);
    Instant now = clock.instant();
    Outcome outcome;
    if (result instanceof Activator.Result.Kept kept) {
      outcome = takeBack(wanted, kept.reason());
    } else if (result instanceof Activator.Result.Unknown unknown) {
      served = Optional.empty();
      retryAt = now.plus(RETRY);
      record.write(Kind.FAILURE, "not known what serves: " + unknown.reason(), Map.of());
      outcome = new Outcome.Unknown(unknown.reason());
    } else {
      outcome = nowServes(wanted, from, now);
    }
    record.enter(afterActivation(activating, outcome, now));
    return outcome;
  }

  /** Follows a move of the ref, if it was made. */
  Outcome follow(RefUpdate update) {
    if (update instanceof RefUpdate.Conflict conflict) {
      return new Outcome.Refused(
          "the ref active was moved meanwhile to " + conflict.actual().orElse("nothing"));
    }
    Outcome outcome = follow();
    return update instanceof RefUpdate.Unknown unknown
        ? new Outcome.Unknown(unknown.cause())
        : outcome;
  }

  /**
   * Moves the ref for a person. They chose what serves: the loop does not choose otherwise before
   * it is told to.
   */
  Outcome move(Supplier<RefUpdate> change) {
    String before = active.map(Manifest::id).orElse("");
    RefUpdate update = fence.guard(change);
    String now = store.ref(model, Ref.ACTIVE).map(Ref::snapshot).orElse(before);
    boolean chosen =
        update instanceof RefUpdate.Moved
            || update instanceof RefUpdate.Unknown && !now.equals(before);
    if (chosen) {
      hold(before, now);
    }
    Outcome outcome = follow(update);
    if (chosen && outcome instanceof Outcome.Done) {
      record.content().heldState().ifPresent(record::enter);
    }
    return outcome;
  }

  /** On disk before the engine is touched: neither silence nor a crash makes the loop forget it. */
  private void hold(String before, String chosen) {
    LoopState state = record.state();
    if (!(state instanceof LoopState.Paused || state instanceof LoopState.RolledBack)) {
      Instant now = clock.instant();
      record.save(
          record
              .content()
              .holding(state.activate(now, before, chosen, "by request").settleOnEarlier(now)));
    }
  }

  /** Moves the ref for the loop itself, which watches what comes of it. */
  Outcome moveTo(String snapshot, String reason) {
    String previous = active.orElseThrow().id();
    record.save(
        record
            .content()
            .with(new OwnActivation(previous, snapshot, canary.level(clock.instant()))));
    return follow(
        fence.guard(() -> store.activate(model, snapshot, new Reason(SELF, oneLine(reason)))));
  }

  /**
   * Lets the snapshot before serve again. That the candidate is withdrawn is on disk before the ref
   * moves, so that a restart between the two goes on watching and comes to the same end.
   */
  void rollBack(LoopState.Canary watching, String reason) {
    Manifest worse = store.manifest(model, watching.snapshot());
    OwnActivation own = record.content().ownOf(worse.id()).orElseThrow();
    TurnedDown traffic = new TurnedDown(watching.previous(), clock.instant(), worse.baseline());
    record.save(record.content().withdraw(worse.id(), traffic).with(own));
    follow(
        fence.guard(
            () ->
                store.moveRef(
                    model,
                    Ref.ACTIVE,
                    Optional.of(worse.id()),
                    watching.previous(),
                    new Reason(SELF, oneLine("canary: " + reason)))));
  }

  /**
   * No candidate is better than what serves: from now on drift is measured from this traffic, so
   * that none is made again before the traffic has moved.
   */
  void turnDown(Map<String, Profile> profiles) {
    Manifest serving = active.orElseThrow();
    record.save(
        record
            .content()
            .inVain(new TurnedDown(serving.id(), clock.instant(), Baselines.toJson(profiles))));
    measureFromNow(serving);
  }

  /** What came after a swap could not be done then, say because the broker was away. */
  private void finish(Manifest serving) {
    Instant now = clock.instant();
    if (!baselineSent) {
      rebase(serving, now);
    }
    if (record.state() instanceof LoopState.Activating activating) {
      record.enter(afterActivation(activating, new Outcome.Done(serving.id() + " serves"), now));
    }
  }

  private Outcome nowServes(Manifest snapshot, String from, Instant now) {
    if (served.isPresent() && compressed(snapshot)) {
      activations++;
    }
    served = Optional.of(snapshot);
    record.save(record.content().serving(snapshot.id()));
    rebase(snapshot, now);
    record.write(
        Kind.ACTIVATION,
        "engine serves " + snapshot.id() + " in place of " + from,
        Map.of("from", from, "to", snapshot.id()));
    return new Outcome.Done(snapshot.id() + " serves");
  }

  private LoopState afterActivation(LoopState.Activating activating, Outcome outcome, Instant now) {
    if (served.isEmpty()) {
      return activating.degrade(now, outcome.message());
    }
    Optional<LoopState> held = record.content().heldState();
    if (held.isPresent()) {
      return held.get();
    }
    Optional<OwnActivation> own =
        settings.watches() ? record.content().ownOf(served.get().id()) : Optional.empty();
    if (own.isEmpty()) {
      return activating.settle(now);
    }
    canary.begin(now);
    return activating.watch(
        now, own.get().previous(), own.get().snapshot(), now.plus(settings.window()));
  }

  private Outcome takeBack(Manifest wanted, String reason) {
    record.write(Kind.FAILURE, "engine does not take " + wanted.id() + ": " + reason, Map.of());
    retryLater();
    if (served.isEmpty()) {
      return new Outcome.Refused(reason);
    }
    Manifest kept = served.get();
    RefUpdate back =
        fence.guard(
            () ->
                store.moveRef(
                    model,
                    Ref.ACTIVE,
                    Optional.of(wanted.id()),
                    kept.id(),
                    new Reason(SELF, oneLine("engine refused: " + reason))));
    if (back instanceof RefUpdate.Moved) {
      active = served;
      record.save(record.content().refused(wanted.id()));
      if (record.content().ownOf(wanted.id()).isPresent()) {
        record.save(
            record
                .content()
                .withdraw(
                    wanted.id(), new TurnedDown(kept.id(), clock.instant(), wanted.baseline())));
        measureFromNow(kept);
      }
    }
    return new Outcome.Refused(reason);
  }

  private void measureFromNow(Manifest serving) {
    rebase(serving, clock.instant());
    record.write(
        Kind.STATE,
        "drift is measured from the traffic of now: nothing better than "
            + serving.id()
            + " was found for it, and nothing is tried again until it has moved",
        Map.of());
  }

  private void rebase(Manifest snapshot, Instant now) {
    List<Baseline> baselines = Baselines.of(snapshot, reference(), now);
    baselineSent = baselines.isEmpty();
    if (!baselineSent) {
      fence.guard(
          () -> {
            traffic.rebase(baselines);
            return baselines;
          });
      baselineSent = true;
    }
  }

  /** What should serve; the first start of all publishes the full model as the base snapshot. */
  private Manifest wanted() {
    Optional<Ref> ref = store.ref(model, Ref.ACTIVE);
    if (ref.isPresent()) {
      return active
          .filter(known -> known.id().equals(ref.get().snapshot()))
          .orElseGet(() -> store.manifest(model, ref.get().snapshot()));
    }
    return fence.guard(this::firstBase);
  }

  private Manifest firstBase() {
    try (Publication publication = store.begin(model)) {
      Manifest base =
          publication.commit(ManifestDraft.of(SELF, "start", FULL_MODEL, checkpointDigest));
      Reason reason = new Reason(SELF, "the full model, before any compression");
      store.moveRef(model, Ref.BASE, Optional.empty(), base.id(), reason);
      store.activate(model, base.id(), reason);
      return base;
    }
  }

  /** A reason as the store's log takes it. */
  static String oneLine(String text) {
    String line = text.replaceAll("\\p{Cntrl}+", " ").strip();
    return line.length() <= 500 ? line : line.substring(0, 500);
  }
}

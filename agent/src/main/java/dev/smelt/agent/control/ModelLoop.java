package dev.smelt.agent.control;

import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.control.Detector.Basis;
import dev.smelt.agent.control.Detector.Seen;
import dev.smelt.agent.control.Journal.Entry;
import dev.smelt.agent.control.Journal.Kind;
import dev.smelt.agent.control.StateFile.OwnActivation;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.StoreException;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The control loop of one model. All work happens on one thread, so nothing is ever done twice at
 * once; what a person asks for interrupts planning, compressing and gating, never an activation.
 *
 * <p>The ref {@code active} says what should serve, whoever moved it; the loop makes the engine
 * follow. Where the engine refuses, the ref goes back.
 *
 * <p>Failure semantics: a crash before the candidate's manifest is committed leaves blobs that the
 * store collects; one between the move of the ref and the swap leaves the ref naming the new
 * snapshot, and the next start makes the engine follow it. What the engine serves is taken as
 * unknown at every start and set right before anything else.
 */
public final class ModelLoop implements ModelControl, AutoCloseable {

  private static final Logger LOGGER = LoggerFactory.getLogger(ModelLoop.class);
  private static final Duration TICK = Duration.ofMillis(250);

  private final ModelSettings settings;
  private final SnapshotStore store;
  private final Clock clock;
  private final AlignmentFile alignments;
  private final CanaryWatch canary;
  private final Interruption interruption = new Interruption();
  private final LoopRecord record;
  private final Serving serving;
  private final MomentsSupply moments;
  private final Detector detector;
  private final Remerger remerger;
  private final long fullExpertBytes;
  private final ScheduledExecutorService thread;

  private volatile String decision = "starting";

  /**
   * @param checkpoint the full model, open as long as the loop
   * @param live where second moments of the traffic come to
   * @param figures how the engine has served so far
   * @param fence lets through only what the acting agent does
   * @param folder where the loop keeps its state and its journal
   * @param changed called after each change of {@link #status}, on the loop's thread
   * @param told of each journal entry
   */
  public ModelLoop(
      ModelSettings settings,
      Checkpoint checkpoint,
      SnapshotStore store,
      Traffic traffic,
      LiveMoments live,
      Activator activator,
      Supplier<ServingFigures> figures,
      Fence fence,
      Path folder,
      Clock clock,
      Runnable changed,
      Consumer<Entry> told)
      throws IOException {
    this.settings = settings;
    this.store = store;
    this.clock = clock;
    this.alignments = AlignmentFile.open(folder.resolve("alignments.bin"), checkpoint.digest());
    this.canary = new CanaryWatch(settings.canary(), figures);
    this.record =
        new LoopRecord(settings.name(), folder, clock, fence, interruption, changed, told);
    this.serving =
        new Serving(
            settings.name(),
            checkpoint.digest(),
            store,
            traffic,
            activator,
            settings.canary(),
            canary,
            record,
            fence,
            clock);
    this.moments = new MomentsSupply(live, settings.compression(), traffic.halfLife(), clock);
    Gate gate = new Gate(checkpoint, settings.gate(), store::tensors);
    this.detector =
        new Detector(
            checkpoint.blocks(),
            traffic,
            moments,
            store,
            gate,
            settings.policy(),
            record,
            serving,
            clock);
    this.remerger =
        new Remerger(
            settings,
            checkpoint,
            store,
            fenced(alignments, fence),
            moments,
            gate,
            detector,
            serving,
            record,
            interruption,
            clock);
    this.fullExpertBytes = Recipe.expertBytes(checkpoint);
    this.thread =
        Executors.newSingleThreadScheduledExecutor(
            work -> new Thread(work, "smelt-loop-" + settings.name()));
  }

  /** Starts to watch and act. */
  public void start() {
    thread.scheduleWithFixedDelay(this::step, 0, TICK.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Stops; work in hand is abandoned, an activation is finished first. */
  @Override
  public void close() throws IOException {
    thread.shutdown();
    interruption.ask();
    try {
      if (!thread.awaitTermination(settings.engine().timeout().toMillis(), TimeUnit.MILLISECONDS)) {
        LOGGER.atWarn().addKeyValue("model", model()).log("the loop did not stop in time");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    record.close();
    alignments.close();
  }

  @Override
  public String model() {
    return settings.name();
  }

  /** The id of the snapshot that the engine serves; empty for the full model or while unknown. */
  public String servedSnapshot() {
    return serving.served().filter(Serving::compressed).map(Manifest::id).orElse("");
  }

  @Override
  public LoopState state() {
    return record.state();
  }

  @Override
  public LoopStatus status() {
    Optional<Manifest> active = serving.active();
    return new LoopStatus(
        model(),
        record.state(),
        settings.policy().mode(),
        active.map(Manifest::id),
        store.ref(model(), Ref.PREVIOUS).map(Ref::snapshot),
        serving.served().map(Manifest::id),
        detector.newestDrift(),
        detector.breachedWindows(),
        detector.tokens(detector.profilesIfKnown()),
        decision,
        remerger.progress(),
        serving.activations(),
        record.content().lastRemerge(),
        fullExpertBytes,
        active.filter(Serving::compressed).map(Manifest::bytes).orElse(fullExpertBytes));
  }

  @Override
  public List<BlockTraffic> traffic() {
    return detector.traffic();
  }

  @Override
  public List<DriftPoint> drift(int most) {
    return detector.drift(most);
  }

  @Override
  public List<Entry> journal(int most) {
    return record.newest(most);
  }

  @Override
  public CompletionStage<Outcome> remerge(Request request) {
    return ask(
        request,
        "re-merge",
        () ->
            record.state() instanceof LoopState.Observing observing
                ? remerger.remerge(
                    observing.plan(clock.instant(), Trigger.HAND, request.why()),
                    new Basis(detector.profiles(), false))
                : refused("only while observing"));
  }

  @Override
  public CompletionStage<Outcome> approve(Request request) {
    return ask(
        request,
        "approve",
        () ->
            record.state() instanceof LoopState.AwaitingApproval waiting
                ? approved(waiting)
                : refused("nothing waits for approval"));
  }

  @Override
  public CompletionStage<Outcome> reject(Request request) {
    return ask(
        request,
        "reject",
        () -> {
          if (record.state() instanceof LoopState.AwaitingApproval waiting) {
            record.save(record.content().withRemerge(clock.instant()));
            record.enter(waiting.reject(clock.instant()));
            return new Outcome.Done("rejected; the cool-down starts anew");
          }
          return refused("nothing waits for approval");
        });
  }

  @Override
  public CompletionStage<Outcome> pause(Request request) {
    return ask(
        request,
        "pause",
        () -> {
          if (record.state() instanceof LoopState.Observing observing) {
            record.enter(observing.pause(clock.instant(), request.who(), request.why()));
          } else if (record.state() instanceof LoopState.Canary watching) {
            record.enter(watching.pause(clock.instant(), request.who(), request.why()));
          } else {
            return refused("only while observing or watching");
          }
          return new Outcome.Done("paused");
        });
  }

  @Override
  public CompletionStage<Outcome> resume(Request request) {
    return ask(
        request,
        "resume",
        () -> {
          if (record.state() instanceof LoopState.Paused paused) {
            record.enter(paused.resume(clock.instant()));
          } else if (record.state() instanceof LoopState.RolledBack rolledBack) {
            record.enter(rolledBack.resume(clock.instant()));
          } else {
            return refused("neither paused nor rolled back");
          }
          return new Outcome.Done("observing");
        });
  }

  @Override
  public void signal(Signal signal) {
    canary.post(signal, clock.instant());
  }

  @Override
  public CompletionStage<Outcome> activate(String snapshot, Request request) {
    return ask(
        request,
        "activate " + snapshot,
        () -> serving.move(() -> store.activate(model(), snapshot, reason(request))));
  }

  @Override
  public CompletionStage<Outcome> rollback(Optional<String> snapshot, Request request) {
    return ask(
        request,
        "roll back" + snapshot.map(id -> " to " + id).orElse(""),
        () -> serving.move(() -> store.rollback(model(), snapshot, reason(request))));
  }

  private CompletionStage<Outcome> ask(Request request, String what, Supplier<Outcome> work) {
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    interruption.ask();
    thread.execute(
        () -> {
          try {
            Outcome result = work.get();
            record.write(
                Kind.OPERATOR,
                request.who() + ": " + what + " (" + request.why() + "): " + result.message(),
                Map.of());
            outcome.complete(result);
          } catch (StoreException | IllegalStateException | IllegalArgumentException e) {
            outcome.complete(new Outcome.Refused(e.getMessage()));
          } catch (RuntimeException e) {
            record.failed("request failed", e);
            outcome.completeExceptionally(e);
          }
        });
    return outcome;
  }

  private Outcome refused(String when) {
    return new Outcome.Refused(
        "not possible while " + LoopRecord.name(record.state().getClass()) + ": " + when);
  }

  /**
   * Looks, decides and acts once, on the calling thread: what {@link #start} repeats. For those who
   * keep the time themselves.
   */
  public void step() {
    try {
      if (serving.waits()) {
        return;
      }
      serving.follow();
      if (record.state() instanceof LoopState.Canary watching) {
        watch(watching);
        return;
      }
      canary.note(clock.instant());
      if (record.state() instanceof LoopState.Observing observing) {
        decide(observing);
      }
    } catch (Fence.Deposed deposed) {
      LOGGER.atInfo().addKeyValue("model", model()).log(deposed.getMessage());
      serving.retryLater();
    } catch (RuntimeException e) {
      record.failed("the loop stumbled and goes on", e);
      serving.retryLater();
    }
  }

  private void decide(LoopState.Observing observing) {
    Seen seen;
    try {
      seen = detector.look();
    } catch (IllegalStateException starting) {
      decision = "waiting for the stream: " + starting.getMessage();
      return;
    }
    Decision next = moments.orWait(Policy.decide(detector.evidence(seen), settings.policy()));
    decision = next.reason();
    Instant now = clock.instant();
    if (next instanceof Decision.Remerge wanted) {
      switch (settings.policy().mode()) {
        case OBSERVE -> {
          record.write(Kind.DECISION, "would re-merge: " + wanted.reason(), Map.of());
          if (wanted.trigger() == Trigger.SCHEDULE) {
            record.save(record.content().withScheduleDone(now));
          }
        }
        case APPROVE -> {
          record.write(Kind.DECISION, "asks to re-merge: " + wanted.reason(), Map.of());
          record.enter(observing.propose(now, wanted.trigger(), wanted.reason()));
        }
        case AUTO -> {
          record.write(Kind.DECISION, "re-merges: " + wanted.reason(), Map.of());
          remerger.remerge(
              observing.plan(now, wanted.trigger(), wanted.reason()),
              wanted.trigger() == Trigger.DRIFT
                  ? detector.sinceShift(seen)
                  : new Basis(seen.profiles(), false));
        }
      }
    } else if (next instanceof Decision.Recall wanted) {
      String what = wanted.snapshot() + ": " + wanted.reason();
      switch (settings.policy().mode()) {
        case OBSERVE -> record.write(Kind.DECISION, "would recall " + what, Map.of());
        case APPROVE -> {
          record.write(Kind.DECISION, "asks to recall " + what, Map.of());
          record.enter(observing.propose(now, Trigger.RECALL, wanted.reason()));
        }
        case AUTO -> {
          record.write(Kind.DECISION, "recalls " + what, Map.of());
          remerger.recall(observing.recall(now, wanted.reason()), wanted.snapshot(), seen);
        }
      }
    } else {
      record.write(Kind.DECISION, "nothing to do: " + next.reason(), Map.of());
    }
  }

  private void watch(LoopState.Canary watching) {
    Instant now = clock.instant();
    Optional<OwnActivation> own = record.content().ownOf(watching.snapshot());
    if (own.isEmpty()) {
      record.enter(watching.keep(now));
      return;
    }
    CanaryWatch.Finding finding = canary.judge(own.get().before(), now, watching.until());
    decision = "watching " + watching.snapshot() + ": " + finding.reason();
    if (finding instanceof CanaryWatch.Finding.Worse worse) {
      record.write(Kind.CANARY, "worse: " + worse.reason(), worse.figures());
      serving.rollBack(watching, worse.reason());
    } else if (finding instanceof CanaryWatch.Finding.Well well) {
      record.write(Kind.CANARY, "kept: " + well.reason(), well.figures());
      record.save(record.content().withoutOwn());
      record.enter(watching.keep(now));
    }
  }

  private Outcome approved(LoopState.AwaitingApproval waiting) {
    Seen seen = detector.seen(detector.profiles());
    Optional<Evidence.Earlier> earlier =
        waiting.trigger() == Trigger.RECALL ? detector.earlier(seen) : Optional.empty();
    return earlier.isPresent()
        ? remerger.recall(waiting.recall(clock.instant()), earlier.get().snapshot(), seen)
        : remerger.remerge(waiting.approve(clock.instant()), detector.sinceShift(seen));
  }

  /** Keeps nothing once another agent acts, which may keep some in the same file. */
  private static AlignmentCache fenced(AlignmentFile alignments, Fence fence) {
    return new AlignmentCache() {
      @Override
      public Optional<int[]> find(Pair pair) {
        return alignments.find(pair);
      }

      @Override
      public void keep(Pair pair, int[] permutation) {
        fence.guard(
            () -> {
              alignments.keep(pair, permutation);
              return permutation;
            });
      }
    };
  }

  private static Reason reason(Request request) {
    return new Reason(request.who(), Serving.oneLine(request.why()), request.key());
  }
}

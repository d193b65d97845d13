package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.control.Journal.Entry;
import dev.smelt.agent.control.Journal.Kind;
import dev.smelt.agent.control.LoopStatus.Progress;
import dev.smelt.agent.control.StateFile.OwnActivation;
import dev.smelt.agent.control.StateFile.TurnedDown;
import dev.smelt.agent.plan.PlanException;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.StoreException;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
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
  private static final Duration RETRY = Duration.ofSeconds(5);
  private static final String SELF = "smelt";

  /** The strategy of the snapshot that stands for the full model. */
  private static final String FULL_MODEL = "none";

  private final ModelSettings settings;
  private final Checkpoint checkpoint;
  private final SnapshotStore store;
  private final Traffic traffic;
  private final Activator activator;
  private final Clock clock;
  private final AlignmentFile alignments;
  private final List<Smelter> smelters;
  private final Gate gate;
  private final ShapeMemory memory;
  private final CanaryWatch canary;
  private final Schedule schedule;
  private final Interruption interruption = new Interruption();
  private final Journal journal;
  private final StateFile stateFile;
  private final Runnable changed;
  private final long fullExpertBytes;
  private final ScheduledExecutorService thread;

  private volatile StateFile.Content content;
  private volatile Optional<Manifest> served = Optional.empty();
  private volatile Optional<Manifest> active = Optional.empty();
  private volatile Optional<Progress> progress = Optional.empty();
  private volatile String decision = "starting";
  private volatile int activations;
  private Map<String, Profile> beforeBreach = Map.of();
  private Instant retryAt = Instant.MIN;
  private boolean baselineSent;

  /**
   * @param checkpoint the full model, open as long as the loop
   * @param serving how the engine has served so far
   * @param folder where the loop keeps its state and its journal
   * @param changed called after each change of {@link #status}, on the loop's thread
   * @param told of each journal entry
   */
  public ModelLoop(
      ModelSettings settings,
      Checkpoint checkpoint,
      SnapshotStore store,
      Traffic traffic,
      Activator activator,
      Supplier<ServingFigures> serving,
      Path folder,
      Clock clock,
      Runnable changed,
      java.util.function.Consumer<Entry> told)
      throws IOException {
    this.settings = settings;
    this.checkpoint = checkpoint;
    this.store = store;
    this.traffic = traffic;
    this.activator = activator;
    this.clock = clock;
    this.changed = changed;
    this.alignments = AlignmentFile.open(folder.resolve("alignments.bin"), checkpoint.digest());
    this.smelters =
        settings.compression().strategies().stream()
            .map(
                strategy ->
                    new Smelter(
                        checkpoint, settings.compression(), strategy, alignments, store::holds))
            .toList();
    this.gate = new Gate(checkpoint, settings.gate());
    this.canary = new CanaryWatch(settings.canary(), serving);
    this.memory = new ShapeMemory(store, settings.policy().rememberedSnapshots());
    this.journal = Journal.open(folder.resolve("journal.jsonl"), told);
    this.stateFile = new StateFile(folder.resolve("state.json"));
    this.fullExpertBytes = checkpoint.blocks().stream().mapToLong(this::expertBytes).sum();
    this.schedule = new Schedule(settings.policy().schedule());
    this.content = restored();
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
    journal.close();
    alignments.close();
  }

  @Override
  public String model() {
    return settings.name();
  }

  /** The id of the snapshot that the engine serves; empty for the full model or while unknown. */
  public String servedSnapshot() {
    return served.filter(ModelLoop::compressed).map(Manifest::id).orElse("");
  }

  @Override
  public LoopState state() {
    return content.state();
  }

  @Override
  public LoopStatus status() {
    Optional<Manifest> now = active;
    return new LoopStatus(
        model(),
        content.state(),
        settings.policy().mode(),
        now.map(Manifest::id),
        store.ref(model(), Ref.PREVIOUS).map(Ref::snapshot),
        served.map(Manifest::id),
        newestDrift(),
        breachedWindows(),
        profileTokens(profilesIfKnown()),
        decision,
        progress,
        activations,
        content.lastRemerge(),
        fullExpertBytes,
        now.filter(ModelLoop::compressed).map(Manifest::bytes).orElse(fullExpertBytes));
  }

  @Override
  public List<BlockTraffic> traffic() {
    Map<String, Profile> profiles = profilesIfKnown();
    Shape reference = Shape.of(reference());
    List<BlockTraffic> blocks = new ArrayList<>();
    for (MoeBlock block : checkpoint.blocks()) {
      Profile profile = profiles.get(block.name());
      if (profile != null) {
        blocks.add(
            new BlockTraffic(
                block.name(),
                profile.topK(),
                profile.tokens(),
                profile.requests(),
                list(profile.frequency()),
                Optional.ofNullable(reference.frequency().get(block.name()))
                    .map(ModelLoop::list)
                    .orElse(List.of())));
      }
    }
    return blocks;
  }

  @Override
  public List<DriftPoint> drift(int most) {
    return traffic.drift().points(most);
  }

  @Override
  public List<Entry> journal(int most) {
    return journal.newest(most);
  }

  @Override
  public CompletionStage<Outcome> remerge(Request request) {
    return ask(
        request,
        "re-merge",
        () ->
            content.state() instanceof LoopState.Observing observing
                ? remerge(
                    observing.plan(clock.instant(), Trigger.HAND, request.why()), requireProfiles())
                : refused("only while observing"));
  }

  @Override
  public CompletionStage<Outcome> approve(Request request) {
    return ask(
        request,
        "approve",
        () ->
            content.state() instanceof LoopState.AwaitingApproval waiting
                ? approved(waiting, requireProfiles())
                : refused("nothing waits for approval"));
  }

  @Override
  public CompletionStage<Outcome> reject(Request request) {
    return ask(
        request,
        "reject",
        () -> {
          if (content.state() instanceof LoopState.AwaitingApproval waiting) {
            save(content.withRemerge(clock.instant()));
            enter(waiting.reject(clock.instant()));
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
          if (content.state() instanceof LoopState.Observing observing) {
            enter(observing.pause(clock.instant(), request.who(), request.why()));
          } else if (content.state() instanceof LoopState.Canary watching) {
            enter(watching.pause(clock.instant(), request.who(), request.why()));
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
          if (content.state() instanceof LoopState.Paused paused) {
            enter(paused.resume(clock.instant()));
          } else if (content.state() instanceof LoopState.RolledBack rolledBack) {
            enter(rolledBack.resume(clock.instant()));
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
        () -> move(() -> store.activate(model(), snapshot, reason(request))));
  }

  @Override
  public CompletionStage<Outcome> rollback(Optional<String> snapshot, Request request) {
    return ask(
        request,
        "roll back" + snapshot.map(id -> " to " + id).orElse(""),
        () -> move(() -> store.rollback(model(), snapshot, reason(request))));
  }

  private CompletionStage<Outcome> ask(Request request, String what, Supplier<Outcome> work) {
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    interruption.ask();
    thread.execute(
        () -> {
          try {
            Outcome result = work.get();
            write(
                Kind.OPERATOR,
                request.who() + ": " + what + " (" + request.why() + "): " + result.message(),
                Map.of());
            outcome.complete(result);
          } catch (StoreException | IllegalStateException | IllegalArgumentException e) {
            outcome.complete(new Outcome.Refused(e.getMessage()));
          } catch (RuntimeException e) {
            failed("request failed", e);
            outcome.completeExceptionally(e);
          }
        });
    return outcome;
  }

  private Outcome refused(String when) {
    return new Outcome.Refused(
        "not possible in state " + content.state().getClass().getSimpleName() + ": " + when);
  }

  /**
   * Looks, decides and acts once, on the calling thread: what {@link #start} repeats. For those who
   * keep the time themselves.
   */
  public void step() {
    try {
      if (clock.instant().isBefore(retryAt)) {
        return;
      }
      follow();
      if (content.state() instanceof LoopState.Canary watching) {
        watch(watching);
        return;
      }
      canary.note(clock.instant());
      if (content.state() instanceof LoopState.Observing observing) {
        decide(observing);
      }
    } catch (RuntimeException e) {
      failed("the loop stumbled and goes on", e);
      retryAt = clock.instant().plus(RETRY);
    }
  }

  private void decide(LoopState.Observing observing) {
    Map<String, Profile> profiles;
    try {
      profiles = traffic.profiles();
    } catch (IllegalStateException starting) {
      decision = "waiting for the stream: " + starting.getMessage();
      return;
    }
    if (breachedWindows() == 0) {
      beforeBreach = profiles;
    }
    Map<String, Profile> recent = recent(profiles);
    Decision next = Policy.decide(evidence(profiles, recent), settings.policy());
    decision = next.reason();
    Instant now = clock.instant();
    if (next instanceof Decision.Remerge wanted) {
      switch (settings.policy().mode()) {
        case OBSERVE -> {
          write(Kind.DECISION, "would re-merge: " + wanted.reason(), Map.of());
          if (wanted.trigger() == Trigger.SCHEDULE) {
            save(content.withScheduleDone(now));
          }
        }
        case APPROVE -> {
          write(Kind.DECISION, "asks to re-merge: " + wanted.reason(), Map.of());
          enter(observing.propose(now, wanted.trigger(), wanted.reason()));
        }
        case AUTO -> {
          write(Kind.DECISION, "re-merges: " + wanted.reason(), Map.of());
          remerge(
              observing.plan(now, wanted.trigger(), wanted.reason()),
              wanted.trigger() == Trigger.DRIFT ? sinceShift(profiles, recent) : profiles);
        }
      }
    } else if (next instanceof Decision.Recall wanted) {
      String what = wanted.snapshot() + ": " + wanted.reason();
      switch (settings.policy().mode()) {
        case OBSERVE -> write(Kind.DECISION, "would recall " + what, Map.of());
        case APPROVE -> {
          write(Kind.DECISION, "asks to recall " + what, Map.of());
          enter(observing.propose(now, Trigger.RECALL, wanted.reason()));
        }
        case AUTO -> {
          write(Kind.DECISION, "recalls " + what, Map.of());
          recall(observing.recall(now, wanted.reason()), wanted.snapshot(), profiles);
        }
      }
    } else {
      write(Kind.DECISION, "nothing to do: " + next.reason(), Map.of());
    }
  }

  private void watch(LoopState.Canary watching) {
    Instant now = clock.instant();
    Optional<OwnActivation> own = content.ownOf(watching.snapshot());
    if (own.isEmpty()) {
      enter(watching.keep(now));
      return;
    }
    CanaryWatch.Finding finding = canary.judge(own.get().before(), now, watching.until());
    decision = "watching " + watching.snapshot() + ": " + finding.reason();
    if (finding instanceof CanaryWatch.Finding.Worse worse) {
      write(Kind.CANARY, "worse: " + worse.reason(), worse.figures());
      rollBack(watching, worse.reason());
    } else if (finding instanceof CanaryWatch.Finding.Well well) {
      write(Kind.CANARY, "kept: " + well.reason(), well.figures());
      save(content.withoutOwn());
      enter(watching.keep(now));
    }
  }

  /**
   * Lets the snapshot before serve again. That the candidate is withdrawn is on disk before the ref
   * moves, so that a restart between the two goes on watching and comes to the same end.
   */
  private void rollBack(LoopState.Canary watching, String reason) {
    Manifest worse = store.manifest(model(), watching.snapshot());
    Instant now = clock.instant();
    OwnActivation own = content.ownOf(worse.id()).orElseThrow();
    TurnedDown traffic = new TurnedDown(watching.previous(), now, worse.baseline());
    save(content.withdraw(worse.id(), traffic).with(own));
    followed(
        store.moveRef(
            model(),
            Ref.ACTIVE,
            Optional.of(worse.id()),
            watching.previous(),
            new Reason(SELF, oneLine("canary: " + reason))));
  }

  private Outcome approved(LoopState.AwaitingApproval waiting, Map<String, Profile> profiles) {
    Map<String, Profile> recent = recent(profiles);
    Optional<Evidence.Earlier> earlier =
        waiting.trigger() == Trigger.RECALL ? earlier(recent) : Optional.empty();
    return earlier.isPresent()
        ? recall(waiting.recall(clock.instant()), earlier.get().snapshot(), profiles)
        : remerge(waiting.approve(clock.instant()), sinceShift(profiles, recent));
  }

  private Evidence evidence(Map<String, Profile> profiles, Map<String, Profile> recent) {
    Instant now = clock.instant();
    int breached = breachedWindows();
    boolean drifted = breached >= settings.policy().consecutiveWindows();
    return new Evidence(
        now,
        profileTokens(profiles),
        active.filter(ModelLoop::compressed).isPresent(),
        turnedDown().isPresent(),
        newestDrift(),
        breached,
        drifted && fading(profiles, recent),
        drifted ? earlier(recent) : Optional.empty(),
        content.lastRemerge(),
        content.lastRecall(),
        content.remergesSince(now.minus(Policy.DAY)),
        schedule.due(scheduleDoneUntil(now), now));
  }

  /** A schedule that is new begins now. */
  private Instant scheduleDoneUntil(Instant now) {
    Instant until = content.scheduled();
    if (until == null && schedule.set()) {
      save(content.withScheduleDone(now));
    }
    return until == null ? now : until;
  }

  /** The traffic since the windows in a row began that are over the threshold. */
  private Map<String, Profile> recent(Map<String, Profile> profiles) {
    Map<String, Profile> recent = new HashMap<>();
    profiles.forEach(
        (block, profile) -> {
          Profile before = beforeBreach.get(block);
          Profile since = before == null ? profile : profile.since(before, traffic.halfLife());
          recent.put(block, since.tokens() > 0 ? since : profile);
        });
    return recent;
  }

  private boolean fading(Map<String, Profile> profiles, Map<String, Profile> recent) {
    Shape profile = Shape.of(profiles);
    Shape reference = Shape.of(reference());
    return reference.covers(profile)
        && Shape.of(recent).distance(reference) < profile.distance(reference);
  }

  /**
   * What a re-merge after drift is made from: after a sudden shift the profile still mixes old and
   * new traffic, and the traffic since the shift is the better guide if there is enough of it.
   */
  private Map<String, Profile> sinceShift(
      Map<String, Profile> profiles, Map<String, Profile> recent) {
    Shape profile = Shape.of(profiles);
    Shape reference = Shape.of(reference());
    boolean sudden =
        reference.covers(profile)
            && Shape.of(recent).distance(profile) > profile.distance(reference);
    return sudden && profileTokens(recent) >= settings.policy().minimumTokens() ? recent : profiles;
  }

  private Optional<Evidence.Earlier> earlier(Map<String, Profile> recent) {
    return active.flatMap(
        now ->
            memory.nearer(
                now,
                Shape.of(reference()),
                Shape.of(recent),
                asOf(recent),
                Set.copyOf(content.withdrawn())));
  }

  /** What drift is measured from: what the active snapshot was made for, or was found good for. */
  private JsonNode reference() {
    return turnedDown()
        .map(TurnedDown::usage)
        .or(() -> active.map(Manifest::baseline))
        .orElseGet(JsonNodeFactory.instance::objectNode);
  }

  private Optional<TurnedDown> turnedDown() {
    return active.flatMap(now -> content.turnedDownFor(now.id()));
  }

  private Optional<Evidence.Drift> newestDrift() {
    return active
        .flatMap(now -> traffic.drift().newest(now.id(), measuredSince()))
        .map(ModelLoop::drift);
  }

  private int breachedWindows() {
    return active.map(now -> traffic.drift().breachedWindows(now.id(), measuredSince())).orElse(0);
  }

  private Instant measuredSince() {
    return turnedDown().map(TurnedDown::at).orElse(Instant.MIN);
  }

  /** Lets an earlier snapshot serve if it does no worse; merges anew otherwise. */
  private Outcome recall(LoopState.Gating gating, String snapshot, Map<String, Profile> profiles) {
    save(content.withRecall(clock.instant()));
    enter(gating);
    Map<String, Profile> recent = recent(profiles);
    boolean passed = false;
    try {
      Manifest earlier = store.manifest(model(), snapshot);
      interruption.allow();
      Gate.Verdict verdict;
      try {
        progress = Optional.of(new Progress("scoring " + snapshot, 0, 1));
        verdict = gate.judge(store.tensors(earlier), activeTensors(), frequencies(recent), 0);
      } finally {
        interruption.forbid();
        progress = Optional.empty();
      }
      write(
          Kind.GATE,
          (verdict.passed() ? "recall passed: " : "recall refused: ") + verdict.reason(),
          verdict.figures());
      passed = verdict.passed();
    } catch (IOException | RuntimeException e) {
      if (interruption.asked()) {
        return abandoned("recall", gating.refuse(clock.instant()));
      }
      failed("recall failed; what served goes on serving", e);
    }
    if (passed) {
      return activateOwn(snapshot, "RECALL: " + gating.reason());
    }
    LoopState.Observing observing = enter(gating.refuse(clock.instant()));
    return remerge(
        observing.plan(clock.instant(), Trigger.DRIFT, "the recall of " + snapshot + " failed"),
        sinceShift(profiles, recent));
  }

  /**
   * No candidate is better than what serves: from now on drift is measured from this traffic, so
   * that none is made again before the traffic has moved.
   */
  private void turnDown(Map<String, Profile> profiles) {
    Manifest serving = active.orElseThrow();
    save(content.with(new TurnedDown(serving.id(), clock.instant(), Baselines.toJson(profiles))));
    measureFromNow(serving);
  }

  private void measureFromNow(Manifest serving) {
    rebase(serving, clock.instant());
    write(
        Kind.STATE,
        "drift is measured from the traffic of now: nothing better than "
            + serving.id()
            + " was found for it, and nothing is tried again until it has moved",
        Map.of());
  }

  private Outcome remerge(LoopState.Planning planning, Map<String, Profile> profiles) {
    save(content.withRemerge(clock.instant()));
    enter(planning);
    LoopState abandonedTo = planning.abandon(clock.instant());
    Manifest candidate;
    try {
      interruption.allow();
      try {
        Manifest before = active.orElseThrow();
        List<Attempt> attempts = attempts(profiles, before);
        if (attempts.isEmpty()) {
          interruption.forbid();
          return nothingChanged(planning, profiles);
        }
        LoopState.Compressing compressing = enter(planning.compress(clock.instant()));
        for (Attempt attempt : attempts) {
          attempt
              .smelter()
              .compress(
                  attempt.reuse(),
                  before,
                  attempt.publication(),
                  (block, done, all) ->
                      progress =
                          Optional.of(new Progress("merging by " + attempt.strategy(), done, all)));
        }
        LoopState.Gating gating = enter(compressing.gate(clock.instant()));
        Map<Attempt, Gate.Verdict> verdicts = judge(attempts, profiles);
        Optional<Attempt> best =
            attempts.stream()
                .filter(attempt -> verdicts.get(attempt).passed())
                .min(Comparator.comparingDouble(attempt -> verdicts.get(attempt).bitsPerByte()));
        if (best.isEmpty()) {
          turnDown(profiles);
          enter(gating.refuse(clock.instant()));
          return new Outcome.Refused(
              verdicts.values().stream()
                  .map(Gate.Verdict::reason)
                  .collect(Collectors.joining("; ")));
        }
        interruption.forbid();
        LoopState.Publishing publishing = enter(gating.publish(clock.instant()));
        abandonedTo = publishing.abandon(clock.instant());
        candidate =
            best.get()
                .publication()
                .commit(draft(planning.trigger(), best.get(), verdicts, profiles));
      } finally {
        interruption.forbid();
        progress = Optional.empty();
      }
    } catch (IOException | RuntimeException e) {
      if (interruption.asked()) {
        return abandoned("re-merge", abandonedTo);
      }
      failed("re-merge failed; what served goes on serving", e);
      enter(abandonedTo);
      return new Outcome.Refused(String.valueOf(e.getMessage()));
    }
    return activateOwn(candidate.id(), planning.trigger() + ": " + planning.reason());
  }

  /** One strategy's candidate in the making. */
  private record Attempt(Smelter smelter, Reuse reuse, Publication publication) {
    String strategy() {
      return smelter.strategy();
    }
  }

  /** What each strategy would make of the traffic; those that would change nothing are left out. */
  private List<Attempt> attempts(Map<String, Profile> profiles, Manifest before) {
    List<Attempt> attempts = new ArrayList<>();
    List<PlanException> lacking = new ArrayList<>();
    for (Smelter smelter : smelters) {
      try {
        Reuse reuse = smelter.plan(profiles, before);
        if (!reuse.everything()) {
          attempts.add(new Attempt(smelter, reuse, store.begin(model())));
        }
      } catch (PlanException e) {
        lacking.add(e);
        write(Kind.DECISION, smelter.strategy() + " is not tried: " + e.getMessage(), Map.of());
      }
    }
    if (lacking.size() == smelters.size()) {
      throw lacking.get(0);
    }
    return attempts;
  }

  private Map<Attempt, Gate.Verdict> judge(List<Attempt> attempts, Map<String, Profile> profiles)
      throws IOException {
    Map<Attempt, Gate.Verdict> verdicts = new LinkedHashMap<>();
    for (Attempt attempt : attempts) {
      progress =
          Optional.of(
              new Progress("scoring " + attempt.strategy(), verdicts.size(), attempts.size()));
      Gate.Verdict verdict =
          gate.judge(
              attempt.publication().tensors(),
              activeTensors(),
              frequencies(profiles),
              settings.gate().minimumGain());
      verdicts.put(attempt, verdict);
      write(
          Kind.GATE,
          String.format(
              Locale.ROOT,
              "%s: %s: %s; %d of %d groups are kept from the active snapshot",
              verdict.passed() ? "passed" : "refused",
              attempt.strategy(),
              verdict.reason(),
              attempt.reuse().keptGroups(),
              attempt.reuse().plan().groups()),
          verdict.figures());
    }
    return verdicts;
  }

  private Outcome nothingChanged(LoopState.Planning planning, Map<String, Profile> profiles) {
    String serving = active.orElseThrow().id();
    write(
        Kind.DECISION,
        String.format(
            Locale.ROOT,
            "skipped: in no group does the new plan differ from that of %s by more than %.1f%%"
                + " (compression.reuseWithin)",
            serving,
            100 * settings.compression().reuseWithin()),
        Map.of());
    turnDown(profiles);
    enter(planning.abandon(clock.instant()));
    return new Outcome.Done("nothing material has changed; " + serving + " goes on serving");
  }

  private Outcome abandoned(String what, LoopState next) {
    write(Kind.STATE, what + " abandoned for a request", Map.of());
    enter(next);
    return new Outcome.Refused("abandoned for another request");
  }

  /** Moves the ref for the loop itself, which watches what comes of it. */
  private Outcome activateOwn(String snapshot, String reason) {
    String previous = active.orElseThrow().id();
    save(content.with(new OwnActivation(previous, snapshot, canary.level(clock.instant()))));
    return followed(store.activate(model(), snapshot, new Reason(SELF, oneLine(reason))));
  }

  private ManifestDraft draft(
      Trigger trigger,
      Attempt best,
      Map<Attempt, Gate.Verdict> verdicts,
      Map<String, Profile> profiles) {
    ObjectMapper json = new ObjectMapper();
    ObjectNode figures = json.valueToTree(verdicts.get(best).figures());
    if (verdicts.size() > 1) {
      ObjectNode tried = figures.putObject("tried");
      verdicts.forEach(
          (attempt, verdict) ->
              tried
                  .putObject(attempt.strategy())
                  .put("passed", verdict.passed())
                  .setAll(json.<ObjectNode>valueToTree(verdict.figures())));
    }
    return new ManifestDraft(
        active.map(Manifest::id),
        SELF,
        trigger.name().toLowerCase(Locale.ROOT),
        best.strategy(),
        checkpoint.digest(),
        best.smelter().toJson(best.reuse().plan()),
        figures,
        Baselines.toJson(profiles));
  }

  private Outcome move(Supplier<RefUpdate> change) {
    RefUpdate update = change.get();
    Outcome outcome = followed(update);
    if (update instanceof RefUpdate.Moved && outcome instanceof Outcome.Done) {
      holdAfterRequest();
    }
    return outcome;
  }

  /** A person chose what serves; the loop does not choose otherwise before it is told to. */
  private void holdAfterRequest() {
    if (content.state() instanceof LoopState.Observing observing) {
      String now = served.map(Manifest::id).orElse("");
      String before = store.ref(model(), Ref.PREVIOUS).map(Ref::snapshot).orElse("");
      enter(
          observing
              .activate(clock.instant(), before, now, "by request")
              .settleOnEarlier(clock.instant()));
    }
  }

  private Outcome followed(RefUpdate update) {
    if (update instanceof RefUpdate.Conflict conflict) {
      return new Outcome.Refused(
          "the ref active was moved meanwhile to " + conflict.actual().orElse("nothing"));
    }
    Outcome outcome = follow();
    return update instanceof RefUpdate.Unknown unknown
        ? new Outcome.Unknown(unknown.cause())
        : outcome;
  }

  /** Makes the engine serve what the ref {@code active} names. */
  private Outcome follow() {
    Manifest wanted = wanted();
    active = Optional.of(wanted);
    if (served.isPresent() && served.get().id().equals(wanted.id())) {
      finish(wanted);
      return new Outcome.Done(wanted.id() + " serves");
    }
    String from = served.map(Manifest::id).orElse("unknown");
    LoopState before = content.state();
    enter(new LoopState.Activating(clock.instant(), from, wanted.id(), "ref active"));
    Activator.Result result = activator.activate(wanted);
    Instant now = clock.instant();
    Outcome outcome;
    if (result instanceof Activator.Result.Kept kept) {
      outcome = takeBack(wanted, kept.reason());
    } else if (result instanceof Activator.Result.Unknown unknown) {
      served = Optional.empty();
      retryAt = now.plus(RETRY);
      write(Kind.FAILURE, "not known what serves: " + unknown.reason(), Map.of());
      outcome = new Outcome.Unknown(unknown.reason());
    } else {
      outcome = nowServes(wanted, from, now);
    }
    enter(afterActivation(before, outcome, now));
    return outcome;
  }

  /** What came after a swap could not be done then, say because the broker was away. */
  private void finish(Manifest serving) {
    Instant now = clock.instant();
    if (!baselineSent) {
      rebase(serving, now);
    }
    if (content.state() instanceof LoopState.Activating activating) {
      enter(afterActivation(activating, new Outcome.Done(serving.id() + " serves"), now));
    }
  }

  private Outcome nowServes(Manifest snapshot, String from, Instant now) {
    if (served.isPresent() && compressed(snapshot)) {
      activations++;
    }
    served = Optional.of(snapshot);
    save(content.serving(snapshot.id()));
    rebase(snapshot, now);
    write(
        Kind.ACTIVATION,
        "engine serves " + snapshot.id() + " in place of " + from,
        Map.of("from", from, "to", snapshot.id()));
    return new Outcome.Done(snapshot.id() + " serves");
  }

  private LoopState afterActivation(LoopState before, Outcome outcome, Instant now) {
    if (served.isEmpty()) {
      return new LoopState.Degraded(now, outcome.message());
    }
    if (before instanceof LoopState.Paused || before instanceof LoopState.RolledBack) {
      return before;
    }
    Optional<OwnActivation> own =
        settings.canary().watches() ? content.ownOf(served.get().id()) : Optional.empty();
    if (own.isEmpty()) {
      return new LoopState.Observing(now);
    }
    canary.begin(now);
    return new LoopState.Canary(
        now, own.get().previous(), own.get().snapshot(), now.plus(settings.canary().window()));
  }

  private Outcome takeBack(Manifest wanted, String reason) {
    write(Kind.FAILURE, "engine does not take " + wanted.id() + ": " + reason, Map.of());
    retryAt = clock.instant().plus(RETRY);
    if (served.isEmpty()) {
      return new Outcome.Refused(reason);
    }
    RefUpdate back =
        store.moveRef(
            model(),
            Ref.ACTIVE,
            Optional.of(wanted.id()),
            served.get().id(),
            new Reason(SELF, oneLine("engine refused: " + reason)));
    if (back instanceof RefUpdate.Moved) {
      active = served;
      if (content.ownOf(wanted.id()).isPresent()) {
        Manifest kept = served.get();
        save(
            content.withdraw(
                wanted.id(), new TurnedDown(kept.id(), clock.instant(), wanted.baseline())));
        measureFromNow(kept);
      }
    }
    return new Outcome.Refused(reason);
  }

  private void rebase(Manifest snapshot, Instant now) {
    List<Baseline> baselines = Baselines.of(snapshot, reference(), now);
    baselineSent = baselines.isEmpty();
    if (!baselineSent) {
      traffic.rebase(baselines);
      baselineSent = true;
    }
  }

  /** What should serve; the first start of all publishes the full model as the base snapshot. */
  private Manifest wanted() {
    Optional<Ref> ref = store.ref(model(), Ref.ACTIVE);
    if (ref.isPresent()) {
      return active
          .filter(known -> known.id().equals(ref.get().snapshot()))
          .orElseGet(() -> store.manifest(model(), ref.get().snapshot()));
    }
    try (Publication publication = store.begin(model())) {
      Manifest base =
          publication.commit(ManifestDraft.of(SELF, "start", FULL_MODEL, checkpoint.digest()));
      Reason reason = new Reason(SELF, "the full model, before any compression");
      store.moveRef(model(), Ref.BASE, Optional.empty(), base.id(), reason);
      store.activate(model(), base.id(), reason);
      return base;
    }
  }

  private Optional<TensorSource> activeTensors() {
    return active.filter(ModelLoop::compressed).map(store::tensors);
  }

  private List<double[]> frequencies(Map<String, Profile> profiles) {
    return checkpoint.blocks().stream()
        .map(block -> profiles.get(block.name()).frequency())
        .toList();
  }

  private Map<String, Profile> requireProfiles() {
    Map<String, Profile> profiles = traffic.profiles();
    for (MoeBlock block : checkpoint.blocks()) {
      if (!profiles.containsKey(block.name())) {
        throw new IllegalStateException(
            "no traffic of " + block.name() + " was seen yet; send some through the proxy");
      }
    }
    return profiles;
  }

  private Map<String, Profile> profilesIfKnown() {
    try {
      return traffic.profiles();
    } catch (IllegalStateException starting) {
      return Map.of();
    }
  }

  private static Instant asOf(Map<String, Profile> profiles) {
    return profiles.values().stream()
        .map(Profile::asOf)
        .max(Instant::compareTo)
        .orElse(Instant.MIN);
  }

  private double profileTokens(Map<String, Profile> profiles) {
    return checkpoint.blocks().stream()
        .mapToDouble(
            block ->
                Optional.ofNullable(profiles.get(block.name())).map(Profile::tokens).orElse(0.0))
        .min()
        .orElse(0);
  }

  private long expertBytes(MoeBlock block) {
    return block.roles().stream()
        .mapToLong(
            role ->
                (long) block.experts()
                    * block.elements(role)
                    * checkpoint.expertDType(block, role).bytes())
        .sum();
  }

  private StateFile.Content restored() {
    Optional<StateFile.Content> kept = stateFile.read();
    Instant now = clock.instant();
    if (kept.isEmpty()) {
      return StateFile.Content.first(new LoopState.Observing(now));
    }
    LoopState state = kept.get().state();
    if (state instanceof LoopState.Paused
        || state instanceof LoopState.RolledBack
        || state instanceof LoopState.AwaitingApproval
        || state instanceof LoopState.Canary
        || state instanceof LoopState.Observing) {
      return kept.get();
    }
    write(
        Kind.STATE,
        "stopped while " + state.getClass().getSimpleName() + "; observing anew",
        Map.of());
    return kept.get().with(new LoopState.Observing(now));
  }

  private <S extends LoopState> S enter(S next) {
    save(content.with(next));
    write(Kind.STATE, next.getClass().getSimpleName(), Map.of());
    return next;
  }

  private void save(StateFile.Content next) {
    interruption.shield(() -> stateFile.write(next));
    content = next;
    changed.run();
  }

  private void write(Kind kind, String message, Map<String, Object> figures) {
    Entry entry = new Entry(clock.instant(), kind, message, figures);
    interruption.shield(() -> journal.write(entry));
  }

  private void failed(String what, Exception e) {
    LOGGER.atError().addKeyValue("model", model()).setCause(e).log("control loop failure");
    write(Kind.FAILURE, what + ": " + e.getMessage(), Map.of());
  }

  private static Reason reason(Request request) {
    return new Reason(request.who(), oneLine(request.why()));
  }

  private static String oneLine(String text) {
    String line = text.replaceAll("\\p{Cntrl}+", " ").strip();
    return line.length() <= 500 ? line : line.substring(0, 500);
  }

  private static boolean compressed(Manifest manifest) {
    return !manifest.fullModel();
  }

  private static Evidence.Drift drift(ModelDrift drift) {
    return new Evidence.Drift(drift.value(), drift.threshold());
  }

  private static List<Double> list(double[] values) {
    return java.util.Arrays.stream(values).boxed().toList();
  }
}

package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.compress.CompressionException;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.control.Detector.Basis;
import dev.smelt.agent.control.Detector.Seen;
import dev.smelt.agent.control.Journal.Kind;
import dev.smelt.agent.control.LoopStatus.Progress;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.PlanException;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.profile.Profile;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Makes candidates from traffic, or finds an earlier snapshot again, and lets the best that passes
 * the gate serve. For the loop's thread, but for {@link #progress}.
 *
 * <p>Failure semantics: a crash before the candidate's manifest is committed leaves blobs that the
 * store collects. An {@link Interruption} breaks off planning, compressing and gating; what served
 * goes on serving.
 */
final class Remerger {

  /** The strategy where those that are set need moments and there are none. */
  private static final String WITHOUT_MOMENTS = Strategy.M_SMOE.toString();

  /** A candidate that takes less than this of the active one's memory need not be better. */
  private static final double SMALLER = 0.95;

  private final ModelSettings settings;
  private final Checkpoint checkpoint;
  private final SnapshotStore store;
  private final List<Smelter> smelters;
  private final List<Smelter> withoutMoments;
  private final MomentsSupply moments;
  private final Gate gate;
  private final Detector detector;
  private final Serving serving;
  private final LoopRecord record;
  private final Interruption interruption;
  private final Clock clock;
  private volatile Optional<Progress> progress = Optional.empty();

  /**
   * @param checkpoint the full model
   * @param alignments of it
   * @param moments of its traffic
   */
  Remerger(
      ModelSettings settings,
      Checkpoint checkpoint,
      SnapshotStore store,
      AlignmentCache alignments,
      MomentsSupply moments,
      Gate gate,
      Detector detector,
      Serving serving,
      LoopRecord record,
      Interruption interruption,
      Clock clock) {
    this.settings = settings;
    this.checkpoint = checkpoint;
    this.store = store;
    this.smelters = smelters(settings.compression().strategies(), alignments);
    this.withoutMoments = smelters(List.of(WITHOUT_MOMENTS), alignments);
    this.moments = moments;
    this.gate = gate;
    this.detector = detector;
    this.serving = serving;
    this.record = record;
    this.interruption = interruption;
    this.clock = clock;
  }

  private List<Smelter> smelters(List<String> strategies, AlignmentCache alignments) {
    List<Double> shares = settings.compression().memory();
    List<OptionalDouble> memory =
        shares.isEmpty()
            ? List.of(OptionalDouble.empty())
            : shares.stream().map(OptionalDouble::of).toList();
    return strategies.stream()
        .flatMap(
            strategy ->
                memory.stream()
                    .map(
                        share ->
                            new Smelter(
                                checkpoint,
                                settings.compression(),
                                strategy,
                                share,
                                alignments,
                                store::holds)))
        .toList();
  }

  /** Of the work in hand. */
  Optional<Progress> progress() {
    return progress;
  }

  /** Lets an earlier snapshot serve if it does no worse; merges anew otherwise. */
  Outcome recall(LoopState.Gating gating, String snapshot, Seen seen) {
    record.save(record.content().withRecall(clock.instant()));
    record.enter(gating);
    boolean passed = false;
    try {
      Manifest earlier = store.manifest(settings.name(), snapshot);
      interruption.allow();
      Gate.Verdict verdict;
      try {
        progress = Optional.of(new Progress("scoring " + snapshot, 0, 1));
        requireWhole(earlier);
        verdict = gate.judgeAgain(earlier, serving.active().orElseThrow(), Shape.of(seen.recent()));
      } finally {
        interruption.forbid();
        progress = Optional.empty();
      }
      record.write(
          Kind.GATE,
          (verdict.passed() ? "recall passed: " : "recall refused: ") + verdict.reason(),
          verdict.figures());
      passed = verdict.passed();
    } catch (IOException | RuntimeException e) {
      if (interruption.asked()) {
        return abandoned("recall", gating.refuse(clock.instant()));
      }
      record.failed("recall failed; what served goes on serving", e);
    }
    if (passed) {
      return serving.moveTo(snapshot, "RECALL: " + gating.reason());
    }
    LoopState.Observing observing = record.enter(gating.refuse(clock.instant()));
    return remerge(
        observing.plan(clock.instant(), Trigger.DRIFT, "the recall of " + snapshot + " failed"),
        detector.sinceShift(seen));
  }

  /** What a snapshot would lose is known without reading it; that it can be read is not. */
  private void requireWhole(Manifest snapshot) {
    snapshot
        .tensors()
        .forEach(
            (name, tensor) -> {
              if (!store.holds(tensor.digest())) {
                throw new IllegalStateException(
                    snapshot.id() + ": " + name + " is no longer in the store: " + tensor.digest());
              }
            });
  }

  /** Makes candidates for the traffic and lets the best that passes the gate serve. */
  Outcome remerge(LoopState.Planning planning, Basis basis) {
    record.save(record.content().withRemerge(clock.instant()));
    record.enter(planning);
    Made made;
    try {
      made = make(planning, basis);
    } catch (IOException | RuntimeException e) {
      LoopState next = record.state().afterRestart(clock.instant());
      if (interruption.asked()) {
        return abandoned("re-merge", next);
      }
      record.failed("re-merge failed; what served goes on serving", e);
      record.enter(next);
      return new Outcome.Refused(String.valueOf(e.getMessage()));
    }
    if (made instanceof Made.Candidate candidate) {
      record.save(record.content().notInVain());
      return serving.moveTo(
          candidate.snapshot().id(), planning.trigger() + ": " + planning.reason());
    }
    return ((Made.Nothing) made).outcome();
  }

  /** What came of the part of a re-merge that may be broken off. */
  private sealed interface Made {

    /** A snapshot that passed the gate. */
    record Candidate(Manifest snapshot) implements Made {}

    /** Nothing better than what serves; that is on record. */
    record Nothing(Outcome outcome) implements Made {}
  }

  /** With the moments as they are now, whatever is posted meanwhile. */
  private Made make(LoopState.Planning planning, Basis basis) throws IOException {
    Optional<LiveMoments.Frozen> frozen = moments.freeze(basis.sinceShift());
    interruption.allow();
    try {
      return make(planning, basis.profiles(), frozen.map(all -> all));
    } finally {
      interruption.forbid();
      progress = Optional.empty();
      frozen.ifPresent(LiveMoments.Frozen::close);
    }
  }

  private Made make(
      LoopState.Planning planning,
      Map<String, Profile> profiles,
      Optional<Function<MoeBlock, BlockMoments>> known)
      throws IOException {
    Manifest before = serving.active().orElseThrow();
    List<Attempt> attempts = attempts(profiles, known, before);
    if (attempts.isEmpty()) {
      interruption.forbid();
      return new Made.Nothing(nothingChanged(planning, profiles));
    }
    LoopState.Gating gating = compress(planning, attempts, before);
    Map<Attempt, Gate.Verdict> verdicts = judge(attempts, before, profiles, known);
    Optional<Attempt> best = best(verdicts);
    interruption.forbid();
    if (best.isEmpty()) {
      return new Made.Nothing(nonePassed(gating, verdicts, profiles));
    }
    record.enter(gating.publish(clock.instant()));
    return new Made.Candidate(
        best.get().publication().commit(draft(planning.trigger(), best.get(), verdicts, profiles)));
  }

  /** A candidate in the making. */
  private record Attempt(Smelter smelter, Smelter.Planned planned, Publication publication) {
    String name() {
      return smelter.name();
    }

    Reuse reuse() {
      return planned.reuse();
    }
  }

  /** What each strategy would make of the traffic; those that would change nothing are left out. */
  private List<Attempt> attempts(
      Map<String, Profile> profiles,
      Optional<Function<MoeBlock, BlockMoments>> known,
      Manifest before) {
    List<Attempt> attempts = new ArrayList<>();
    List<RuntimeException> lacking = new ArrayList<>();
    List<Smelter> able = able(known.isPresent());
    for (Smelter smelter : able) {
      try {
        Smelter.Planned planned = smelter.plan(profiles, known, before);
        if (!planned.reuse().everything()) {
          attempts.add(new Attempt(smelter, planned, store.begin(settings.name())));
        }
      } catch (PlanException | CompressionException e) {
        lacking.add(e);
        notTried(smelter, e.getMessage());
      }
    }
    if (lacking.size() == able.size()) {
      throw lacking.get(0);
    }
    return attempts;
  }

  /** What can be tried, with or without moments. */
  private List<Smelter> able(boolean momentsKnown) {
    if (momentsKnown) {
      return smelters;
    }
    smelters.stream()
        .filter(Smelter::needsMoments)
        .forEach(smelter -> notTried(smelter, moments.lacking()));
    List<Smelter> able = smelters.stream().filter(smelter -> !smelter.needsMoments()).toList();
    if (able.isEmpty()) {
      record.write(Kind.DECISION, WITHOUT_MOMENTS + " is tried in its place", Map.of());
      return withoutMoments;
    }
    return able;
  }

  private void notTried(Smelter smelter, @Nullable String why) {
    record.write(Kind.DECISION, smelter.name() + " is not tried: " + why, Map.of());
  }

  private LoopState.Gating compress(
      LoopState.Planning planning, List<Attempt> attempts, Manifest before) throws IOException {
    LoopState.Compressing compressing = record.enter(planning.compress(clock.instant()));
    for (Attempt attempt : attempts) {
      attempt
          .smelter()
          .compress(
              attempt.planned(),
              before,
              attempt.publication(),
              (block, done, all) ->
                  progress = Optional.of(new Progress("merging by " + attempt.name(), done, all)));
    }
    return record.enter(compressing.gate(clock.instant()));
  }

  private Map<Attempt, Gate.Verdict> judge(
      List<Attempt> attempts,
      Manifest before,
      Map<String, Profile> profiles,
      Optional<Function<MoeBlock, BlockMoments>> known)
      throws IOException {
    Map<Attempt, Gate.Verdict> verdicts = new LinkedHashMap<>();
    for (Attempt attempt : attempts) {
      progress =
          Optional.of(new Progress("scoring " + attempt.name(), verdicts.size(), attempts.size()));
      Gate.Verdict verdict =
          gate.judge(
              attempt.publication().tensors(),
              before,
              Shape.of(profiles),
              known,
              leastGain(attempt, before));
      verdicts.put(attempt, verdict);
      record.write(
          Kind.GATE,
          String.format(
              Locale.ROOT,
              "%s: %s: %s; %d of %d groups are kept from the active snapshot",
              verdict.passed() ? "passed" : "refused",
              attempt.name(),
              verdict.reason(),
              attempt.reuse().keptGroups(),
              attempt.reuse().plan().groups()),
          verdict.figures());
    }
    return verdicts;
  }

  /** The smallest of those that passed, and of these the one that loses least. */
  private static Optional<Attempt> best(Map<Attempt, Gate.Verdict> verdicts) {
    return verdicts.keySet().stream()
        .filter(attempt -> verdicts.get(attempt).passed())
        .min(
            Comparator.comparingDouble((Attempt attempt) -> attempt.smelter().memory())
                .thenComparingDouble(attempt -> verdicts.get(attempt).loss()));
  }

  private Outcome nonePassed(
      LoopState.Gating gating, Map<Attempt, Gate.Verdict> verdicts, Map<String, Profile> profiles) {
    serving.turnDown(profiles);
    record.enter(gating.refuse(clock.instant()));
    return new Outcome.Refused(
        verdicts.values().stream().map(Gate.Verdict::reason).collect(Collectors.joining("; ")));
  }

  /** What saves memory may lose, up to the gate's maximum against the full model. */
  private double leastGain(Attempt attempt, Manifest before) {
    boolean smaller =
        !before.fullModel()
            && attempt.smelter().memory() * Recipe.expertBytes(checkpoint)
                < SMALLER * before.bytes();
    return smaller ? Double.NEGATIVE_INFINITY : settings.gate().minimumGain();
  }

  private Outcome nothingChanged(LoopState.Planning planning, Map<String, Profile> profiles) {
    String kept = serving.active().orElseThrow().id();
    record.write(
        Kind.DECISION,
        String.format(
            Locale.ROOT,
            "skipped: in no group does the new plan differ from that of %s by more than %.1f%%"
                + " (compression.reuseWithin)",
            kept,
            100 * settings.compression().reuseWithin()),
        Map.of());
    serving.turnDown(profiles);
    record.enter(planning.abandon(clock.instant()));
    return new Outcome.Done("nothing material has changed; " + kept + " goes on serving");
  }

  private Outcome abandoned(String what, LoopState next) {
    record.write(Kind.STATE, what + " abandoned for a request", Map.of());
    record.enter(next);
    return new Outcome.Refused("abandoned for another request");
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
                  .putObject(attempt.name())
                  .put("passed", verdict.passed())
                  .setAll(json.<ObjectNode>valueToTree(verdict.figures())));
    }
    return new ManifestDraft(
        serving.active().map(Manifest::id),
        Serving.SELF,
        trigger.name().toLowerCase(Locale.ROOT),
        best.smelter().strategy(),
        checkpoint.digest(),
        best.smelter().toJson(best.reuse().plan()),
        figures,
        Baselines.toJson(profiles));
  }
}

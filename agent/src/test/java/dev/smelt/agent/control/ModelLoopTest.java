package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.config.GateSettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.ModelControl.Request;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.agent.statistics.MomentsFile;
import dev.smelt.agent.statistics.OriginalMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.profile.Baseline;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelLoopTest {

  private static final String MODEL = "tiny";
  private static final String NO_WINDOW = "no window closed since the baseline was set";
  private static final Request PERSON = new Request("ada", "because");

  @TempDir Path folder;

  private final ScriptedTraffic traffic = new ScriptedTraffic(MODEL);
  private final List<String> activated = new CopyOnWriteArrayList<>();
  private volatile Function<Manifest, Activator.Result> engine =
      snapshot -> new Activator.Result.Served();
  private CanarySettings canary = new CanarySettings(Duration.ZERO, null, null, null, null, null);
  private String strategy = "m-smoe";
  private List<String> alternatives = List.of();
  private List<Double> memory = List.of();
  private volatile ServingFigures serving = ServingFigures.NONE;
  private Checkpoint checkpoint;
  private SnapshotStore store;
  private LiveMoments moments;
  private ModelLoop loop;

  @BeforeEach
  void open() throws IOException {
    checkpoint = Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve(MODEL)));
    store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
    moments =
        LiveMoments.open(
            folder.resolve("moments"),
            MODEL,
            checkpoint.blocks(),
            Duration.ofMinutes(1),
            Clock.systemUTC());
  }

  @AfterEach
  void close() throws IOException {
    if (loop != null) {
      loop.close();
    }
    store.close();
    checkpoint.close();
  }

  @Test
  void shouldServeTheFullModelAsTheBaseSnapshotAtTheFirstStart() {
    start(Mode.AUTO);

    await().until(() -> loop.status().served().isPresent());

    Manifest base = store.manifest(MODEL, store.ref(MODEL, Ref.BASE).orElseThrow().snapshot());
    assertThat(base.fullModel()).isTrue();
    assertThat(loop.status().served()).contains(base.id());
    assertThat(loop.servedSnapshot()).isEmpty();
  }

  @Test
  void shouldMergeByItselfInAutoOnceThereIsEvidence() {
    start(Mode.AUTO);
    traffic.show(1);

    await().until(() -> !loop.servedSnapshot().isEmpty());

    Manifest snapshot = store.manifest(MODEL, loop.servedSnapshot());
    assertThat(snapshot.strategy()).isEqualTo("m-smoe");
    assertThat(snapshot.trigger()).isEqualTo("first");
    assertThat(snapshot.bytes()).isLessThan(loop.status().fullExpertBytes());
    await()
        .untilAsserted(
            () ->
                assertThat(traffic.baselines())
                    .hasSize(TinyCheckpoint.LAYERS)
                    .allSatisfy(
                        baseline -> assertThat(baseline.snapshot()).isEqualTo(snapshot.id())));
  }

  @Test
  void shouldMergeAnewWhenTheTrafficHasDrifted() {
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> !loop.servedSnapshot().isEmpty());
    String first = loop.servedSnapshot();

    traffic.show(2);
    traffic.drift().add(breached(first, 1));
    traffic.drift().add(breached(first, 2));

    await().until(() -> !loop.servedSnapshot().equals(first));
    Manifest second = store.manifest(MODEL, loop.servedSnapshot());
    assertThat(second.trigger()).isEqualTo("drift");
    assertThat(second.parent()).contains(first);
  }

  @Test
  void shouldOnlySayWhatItWouldDoInObserve() {
    start(Mode.OBSERVE);
    traffic.show(1);

    await()
        .untilAsserted(
            () ->
                assertThat(loop.journal(100))
                    .extracting(Journal.Entry::message)
                    .anyMatch(message -> message.startsWith("would re-merge: no snapshot serves")));
    assertThat(loop.servedSnapshot()).isEmpty();
  }

  @Test
  void shouldWaitForAPersonInApprove() {
    start(Mode.APPROVE);
    traffic.show(1);
    await().until(() -> loop.state() instanceof LoopState.AwaitingApproval);
    assertThat(loop.servedSnapshot()).isEmpty();

    Outcome outcome = join(loop.approve(PERSON));

    assertThat(outcome).isInstanceOf(Outcome.Done.class);
    assertThat(loop.servedSnapshot()).isNotEmpty();
  }

  @Test
  void shouldTakeTheRefBackWhenTheEngineRefuses() {
    engine =
        snapshot ->
            snapshot.fullModel()
                ? new Activator.Result.Served()
                : new Activator.Result.Kept("http://engine: out of memory");
    start(Mode.OBSERVE);
    traffic.show(1);
    await().until(() -> loop.status().served().isPresent());
    String base = loop.status().served().orElseThrow();

    Outcome outcome = join(loop.remerge(PERSON));

    assertThat(outcome).isEqualTo(new Outcome.Refused("http://engine: out of memory"));
    assertThat(store.ref(MODEL, Ref.ACTIVE).orElseThrow().snapshot()).isEqualTo(base);
    assertThat(loop.status().served()).contains(base);
  }

  @Test
  void shouldSetRightWhatTheEngineServesAfterAnUnknownOutcome() {
    start(Mode.OBSERVE);
    traffic.show(1);
    await().until(() -> loop.status().served().isPresent());
    engine = snapshot -> new Activator.Result.Unknown("http://engine: no answer");

    Outcome outcome = join(loop.remerge(PERSON));

    assertThat(outcome).isInstanceOf(Outcome.Unknown.class);
    assertThat(loop.state()).isInstanceOf(LoopState.Degraded.class);
    assertThat(loop.status().served()).isEmpty();

    engine = snapshot -> new Activator.Result.Served();
    await().atMost(Duration.ofSeconds(20)).until(() -> !loop.servedSnapshot().isEmpty());
    await().until(() -> loop.state() instanceof LoopState.Observing);
  }

  @Test
  void shouldHoldAfterARollbackByAPerson() {
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> !loop.servedSnapshot().isEmpty());

    Outcome outcome = join(loop.rollback(Optional.empty(), PERSON));

    assertThat(outcome).isInstanceOf(Outcome.Done.class);
    assertThat(loop.servedSnapshot()).isEmpty();
    assertThat(loop.state()).isInstanceOf(LoopState.RolledBack.class);
    assertThat(store.log(MODEL).get(store.log(MODEL).size() - 1).reason().who()).isEqualTo("ada");

    join(loop.resume(PERSON));
    await().until(() -> !loop.servedSnapshot().isEmpty());
  }

  @Test
  void shouldHoldAfterARollbackByAPersonWhoseOutcomeWasUnknown() {
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> !loop.servedSnapshot().isEmpty());
    engine = snapshot -> new Activator.Result.Unknown("http://engine: no answer");

    Outcome outcome = join(loop.rollback(Optional.empty(), PERSON));

    assertThat(outcome).isInstanceOf(Outcome.Unknown.class);
    assertThat(loop.state()).isInstanceOf(LoopState.Degraded.class);

    engine = snapshot -> new Activator.Result.Served();
    await().atMost(Duration.ofSeconds(20)).until(() -> loop.status().served().isPresent());
    await().until(() -> !(loop.state() instanceof LoopState.Activating));
    assertThat(loop.state()).isInstanceOf(LoopState.RolledBack.class);
    assertThat(loop.servedSnapshot()).isEmpty();
  }

  @Test
  void shouldHoldOverARestartAfterARollbackByAPersonWhoseOutcomeWasUnknown() throws IOException {
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> !loop.servedSnapshot().isEmpty());
    engine = snapshot -> new Activator.Result.Unknown("http://engine: no answer");
    join(loop.rollback(Optional.empty(), PERSON));
    loop.close();
    engine = snapshot -> new Activator.Result.Served();

    start(Mode.AUTO);

    await().until(() -> loop.status().served().isPresent());
    await().until(() -> !(loop.state() instanceof LoopState.Activating));
    assertThat(loop.state()).isInstanceOf(LoopState.RolledBack.class);
  }

  @Test
  void shouldStayPausedAfterARollbackWhoseOutcomeWasUnknown() {
    start(Mode.AUTO);
    traffic.show(1);
    await()
        .until(
            () -> loop.state() instanceof LoopState.Observing && !loop.servedSnapshot().isEmpty());
    join(loop.pause(PERSON));
    engine = snapshot -> new Activator.Result.Unknown("http://engine: no answer");

    join(loop.rollback(Optional.empty(), PERSON));

    assertThat(loop.state()).isInstanceOf(LoopState.Degraded.class);
    engine = snapshot -> new Activator.Result.Served();
    await().atMost(Duration.ofSeconds(20)).until(() -> loop.status().served().isPresent());
    await().until(() -> !(loop.state() instanceof LoopState.Activating));
    assertThat(loop.state()).isInstanceOf(LoopState.Paused.class);
  }

  @Test
  void shouldNotHoldToAChoiceThatTheEngineRefuses() {
    start(Mode.AUTO);
    traffic.show(1);
    await()
        .until(
            () -> loop.state() instanceof LoopState.Observing && !loop.servedSnapshot().isEmpty());
    String serving = loop.servedSnapshot();
    engine = snapshot -> new Activator.Result.Kept("http://engine: no memory");

    Outcome outcome = join(loop.rollback(Optional.empty(), PERSON));

    assertThat(outcome).isInstanceOf(Outcome.Refused.class);
    assertThat(loop.servedSnapshot()).isEqualTo(serving);
    assertThat(loop.state()).isInstanceOf(LoopState.Observing.class);
  }

  @Test
  void shouldFollowARefThatSomebodyElseMoved() {
    start(Mode.OBSERVE);
    traffic.show(1);
    await().until(() -> loop.status().served().isPresent());
    join(loop.remerge(PERSON));
    String base = store.ref(MODEL, Ref.BASE).orElseThrow().snapshot();

    store.activate(MODEL, base, new Reason("bob", "from the command line"));

    await().until(() -> loop.status().served().equals(Optional.of(base)));
  }

  @Test
  void shouldMakeTheEngineFollowTheRefAfterARestart() throws IOException {
    start(Mode.OBSERVE);
    traffic.show(1);
    await().until(() -> loop.status().served().isPresent());
    join(loop.remerge(PERSON));
    String snapshot = loop.servedSnapshot();
    loop.close();
    activated.clear();

    start(Mode.OBSERVE);

    await().until(() -> loop.servedSnapshot().equals(snapshot));
    assertThat(activated).containsExactly(snapshot);
  }

  @Test
  void shouldStayPausedOverARestart() throws IOException {
    start(Mode.AUTO);
    await().until(() -> loop.status().served().isPresent());
    join(loop.pause(PERSON));
    loop.close();

    start(Mode.AUTO);

    await().until(() -> loop.status().served().isPresent());
    assertThat(loop.state()).isInstanceOf(LoopState.Paused.class);
    assertThat(join(loop.remerge(PERSON))).isInstanceOf(Outcome.Refused.class);
  }

  @Test
  void shouldNotActivateWhatTheGateRefuses() throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), "some held-out text ".repeat(40));
    start(Mode.OBSERVE, new GateSettings(List.of(text), 512, 0.0, 100.0, null));
    traffic.show(1);
    await().until(() -> loop.status().served().isPresent());
    join(loop.remerge(PERSON));
    traffic.show(2);

    Outcome second = join(loop.remerge(PERSON));

    assertThat(second).isInstanceOf(Outcome.Refused.class);
    assertThat(loop.journal(100))
        .filteredOn(entry -> entry.kind() == Journal.Kind.GATE)
        .isNotEmpty()
        .allSatisfy(entry -> assertThat(entry.figures()).containsKeys("full", "candidate"));
  }

  @Test
  void shouldAbandonTheWorkInHandForARequestAndGoOn() throws IOException {
    Path text = Files.writeString(folder.resolve("text.txt"), "some held-out text ".repeat(20_000));
    start(Mode.AUTO, new GateSettings(List.of(text), 1 << 18, 100.0, -100.0, null));
    traffic.show(1);
    await().until(() -> loop.state() instanceof LoopState.Gating);

    Outcome outcome = join(loop.pause(PERSON));

    assertThat(outcome).isInstanceOf(Outcome.Done.class);
    assertThat(loop.state()).isInstanceOf(LoopState.Paused.class);
    assertThat(loop.servedSnapshot()).isEmpty();
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .contains("re-merge abandoned for a request");
  }

  @Test
  void shouldNotTryAPlanAgainUntilTheProfileHasMovedAfterAGateRefusal() throws IOException {
    GateSettings gate = gateThatPassesOnlyTheFirst();
    start(Mode.AUTO, gate);
    traffic.show(1);
    await().until(() -> !loop.servedSnapshot().isEmpty());
    String first = loop.servedSnapshot();
    traffic.show(2);
    traffic.drift().add(breached(first, 1));
    traffic.drift().add(breached(first, 2));
    await().until(() -> refusals() == 1);

    await().until(() -> loop.status().decision().equals(NO_WINDOW));
    assertThat(loop.state()).isInstanceOf(LoopState.Observing.class);
    assertThat(traffic.baselines())
        .allSatisfy(
            baseline -> {
              assertThat(baseline.snapshot()).isEqualTo(first);
              assertThat(baseline.frequency())
                  .containsExactly(traffic.profiles().get(baseline.key().layer()).frequency());
            });

    loop.close();
    List<Baseline> before = traffic.baselines();
    start(Mode.AUTO, gate);
    await().until(() -> loop.status().decision().equals(NO_WINDOW));
    assertThat(refusals()).isEqualTo(1);
    assertThat(traffic.baselines())
        .extracting(Baseline::frequency)
        .containsExactlyInAnyOrderElementsOf(before.stream().map(Baseline::frequency).toList());

    traffic.show(3);
    traffic.drift().add(breached(first, Instant.now().plusSeconds(10)));
    traffic.drift().add(breached(first, Instant.now().plusSeconds(20)));
    await().until(() -> refusals() == 2);
  }

  @Test
  void shouldRecallTheEarlierSnapshotWhenItsTrafficComesBack() {
    start(Mode.AUTO);
    String first = adaptTo(1, "");
    String second = adaptTo(2, first);

    String third = adaptTo(1, second);

    assertThat(third).isEqualTo(first);
    assertThat(store.snapshots(MODEL)).hasSize(3);
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .anyMatch(message -> message.startsWith("recalls " + first + ": traffic is 0.0"));
    assertThat(store.log(MODEL).get(store.log(MODEL).size() - 1).reason().why())
        .startsWith("RECALL: ");
  }

  @Test
  void shouldRecallTheSnapshotThatLosesLessByTheScoresInItsManifest() throws IOException {
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 100.0, -100.0, -100.0));
    String first = adaptTo(1, "");
    String second = adaptTo(2, first);

    assertThat(adaptTo(1, second)).isEqualTo(first);
    assertThat(store.manifest(MODEL, first).gate().path("scores").path("text.txt").asDouble())
        .isPositive();
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .anyMatch(message -> message.startsWith("recalls " + first + ": on traffic like this, "));
  }

  @Test
  void shouldNotRecallWhatGainsTooLittleHoweverNearItsTraffic() throws IOException {
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 100.0, -100.0, 100.0));
    String first = adaptTo(1, "");
    String second = adaptTo(2, first);

    assertThat(adaptTo(1, second)).isNotIn(first, second);
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .noneMatch(message -> message.startsWith("recalls "));
  }

  @Test
  void shouldMergeAnewWhenTheEarlierSnapshotCannotBeRead() throws IOException {
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 100.0, -100.0, -100.0));
    String first = adaptTo(1, "");
    String second = adaptTo(2, first);
    List<String> serving = digests(second);
    String lost =
        digests(first).stream().filter(digest -> !serving.contains(digest)).findAny().orElseThrow();
    Files.delete(store.blob(lost));

    String third = adaptTo(1, second);

    assertThat(third).isNotIn(first, second);
    assertThat(store.manifest(MODEL, third).trigger()).isEqualTo("drift");
  }

  @Test
  void shouldBreakOffARemergeForARequestWithoutHarmToJournalAndState() {
    start(Mode.OBSERVE);
    traffic.show(1);
    await().until(() -> loop.status().served().isPresent());
    for (int time = 0; time < 20; time++) {
      var remerge = loop.remerge(PERSON);
      join(loop.pause(PERSON));
      join(loop.resume(PERSON));
      join(remerge);
    }

    assertThat(join(loop.remerge(PERSON))).isInstanceOf(Outcome.Done.class);
    assertThat(loop.journal(1_000))
        .extracting(Journal.Entry::kind)
        .doesNotContain(Journal.Kind.FAILURE);
  }

  @Test
  void shouldRollBackByItselfWhenRequestsFailAfterAnActivation() throws IOException {
    canary = new CanarySettings(Duration.ofMinutes(5), null, null, null, null, null);
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> loop.state() instanceof LoopState.Canary);
    String first = loop.servedSnapshot();

    serving = new ServingFigures(100, 40, Duration.ofSeconds(10));

    await().until(() -> loop.servedSnapshot().isEmpty());
    await().until(() -> loop.status().decision().equals(NO_WINDOW));
    assertThat(loop.state()).isInstanceOf(LoopState.Observing.class);
    assertThat(store.log(MODEL).get(store.log(MODEL).size() - 1).reason().why())
        .isEqualTo("canary: 40 of 100 requests failed, 0.0% before (canary.errorRate)");
    String base = store.ref(MODEL, Ref.BASE).orElseThrow().snapshot();
    assertThat(traffic.baselines())
        .allSatisfy(baseline -> assertThat(baseline.snapshot()).isEqualTo(base));

    loop.close();
    start(Mode.AUTO);
    await().until(() -> loop.status().decision().equals(NO_WINDOW));
    assertThat(store.snapshots(MODEL)).extracting(Manifest::id).containsExactly(base, first);
  }

  @Test
  void shouldKeepWhatServesNoWorse() {
    canary = new CanarySettings(Duration.ofMillis(500), null, null, null, null, null);
    start(Mode.AUTO);
    traffic.show(1);

    await().until(() -> loop.state() instanceof LoopState.Canary);
    await().until(() -> loop.state() instanceof LoopState.Observing);

    assertThat(loop.servedSnapshot()).isNotEmpty();
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .anyMatch(message -> message.startsWith("kept: 0 requests"));
  }

  @Test
  void shouldGoOnWatchingAfterARestart() throws IOException {
    canary = new CanarySettings(Duration.ofMinutes(5), null, null, null, null, null);
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> loop.state() instanceof LoopState.Canary);
    loop.close();

    start(Mode.AUTO);
    await().until(() -> loop.status().served().isPresent());
    await().until(() -> loop.state() instanceof LoopState.Canary);
    loop.signal(new Signal("quality", 1, Signal.Better.HIGHER));
    serving = new ServingFigures(50, 50, Duration.ofSeconds(10));

    await().until(() -> loop.servedSnapshot().isEmpty());
  }

  @Test
  void shouldNotMergeTheSameAgainAfterTheEngineRefusedIt() {
    engine =
        snapshot ->
            snapshot.fullModel()
                ? new Activator.Result.Served()
                : new Activator.Result.Kept("http://engine: out of memory");
    start(Mode.AUTO);
    traffic.show(1);

    await().atMost(Duration.ofSeconds(20)).until(() -> loop.status().decision().equals(NO_WINDOW));

    assertThat(store.snapshots(MODEL)).hasSize(2);
  }

  @Test
  void shouldSkipARemergeThatWouldChangeNothing() {
    start(Mode.AUTO);
    String first = adaptTo(1, "");

    Outcome outcome = join(loop.remerge(PERSON));

    assertThat(outcome.message())
        .isEqualTo("nothing material has changed; " + first + " goes on serving");
    assertThat(store.snapshots(MODEL)).hasSize(2);
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .anyMatch(message -> message.startsWith("skipped: in no group does the new plan differ"));
  }

  @Test
  void shouldKeepTheExpertsOfGroupsThatDidNotChange() {
    start(Mode.AUTO);
    String first = adaptTo(1, "");
    String second = adaptTo(2, first);

    assertThat(digests(second)).containsAnyElementsOf(digests(first)).hasSameSizeAs(digests(first));
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .anyMatch(
            message ->
                message.matches("passed: .*[1-9] of 8 groups are kept from the active snapshot"));
  }

  @Test
  void shouldServeTheBestOfSeveralStrategiesAndKeepAllFigures() throws IOException {
    alternatives = List.of("frequency-prune", "reap");
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 100.0, 0.0, null));

    String first = adaptTo(1, "");

    Manifest snapshot = store.manifest(MODEL, first);
    var tried = snapshot.gate().path("tried");
    assertThat(tried.size()).isEqualTo(2);
    double best = snapshot.gate().path("candidate").asDouble();
    assertThat(tried.path(snapshot.strategy()).path("candidate").asDouble()).isEqualTo(best);
    assertThat(tried)
        .allSatisfy(
            other -> assertThat(other.path("candidate").asDouble()).isGreaterThanOrEqualTo(best));
    assertThat(loop.journal(100))
        .extracting(Journal.Entry::message)
        .anyMatch(message -> message.startsWith("reap is not tried: "));
  }

  @Test
  void shouldGoOnAfterTheBrokerWasAwayDuringAnActivation() {
    start(Mode.AUTO);
    traffic.brokerAway(new IllegalStateException("the baseline was not taken"));
    traffic.show(1);
    await().until(() -> !loop.servedSnapshot().isEmpty());

    traffic.brokerBack();

    await().atMost(Duration.ofSeconds(20)).until(() -> loop.state() instanceof LoopState.Observing);
    assertThat(traffic.baselines())
        .isNotEmpty()
        .allSatisfy(baseline -> assertThat(baseline.snapshot()).isEqualTo(loop.servedSnapshot()));
  }

  @Test
  void shouldNarrowTheExpertsWhereSecondMomentsAreThere() throws IOException {
    strategy = "smelt";
    postMoments(100);
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 100.0, null, null));
    traffic.show(1);

    await().until(() -> !loop.servedSnapshot().isEmpty());

    Manifest snapshot = store.manifest(MODEL, loop.servedSnapshot());
    assertThat(snapshot.strategy()).isEqualTo("smelt");
    assertThat(snapshot.bytes()).isLessThan(loop.status().fullExpertBytes() * 7 / 10);
    assertThat(snapshot.gate().path("outputLoss").asDouble()).isBetween(0.001, 0.9);
  }

  @Test
  void shouldMergeAndSayWhyWhereThereAreTooFewSecondMoments() {
    strategy = "smelt";
    start(Mode.AUTO);
    traffic.show(1);

    await().until(() -> !loop.servedSnapshot().isEmpty());

    assertThat(store.manifest(MODEL, loop.servedSnapshot()).strategy()).isEqualTo("m-smoe");
    assertThat(messages(Journal.Kind.DECISION))
        .contains(
            "smelt at 67 % of memory is not tried: there are second moments of 0 tokens and 50 are"
                + " needed (compression.minimumMoments); an engine-side hook posts them",
            "m-smoe is tried in its place");
  }

  @Test
  void shouldWaitForSecondMomentsThatAreOnTheirWay() {
    strategy = "smelt";
    postMoments(30);
    start(Mode.AUTO);
    traffic.show(1);
    await().until(() -> loop.status().decision().contains("waits for second moments: 30 of 50"));

    postMoments(30);

    await().until(() -> !loop.servedSnapshot().isEmpty());
    assertThat(store.manifest(MODEL, loop.servedSnapshot()).strategy()).isEqualTo("smelt");
  }

  @Test
  void shouldServeTheSmallestOfTheCandidatesThatPass() throws IOException {
    memory = List.of(0.8, 0.4);
    alternatives = List.of("frequency-prune");
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 100.0, null, null));
    traffic.show(1);

    await().until(() -> !loop.servedSnapshot().isEmpty());

    Manifest snapshot = store.manifest(MODEL, loop.servedSnapshot());
    assertThat(snapshot.bytes()).isLessThan(loop.status().fullExpertBytes() / 2);
    assertThat(snapshot.gate().path("tried").fieldNames())
        .toIterable()
        .containsExactlyInAnyOrder(
            "m-smoe at 80 % of memory",
            "m-smoe at 40 % of memory",
            "frequency-prune at 80 % of memory",
            "frequency-prune at 40 % of memory");
    double least =
        Math.min(
            bits(snapshot, "m-smoe at 40 % of memory"),
            bits(snapshot, "frequency-prune at 40 % of memory"));
    assertThat(snapshot.gate().path("candidate").asDouble()).isEqualTo(least);
  }

  @Test
  void shouldTakeALargerCandidateWhereTheSmallerLosesTooMuch() throws IOException {
    memory = List.of(0.45, 1.0);
    start(Mode.AUTO, new GateSettings(List.of(text()), 512, 0.001, null, null));
    traffic.show(1);

    await().until(() -> !loop.servedSnapshot().isEmpty());

    assertThat(store.manifest(MODEL, loop.servedSnapshot()).bytes())
        .isGreaterThan(loop.status().fullExpertBytes() * 9 / 10);
    assertThat(messages(Journal.Kind.GATE))
        .anyMatch(message -> message.startsWith("refused: m-smoe at 45 % of memory"));
  }

  private static double bits(Manifest snapshot, String tried) {
    return snapshot.gate().path("tried").path(tried).path("candidate").asDouble();
  }

  private List<String> messages(Journal.Kind kind) {
    return loop.journal(1_000).stream()
        .filter(entry -> entry.kind() == kind)
        .map(Journal.Entry::message)
        .toList();
  }

  private void postMoments(int tokens) {
    OriginalMoments seen = new OriginalMoments(Compute.cpu(), checkpoint);
    Random random = new Random(tokens);
    for (int layer = 0; layer < TinyCheckpoint.LAYERS; layer++) {
      float[] inputs = new float[tokens * TinyCheckpoint.HIDDEN];
      int[] selected = new int[2 * tokens];
      float[] gates = new float[2 * tokens];
      for (int i = 0; i < inputs.length; i++) {
        inputs[i] = (float) random.nextGaussian();
      }
      for (int pick = 0; pick < selected.length; pick++) {
        selected[pick] = pick % TinyCheckpoint.EXPERTS;
        gates[pick] = 0.5f;
      }
      seen.add(layer, inputs, selected, gates);
    }
    Path file = folder.resolve("posted.moments.safetensors");
    MomentsFile.write(file, MODEL, seen.take());
    moments.add(file);
  }

  private String adaptTo(int seed, String before) {
    traffic.show(seed);
    if (!before.isEmpty()) {
      traffic.drift().add(breached(before, Instant.now()));
      traffic.drift().add(breached(before, Instant.now().plusSeconds(10)));
    }
    await().until(() -> !loop.servedSnapshot().isEmpty() && !loop.servedSnapshot().equals(before));
    await().until(() -> loop.status().decision().equals(NO_WINDOW));
    return loop.servedSnapshot();
  }

  private List<String> digests(String snapshot) {
    return store.manifest(MODEL, snapshot).tensors().values().stream()
        .map(tensor -> tensor.digest())
        .toList();
  }

  private Path text() throws IOException {
    return Files.writeString(folder.resolve("text.txt"), "some held-out text ".repeat(40));
  }

  private GateSettings gateThatPassesOnlyTheFirst() throws IOException {
    return new GateSettings(List.of(text()), 512, 100.0, 100.0, null);
  }

  private long refusals() {
    return loop.journal(1_000).stream()
        .filter(entry -> entry.kind() == Journal.Kind.GATE && entry.message().startsWith("refused"))
        .count();
  }

  private void start(Mode mode) {
    start(mode, new GateSettings(null, null, null, null, null));
  }

  private void start(Mode mode, GateSettings gate) {
    loop =
        new LoopBuilder(traffic, checkpoint, store, folder)
            .policy(LoopBuilder.policy(mode))
            .compression(
                new CompressionSettings(
                    strategy,
                    alternatives,
                    memory.isEmpty() ? 4.0 : null,
                    memory,
                    50,
                    null,
                    null,
                    null))
            .gate(gate)
            .canary(canary)
            .moments(moments)
            .engine(
                snapshot -> {
                  activated.add(snapshot.id());
                  return engine.apply(snapshot);
                })
            .figures(() -> serving)
            .build();
    loop.start();
  }

  private static ModelDrift breached(String snapshot, int window) {
    return breached(snapshot, Instant.EPOCH.plusSeconds(10L * window));
  }

  private static ModelDrift breached(String snapshot, Instant start) {
    return ScriptedTraffic.breached(MODEL, snapshot, start);
  }

  private static <T> T join(java.util.concurrent.CompletionStage<T> stage) {
    return stage.toCompletableFuture().join();
  }
}

package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.ModelControl.Request;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a person asks for where the state does not allow it. */
class LoopRequestsTest {

  private static final String MODEL = "tiny";
  private static final Request PERSON = new Request("ada", "because");
  private static final Map<String, Function<ModelLoop, CompletionStage<Outcome>>> REQUESTS =
      Map.of(
          "remerge", loop -> loop.remerge(PERSON),
          "approve", loop -> loop.approve(PERSON),
          "reject", loop -> loop.reject(PERSON),
          "pause", loop -> loop.pause(PERSON),
          "resume", loop -> loop.resume(PERSON));

  @TempDir Path folder;
  private final ScriptedTraffic traffic = new ScriptedTraffic(MODEL);

  @Test
  void shouldRefuseWhatObservingDoesNotAllow() throws IOException {
    inState(Mode.OBSERVE, loop -> {}, LoopState.Observing.class, "approve", "reject", "resume");
  }

  @Test
  void shouldRefuseWhatPausedDoesNotAllow() throws IOException {
    inState(
        Mode.OBSERVE,
        loop -> loop.pause(PERSON).toCompletableFuture().join(),
        LoopState.Paused.class,
        "remerge",
        "approve",
        "reject",
        "pause");
  }

  @Test
  void shouldRefuseWhatAwaitingApprovalDoesNotAllow() throws IOException {
    inState(
        Mode.APPROVE,
        loop -> {
          traffic.show(1);
          loop.step();
        },
        LoopState.AwaitingApproval.class,
        "remerge",
        "pause",
        "resume");
  }

  @Test
  void shouldRefuseWhatCanaryDoesNotAllow() throws IOException {
    inState(
        Mode.AUTO,
        loop -> {
          traffic.show(1);
          loop.step();
        },
        LoopState.Canary.class,
        "remerge",
        "approve",
        "reject",
        "resume");
  }

  private interface Preparation {
    void on(ModelLoop loop);
  }

  private void inState(
      Mode mode, Preparation preparation, Class<? extends LoopState> state, String... refused)
      throws IOException {
    try (Checkpoint checkpoint =
            Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve(MODEL)));
        SnapshotStore store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
        ModelLoop loop =
            new LoopBuilder(traffic, checkpoint, store, folder)
                .policy(LoopBuilder.policy(mode))
                .build()) {
      loop.step();
      preparation.on(loop);
      assertThat(loop.state()).isInstanceOf(state);
      LoopState before = loop.state();

      for (String request : refused) {
        Outcome outcome = REQUESTS.get(request).apply(loop).toCompletableFuture().join();

        assertThat(outcome).as(request).isInstanceOf(Outcome.Refused.class);
        assertThat(outcome.message())
            .as(request)
            .startsWith("not possible while " + LoopRecord.name(state));
        assertThat(loop.state()).as(request).isEqualTo(before);
      }
    }
  }
}

package dev.smelt.agent.election;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.control.Activator;
import dev.smelt.agent.control.Fence;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.SnapshotStore;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LeaderFileTest {

  @TempDir Path folder;

  @Test
  void shouldLetTheLeaderAct() {
    LeaderFile.Term term = file().take("a");

    assertThat(term.guard(() -> "done")).isEqualTo("done");
    assertThat(term.lasts()).isTrue();
    assertThat(file().leader()).map(LeaderFile.Leader::agent).contains("a");
  }

  @Test
  void shouldRefuseALateWriteOfADeposedLeader() {
    LeaderFile.Term before = file().take("a");
    LeaderFile.Term now = file().take("b");
    List<String> done = new ArrayList<>();

    assertThatThrownBy(() -> before.guard(() -> done.add("late")))
        .isInstanceOf(Fence.Deposed.class)
        .hasMessage("another agent acts now: b");
    assertThat(done).isEmpty();
    assertThat(before.lasts()).isFalse();
    assertThat(now.guard(() -> done.add("b"))).isTrue();
  }

  @Test
  void shouldRefuseAnEarlierTermOfTheSameAgent() {
    LeaderFile.Term before = file().take("a");
    file().take("a");

    assertThatThrownBy(() -> before.guard(() -> "late")).isInstanceOf(Fence.Deposed.class);
  }

  @Test
  void shouldLetAGuardedActCallAnother() {
    LeaderFile.Term term = file().take("a");

    assertThat(term.<String>guard(() -> term.guard(() -> "inner"))).isEqualTo("inner");
  }

  @Test
  void shouldNotSwapForADeposedLeader() {
    LeaderFile.Term before = file().take("a");
    file().take("b");
    List<String> swapped = new ArrayList<>();
    FencedActivator activator =
        new FencedActivator(
            snapshot -> {
              swapped.add(snapshot.id());
              return new Activator.Result.Served();
            },
            before,
            folder);

    assertThatThrownBy(() -> activator.activate(snapshot())).isInstanceOf(Fence.Deposed.class);
    assertThat(swapped).isEmpty();
  }

  @Test
  void shouldLetTheNewLeaderSwapAnewAfterASwapThatEndedLate() {
    LeaderFile.Term before = file().take("a");
    List<LeaderFile.Term> successor = new ArrayList<>();
    FencedActivator deposedMeanwhile =
        new FencedActivator(
            snapshot -> {
              successor.add(file().take("b"));
              return new Activator.Result.Served();
            },
            before,
            folder);

    assertThatThrownBy(() -> deposedMeanwhile.activate(snapshot()))
        .isInstanceOf(Fence.Deposed.class);

    FencedActivator next =
        new FencedActivator(snapshot -> new Activator.Result.Served(), successor.get(0), folder);
    assertThat(next.disturbed()).isTrue();
    assertThat(next.disturbed()).isFalse();
    assertThat(next.activate(snapshot())).isInstanceOf(Activator.Result.Served.class);
  }

  private LeaderFile file() {
    return new LeaderFile(folder, Clock.systemUTC());
  }

  private Manifest snapshot() {
    try (SnapshotStore store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC())) {
      return store.begin("m").commit(ManifestDraft.of("test", "test", "none", "sha256:0"));
    }
  }
}

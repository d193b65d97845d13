package dev.smelt.store.snapshot;

import static dev.smelt.store.snapshot.Snapshots.BECAUSE;
import static dev.smelt.store.snapshot.Snapshots.MODEL;
import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.snapshot.Scenario.State;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Processes that are killed by signal 9 in the middle of a change. */
class KillIT {

  private static final int KILLED = 128 + 9;
  private static final int AT_ONCE = 4;

  @TempDir Path folder;

  /** Arguments: root, scenario, step to die at; or root, {@code activate}, times. */
  public static void main(String[] arguments) {
    Path root = Path.of(arguments[0]);
    int number = Integer.parseInt(arguments[2]);
    if (arguments[1].equals("activate")) {
      SnapshotStore store = SnapshotStore.open(root, Clock.systemUTC());
      String id = store.snapshots(MODEL).get(0).id();
      for (int i = 0; i < number; i++) {
        store.activate(MODEL, id, BECAUSE);
      }
    } else {
      FailingFiles files = new FailingFiles(number, KillIT::killMyself);
      Scenario.valueOf(arguments[1])
          .run(SnapshotStore.open(root, Clock.systemUTC(), ManifestKeys.NONE, files));
    }
  }

  private static void killMyself() {
    try {
      new ProcessBuilder("kill", "-9", Long.toString(ProcessHandle.current().pid()))
          .start()
          .waitFor();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Process start(Path root, String what, int number) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xshare:auto",
            "-cp",
            System.getProperty("java.class.path"),
            KillIT.class.getName(),
            root.toString(),
            what,
            Integer.toString(number))
        .inheritIO()
        .start();
  }

  @ParameterizedTest
  @EnumSource(names = "RETAIN", mode = EnumSource.Mode.EXCLUDE)
  void shouldHoldTheOldOrTheNewStateAfterBeingKilledAtAnyStep(Scenario scenario) throws Exception {
    Path template = folder.resolve("template");
    Scenario.prepare(template);
    Path whole = folder.resolve("whole");
    Scenario.copy(template, whole);
    State before = Scenario.state(Scenario.open(whole));
    FailingFiles counting = FailingFiles.counting();
    scenario.run(SnapshotStore.open(whole, Clock.systemUTC(), ManifestKeys.NONE, counting));

    for (int first = 1; first <= counting.steps(); first += AT_ONCE) {
      Map<Path, Process> dying = new LinkedHashMap<>();
      for (int step = first; step < first + AT_ONCE && step <= counting.steps(); step++) {
        Path root = folder.resolve("store-" + step);
        Scenario.copy(template, root);
        dying.put(root, start(root, scenario.name(), step));
      }
      for (Map.Entry<Path, Process> process : dying.entrySet()) {
        assertThat(process.getValue().waitFor()).isEqualTo(KILLED);
        scenario.check(process.getKey(), before);
      }
    }
  }

  @Test
  void shouldLoseNoMoveOfTwoProcessesAtOnce() throws Exception {
    Scenario.prepare(folder);
    List<Process> writers = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      writers.add(start(folder, "activate", 40));
    }
    for (Process writer : writers) {
      assertThat(writer.waitFor()).isZero();
    }
    List<LogEntry> log = SnapshotStore.open(folder, Clock.systemUTC()).log(MODEL);
    assertThat(log).hasSize(3 + 80);
    for (int i = 0; i < log.size(); i++) {
      assertThat(log.get(i).sequence()).isEqualTo(i + 1);
    }
  }
}

package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class StoreCommandTest {

  @TempDir Path folder;
  private String first;
  private String second;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void publish() {
    try (SnapshotStore store = SnapshotStore.open(folder, Clock.systemUTC())) {
      first = publish(store, 1);
      second = publish(store, 2);
    }
  }

  private static String publish(SnapshotStore store, int value) {
    try (Publication publication = store.begin("tiny")) {
      publication.add(Tensor.ints("b.experts.map", List.of(1L), new int[] {0}));
      publication.add(Tensor.ints("b.groups.0.up.weight", List.of(1L), new int[] {value}));
      return publication.commit(ManifestDraft.of("test", "by hand", "m-smoe", "sha256:0")).id();
    }
  }

  private int run(String... arguments) {
    out.getBuffer().setLength(0);
    List<String> all = new ArrayList<>(List.of("store"));
    all.addAll(List.of(arguments));
    all.addAll(List.of("--store", folder.toString()));
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out));
    commandLine.setErr(new PrintWriter(err));
    return commandLine.execute(all.toArray(String[]::new));
  }

  @Test
  void shouldActivateListDiffAndRollBack() throws Exception {
    assertThat(run("activate", "tiny", first, "--why", "try")).isZero();
    assertThat(run("activate", "tiny", second, "--why", "better")).isZero();
    assertThat(out.toString()).contains("active: " + first + " -> " + second);
    assertThat(run("ls", "tiny")).isZero();
    assertThat(out.toString().lines().toList().get(0)).startsWith(second).endsWith("active");
    assertThat(run("diff", "tiny", "previous", "active", "--json")).isZero();
    assertThat(new ObjectMapper().readTree(out.toString()).path("groups").toString())
        .isEqualTo("{\"b\":[0]}");
    assertThat(run("rollback", "tiny", "--why", "worse", "--json")).isZero();
    assertThat(new ObjectMapper().readTree(out.toString()).path("to").asText()).isEqualTo(first);
    assertThat(run("show", "tiny", "active")).isZero();
    assertThat(out.toString()).contains("snapshot    " + first);
  }

  @Test
  void shouldPinCollectAndVerify() {
    assertThat(run("pin", "tiny", first, "keep", "--why", "release")).isZero();
    assertThat(run("gc", "--grace", "PT0S", "--keep", "0", "--older", "PT0S")).isZero();
    assertThat(out.toString()).contains("removed 1 snapshots; deleted 1 blobs");
    assertThat(run("verify")).isZero();
    assertThat(out.toString()).contains("1 snapshots, 2 blobs").contains("0 damaged");
    assertThat(err.toString()).contains("hashing: 100 %");
    assertThat(run("unpin", "tiny", "keep", "--why", "over")).isZero();
  }

  @Test
  void shouldSayInOneLineThatASnapshotIsNotThere() {
    assertThat(run("activate", "tiny", "nothing", "--why", "try")).isEqualTo(1);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString()).startsWith("smelt: 'nothing' is no snapshot id");
  }

  @Test
  void shouldNeedAReasonToActivate() {
    assertThat(run("activate", "tiny", first)).isEqualTo(2);
  }
}

package dev.smelt.agent.swap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import dev.smelt.agent.swap.SwapResult.Unknown;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import org.junit.jupiter.api.Test;

class ReplicasDriverTest {

  private static final Serving TARGET = new Serving("new", Path.of("/new"));
  private static final Serving PREVIOUS = new Serving("old", Path.of("/old"));

  private final List<String> calls = new ArrayList<>();
  private final Map<String, SwapDriver> replicas = new LinkedHashMap<>();

  @Test
  void shouldSwapOneAfterAnother() {
    replica("a", new Served("new"));
    replica("b", new Served("new"));

    assertThat(swap()).isEqualTo(new Served("new"));
    assertThat(calls).containsExactly("a new", "b new");
  }

  @Test
  void shouldStopAtTheFirstFailureAndTakeTheOthersBack() {
    replica("a", new Served("new"), new Served("old"));
    replica("b", new Served("new"), new Served("old"));
    replica("c", new Kept("old", "no room"));
    replica("d");

    assertThat(swap()).isEqualTo(new Kept("old", "c: no room"));
    assertThat(calls).containsExactly("a new", "b new", "c new", "b old", "a old");
  }

  @Test
  void shouldNotKnowWhenAReplicaCannotBeTakenBack() {
    replica("a", new Served("new"), new Kept("new", "busy"));
    replica("b", new Kept("old", "no room"));

    assertThat(swap()).isEqualTo(new Unknown("b: no room; a still serves new: busy"));
  }

  @Test
  void shouldNotKnowWhenAReplicaIsUnknownAndStillTakeTheOthersBack() {
    replica("a", new Served("new"), new Served("old"));
    replica("b", new Unknown("no answer"));

    assertThat(swap()).isEqualTo(new Unknown("b: no answer"));
    assertThat(calls).containsExactly("a new", "b new", "a old");
  }

  @Test
  void shouldNeedAReplica() {
    assertThatThrownBy(() -> new ReplicasDriver(Map.of())).hasMessage("no replica to swap");
  }

  private SwapResult swap() {
    return new ReplicasDriver(replicas).swap(TARGET, PREVIOUS);
  }

  private void replica(String name, SwapResult... results) {
    Queue<SwapResult> left = new ArrayDeque<>(List.of(results));
    replicas.put(
        name,
        (target, previous) -> {
          calls.add(name + " " + target.snapshot());
          return left.remove();
        });
  }
}

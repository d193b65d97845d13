package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.Similarity;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ReuseTest {

  private static final String BLOCK = "block";
  private static final Plan ACTIVE =
      plan(List.of(0, 2), List.of(0, 0, 1, 1), List.of(0.4, 0.1, 0.3, 0.2));

  @Test
  void shouldKeepEverythingWhenWeightsHaveHardlyMoved() {
    Plan next = plan(List.of(0, 2), List.of(0, 0, 1, 1), List.of(0.404, 0.096, 0.3, 0.2));

    Reuse reuse = Reuse.between(next, ACTIVE, (block, group) -> true, 0.02);

    assertThat(reuse.everything()).isTrue();
  }

  @Test
  void shouldMakeAnewWhatMovedAndKeepTheRest() {
    Plan next = plan(List.of(0, 2), List.of(0, 0, 1, 1), List.of(0.4, 0.1, 0.26, 0.24));

    Reuse reuse = Reuse.between(next, ACTIVE, (block, group) -> true, 0.02);

    assertThat(reuse.kept(BLOCK, 0)).hasValue(0);
    assertThat(reuse.kept(BLOCK, 1)).isEmpty();
    assertThat(reuse.everything()).isFalse();
  }

  @Test
  void shouldFindAGroupUnderAnotherNumber() {
    Plan next = plan(List.of(2, 0), List.of(1, 1, 0, 0), List.of(0.1, 0.025, 0.525, 0.35));

    Reuse reuse = Reuse.between(next, ACTIVE, (block, group) -> true, 0.02);

    assertThat(reuse.kept(BLOCK, 0)).hasValue(1);
    assertThat(reuse.kept(BLOCK, 1)).hasValue(0);
  }

  @Test
  void shouldNotKeepAGroupWithAnotherDominantExpertOrOtherMembers() {
    Plan otherDominant = plan(List.of(1, 2), List.of(0, 0, 1, 1), List.of(0.4, 0.1, 0.3, 0.2));
    Plan otherMembers = plan(List.of(0, 2), List.of(0, 1, 1, 1), List.of(0.4, 0.1, 0.3, 0.2));

    assertThat(Reuse.between(otherDominant, ACTIVE, (block, group) -> true, 0.02).kept(BLOCK, 0))
        .isEmpty();
    assertThat(Reuse.between(otherMembers, ACTIVE, (block, group) -> true, 0.02).keptGroups())
        .isZero();
  }

  @Test
  void shouldMakeAnewWhatTheStoreHasLost() {
    Reuse reuse = Reuse.between(ACTIVE, ACTIVE, (block, group) -> group != 1, 0.02);

    assertThat(reuse.kept(BLOCK, 0)).hasValue(0);
    assertThat(reuse.kept(BLOCK, 1)).isEmpty();
  }

  @Test
  void shouldLetSmallMovesAddUpUntilTheyMatter() {
    Plan serving = ACTIVE;
    for (int step = 1; step <= 2; step++) {
      Reuse reuse = Reuse.between(moved(step * 0.008), serving, (block, group) -> true, 0.02);
      assertThat(reuse.everything()).isTrue();
      serving = reuse.plan();
    }

    assertThat(
            Reuse.between(moved(3 * 0.008), serving, (block, group) -> true, 0.02).kept(BLOCK, 0))
        .isEmpty();
  }

  private static Plan moved(double by) {
    return plan(List.of(0, 2), List.of(0, 0, 1, 1), List.of(0.4 - by / 2, 0.1 + by / 2, 0.3, 0.2));
  }

  private static Plan plan(List<Integer> dominant, List<Integer> labels, List<Double> frequency) {
    return new Plan(
        "m",
        "m-smoe",
        Optional.of(Similarity.CO_ACTIVATION),
        Budget.EXACT,
        2,
        List.of(new LayerPlan(BLOCK, dominant, labels, frequency, frequency)));
  }
}

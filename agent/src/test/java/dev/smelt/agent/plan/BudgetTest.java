package dev.smelt.agent.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class BudgetTest {

  private static final List<double[]> SKEWED =
      List.of(new double[] {0.7, 0.1, 0.1, 0.1}, new double[] {0.4, 0.3, 0.2, 0.1});

  @Test
  void shouldGiveMoreGroupsToTheLayerThatUsesMoreExperts() {
    assertThat(Budget.EXACT.groups(SKEWED, 2)).containsExactly(1, 3);
    assertThat(Budget.REFERENCE.groups(SKEWED, 2)).containsExactly(1, 3);
  }

  @Test
  void shouldSpendTheWholeBudgetDespiteTies() {
    List<double[]> even =
        List.of(new double[] {0.25, 0.25, 0.25, 0.25}, new double[] {0.25, 0.25, 0.25, 0.25});

    assertThat(Budget.EXACT.groups(even, 2.5)).containsExactly(4, 1);
  }

  @Test
  void shouldDropTiesAtTheThresholdAsTheReferenceDoes() {
    List<double[]> even =
        List.of(new double[] {0.25, 0.25, 0.25, 0.25}, new double[] {0.25, 0.25, 0.25, 0.25});

    assertThat(Budget.REFERENCE.groups(even, 2)).containsExactly(1, 1);
  }

  @Test
  void shouldKeepAsManyGroupsInEachLayerAsTheirSizeNeeds() {
    assertThat(Budget.EXACT.groups(SKEWED, 2, experts -> 2)).containsExactly(2, 2);
    assertThat(Budget.REFERENCE.groups(SKEWED, 3, experts -> 2)).containsExactly(2, 3);
  }

  @Test
  void shouldRefuseABudgetTooSmallForTheSizeOfGroups() {
    assertThatThrownBy(() -> Budget.EXACT.groups(SKEWED, 1.5, experts -> 2))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("4 groups are needed in all, 3 are asked for");
  }

  @Test
  void shouldKeepEveryExpertWhenTheBudgetIsFull() {
    assertThat(Budget.EXACT.groups(SKEWED, 4)).containsExactly(4, 4);
    assertThat(Budget.UNIFORM.groups(SKEWED, 4)).containsExactly(4, 4);
  }

  @Test
  void shouldGiveEachLayerTheSameNumber() {
    assertThat(Budget.UNIFORM.groups(SKEWED, 2)).containsExactly(2, 2);
    assertThat(Budget.UNIFORM.groups(SKEWED, 2.5)).containsExactly(3, 2);
  }

  @Test
  void shouldLeaveASingleExpertAlone() {
    assertThat(Budget.EXACT.groups(List.of(new double[] {1}), 1)).containsExactly(1);
  }

  @Test
  void shouldRefuseABudgetOutsideThePossible() {
    for (double average : new double[] {0.5, 4.5, Double.NaN}) {
      assertThatThrownBy(() -> Budget.EXACT.groups(SKEWED, average))
          .isInstanceOf(PlanException.class)
          .hasMessageContaining("between 1 and the 4 experts");
    }
  }
}

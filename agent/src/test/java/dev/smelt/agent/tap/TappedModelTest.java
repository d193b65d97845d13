package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class TappedModelTest {

  private final TappedModel model = TestModels.model(2, 4, 2);

  @Test
  void shouldSplitDecisionsByBlock() throws PayloadException {
    // Given two tokens, two layers, two choices
    RoutedExperts routed = new RoutedExperts(2, 2, 2, new int[] {0, 1, 2, 3, 1, 0, 3, 2});

    TappedModel.SequenceDecisions decisions = model.decisions(routed);

    assertThat(decisions.chosen().get(model.blocks().get(0))).containsExactly(0, 1, 1, 0);
    assertThat(decisions.chosen().get(model.blocks().get(1))).containsExactly(2, 3, 3, 2);
    assertThat(decisions.droppedRows()).isZero();
  }

  @Test
  void shouldPickBlocksFromARowForEveryDecoderLayer() throws PayloadException {
    TappedModel sparse =
        new TappedModel("sparse", 3, List.of(new TappedModel.Block("moe", 1, 4, 1)));

    TappedModel.SequenceDecisions decisions =
        sparse.decisions(new RoutedExperts(2, 3, 1, new int[] {0, 3, 0, 0, 2, 0}));

    assertThat(decisions.chosen().get(sparse.blocks().get(0))).containsExactly(3, 2);
  }

  @Test
  void shouldLeaveOutRowsThatNameAnExpertTwice() throws PayloadException {
    RoutedExperts routed = new RoutedExperts(2, 2, 2, new int[] {0, 0, 2, 3, 1, 0, 3, 2});

    TappedModel.SequenceDecisions decisions = model.decisions(routed);

    assertThat(decisions.droppedRows()).isEqualTo(1);
    assertThat(decisions.chosen().get(model.blocks().get(0))).containsExactly(-1, -1, 1, 0);
  }

  @Test
  void shouldRefuseAllZeros() {
    assertFault(new RoutedExperts(3, 2, 2, new int[12]), TapFault.ALL_ZERO);
  }

  @Test
  void shouldRefuseALayerOfZerosOfATopOneModel() {
    int[] ids = new int[64];
    for (int token = 0; token < 32; token++) {
      ids[2 * token + 1] = token % 4;
    }

    assertThatThrownBy(() -> TestModels.model(2, 4, 1).decisions(new RoutedExperts(32, 2, 1, ids)))
        .isInstanceOfSatisfying(
            PayloadException.class,
            refused -> assertThat(refused.fault()).isEqualTo(TapFault.ALL_ZERO));
  }

  @Test
  void shouldRefuseRepeatedExpertsInEveryRow() {
    assertFault(new RoutedExperts(1, 2, 2, new int[] {1, 1, 2, 2}), TapFault.REPEATED);
  }

  @Test
  void shouldRefuseIdsBeyondTheExperts() {
    assertFault(new RoutedExperts(1, 2, 2, new int[] {0, 1, 2, 4}), TapFault.OUT_OF_RANGE);
    assertFault(new RoutedExperts(1, 2, 2, new int[] {0, 1, 2, -2}), TapFault.OUT_OF_RANGE);
  }

  @Test
  void shouldRefuseAnotherTopK() {
    assertFault(new RoutedExperts(1, 2, 1, new int[] {0, 1}), TapFault.WRONG_SHAPE);
  }

  @Test
  void shouldRefuseAnotherNumberOfLayers() {
    assertFault(new RoutedExperts(1, 1, 2, new int[] {0, 1}), TapFault.WRONG_SHAPE);
  }

  @Test
  void shouldReportNoRowsAsMissing() {
    assertFault(new RoutedExperts(0, 2, 2, new int[0]), TapFault.MISSING);
  }

  @Test
  void shouldRefuseAModelWithoutBlocks() {
    assertThatThrownBy(() -> new TappedModel("dense", 2, List.of()))
        .hasMessage("dense: no block with experts to tap");
  }

  private void assertFault(RoutedExperts routed, TapFault fault) {
    assertThatThrownBy(() -> model.decisions(routed))
        .isInstanceOfSatisfying(
            PayloadException.class, refused -> assertThat(refused.fault()).isEqualTo(fault));
  }
}

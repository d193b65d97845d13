package dev.smelt.agent.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlanFileTest {

  private static final Plan PLAN =
      new Plan(
          "model",
          "m-smoe",
          Optional.of(Similarity.CO_ACTIVATION),
          Budget.EXACT,
          1.5,
          List.of(
              new LayerPlan("a", List.of(1), List.of(0, 0), List.of(0.4, 0.6), List.of(0.4, 0.6)),
              new LayerPlan(
                  "b", List.of(0), List.of(0, -1), List.of(1.0, 0.0), List.of(0.7, 0.3))));

  @TempDir private Path folder;

  @Test
  void shouldReadWhatItWrote() {
    Path file = folder.resolve("plan.json");

    PlanFile.write(PLAN, file);

    assertThat(PlanFile.read(file)).isEqualTo(PLAN);
  }

  @Test
  void shouldKeepTheBoundOnGroupsAndTheBlocksThatStay() {
    Path file = folder.resolve("plan.json");
    Plan plan =
        new Plan(
            "model",
            "m-smoe",
            Optional.of(Similarity.WEIGHT),
            Budget.EXACT,
            1,
            OptionalInt.of(4),
            PLAN.layers(),
            List.of(new Plan.Untouched("c", "c.w is quantised")));

    PlanFile.write(plan, file);

    assertThat(PlanFile.read(file)).isEqualTo(plan);
    assertThat(PlanFile.toJson(PLAN).has("maxGroup")).isFalse();
    assertThat(PlanFile.toJson(PLAN).has("untouched")).isFalse();
  }

  @Test
  void shouldUseTheNamesOfTheFormat() {
    assertThat(PlanFile.toJson(PLAN).toString())
        .startsWith(
            "{\"model\":\"model\",\"strategy\":\"m-smoe\",\"similarity\":\"co-activation\","
                + "\"budget\":\"exact\",\"averageGroups\":1.5,\"layers\":[{\"block\":\"a\","
                + "\"experts\":2,\"dominant\":[1],\"labels\":[0,0],\"frequency\":[0.4,0.6]}");
  }

  @Test
  void shouldNameAMissingFile() {
    Path file = folder.resolve("plan.json");

    assertThatThrownBy(() -> PlanFile.read(file))
        .isInstanceOf(PlanException.class)
        .hasMessage(file + ": no such plan; make one with smelt plan");
  }

  @Test
  void shouldNameAFileThatIsNotJson() throws IOException {
    Path file = Files.writeString(folder.resolve("plan.json"), "{");

    assertThatThrownBy(() -> PlanFile.read(file))
        .isInstanceOf(PlanException.class)
        .hasMessageStartingWith(file + ": not JSON");
  }

  @Test
  void shouldNameAMissingField() throws IOException {
    Path file = Files.writeString(folder.resolve("plan.json"), "{\"model\":\"m\"}");

    assertThatThrownBy(() -> PlanFile.read(file))
        .isInstanceOf(PlanException.class)
        .hasMessage(file + ": the plan has no \"layers\"");
  }

  @Test
  void shouldNameTheExpertWhoseWeightIsNaN() throws IOException {
    String json = PlanFile.toJson(PLAN).toString().replace("[0.4,0.6]", "[0.4,NaN]");
    Path file = Files.writeString(folder.resolve("plan.json"), json);

    assertThatThrownBy(() -> PlanFile.read(file))
        .isInstanceOf(PlanException.class)
        .hasMessage(file + ": a: expert 1 has weight NaN; it must be 0 or more");
  }

  @Test
  void shouldRefuseWhatElseIsNoNumber() throws IOException {
    String json = PlanFile.toJson(PLAN).toString();
    Path frequency = Files.writeString(folder.resolve("frequency"), json.replace("0.7", "NaN"));
    Path average =
        Files.writeString(
            folder.resolve("average"),
            json.replace("\"averageGroups\":1.5", "\"averageGroups\":Infinity"));

    assertThatThrownBy(() -> PlanFile.read(frequency))
        .isInstanceOf(PlanException.class)
        .hasMessage(frequency + ": b: expert 0 has frequency NaN; it must be 0 or more");
    assertThatThrownBy(() -> PlanFile.read(average))
        .isInstanceOf(PlanException.class)
        .hasMessage(average + ": the plan has an average of Infinity groups");
  }

  @Test
  void shouldRefuseALabelWithoutGroup() {
    assertThatThrownBy(
            () ->
                new LayerPlan("a", List.of(1), List.of(2, 0), List.of(1.0, 1.0), List.of(0.5, 0.5)))
        .isInstanceOf(PlanException.class)
        .hasMessage("a: expert 0 has label 2, but the plan has 1 groups");
  }

  @Test
  void shouldRefuseAWeightBelowZero() {
    for (double weight : new double[] {-0.5, Double.NaN, Double.POSITIVE_INFINITY}) {
      assertThatThrownBy(
              () ->
                  new LayerPlan(
                      "a", List.of(1), List.of(0, 0), List.of(weight, 1.0), List.of(0.5, 0.5)))
          .isInstanceOf(PlanException.class)
          .hasMessage("a: expert 0 has weight " + weight + "; it must be 0 or more");
    }
  }

  @Test
  void shouldRefuseAGroupWithoutMembers() {
    assertThatThrownBy(
            () ->
                new LayerPlan(
                    "a", List.of(1, 0), List.of(0, 0), List.of(1.0, 1.0), List.of(0.5, 0.5)))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("not one of its members");
  }

  @Test
  void shouldRefuseAPlanWithoutGroups() {
    assertThatThrownBy(() -> new LayerPlan("a", List.of(), List.of(-1), List.of(1.0), List.of(1.0)))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("no groups");
  }
}

package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.Goldens;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class PlanAndCompressTest {

  private static final Path CHECKPOINT = Goldens.path("mixtral-grouping");
  private static final Path ROUTING = Goldens.path("mixtral-grouping/routing.safetensors");
  private static final Offset<Float> CLOSE = Offset.offset(1e-5f);

  @TempDir private Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void shouldReproduceLabelsAndWeightsOfTheReference() throws Exception {
    // When
    Path planFile = folder.resolve("plan.json");
    assertThat(
            run(
                "plan --checkpoint %s --routing %s --budget reference --similarity router-logits"
                    + " --average-groups 4 -o %s",
                CHECKPOINT, ROUTING, planFile))
        .isZero();
    Path expanded = folder.resolve("expanded");
    assertThat(
            run(
                "compress --checkpoint %s --plan %s --align none --format expanded -o %s",
                CHECKPOINT, planFile, expanded))
        .isZero();

    // Then
    JsonNode json = new ObjectMapper().readTree(planFile.toFile());
    assertThat(json.fieldNames())
        .toIterable()
        .containsExactly("model", "strategy", "similarity", "budget", "averageGroups", "layers");
    assertThat(json.path("layers"))
        .allSatisfy(
            layer ->
                assertThat(layer.fieldNames())
                    .toIterable()
                    .containsExactly("block", "experts", "dominant", "labels", "frequency"));
    Plan plan = PlanFile.read(planFile);
    try (Checkpoint written = Checkpoint.open(expanded);
        SafetensorsFile expected =
            SafetensorsFile.open(Goldens.path("mixtral-grouping/expected.safetensors"))) {
      for (MoeBlock block : written.blocks()) {
        LayerPlan layer = plan.layer(block.name()).orElseThrow();
        assertThat(layer.labels()).isEqualTo(integers(expected, block, ".group_labels"));
        assertThat(layer.dominant()).isEqualTo(integers(expected, block, ".dominant_experts"));
        for (int expert = 0; expert < block.experts(); expert++) {
          String prefix = block.name() + ".merged_without_alignment.experts." + expert + ".";
          assertThat(written.expert(block, expert, Role.GATE))
              .containsExactly(expected.floats(prefix + "w1.weight"), CLOSE);
          assertThat(written.expert(block, expert, Role.UP))
              .containsExactly(expected.floats(prefix + "w3.weight"), CLOSE);
          assertThat(written.expert(block, expert, Role.DOWN))
              .containsExactly(expected.floats(prefix + "w2.weight"), CLOSE);
        }
      }
    }
    assertThat(Files.list(folder)).containsExactlyInAnyOrder(planFile, expanded);
  }

  @Test
  void shouldWriteEachMergedExpertOnceInTheCompactForm() {
    Path compact = folder.resolve("compact");

    assertThat(
            run(
                "compress --checkpoint %s --routing %s --average-groups 3 --format compact -o %s --json",
                CHECKPOINT, ROUTING, compact))
        .isZero();

    try (Checkpoint written = Checkpoint.open(compact)) {
      CompactExperts experts = new CompactExperts(written);
      int groups = 0;
      for (MoeBlock block : written.blocks()) {
        assertThat(experts.map(block)).hasSize(8);
        groups += experts.groups(block);
      }
      assertThat(groups).isEqualTo(12);
    }
    assertThat(out.toString()).contains("\"groups\" : 12");
  }

  @Test
  void shouldWriteTheSameNumberOfExpertsInEachLayerInTheUniformForm() {
    Path uniform = folder.resolve("uniform");

    assertThat(
            run(
                "compress --checkpoint %s --routing %s --average-groups 4 --budget uniform"
                    + " --format uniform -o %s",
                CHECKPOINT, ROUTING, uniform))
        .isZero();

    try (Checkpoint written = Checkpoint.open(uniform)) {
      assertThat(written.blocks()).allSatisfy(block -> assertThat(block.experts()).isEqualTo(4));
    }
  }

  @Test
  void shouldFitFactoredExpertsIntoAMemoryBudget() {
    Path compact = folder.resolve("compact");

    assertThat(
            run(
                "compress --checkpoint %s --routing %s --strategy mc-smoe --budget-bytes 60%% -o %s",
                CHECKPOINT, ROUTING, compact))
        .isZero();

    try (Checkpoint written = Checkpoint.open(compact)) {
      MoeBlock block = written.blocks().get(0);
      assertThat(new CompactExperts(written).factored(block, 0, Role.UP)).isTrue();
    }
  }

  @Test
  void shouldNotTakeRefitMomentsForFactoredExperts() {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --average-groups 4 --rank-ratio 0.3 --keep 0.1"
                    + " --refit-moments %s -o %s",
                CHECKPOINT, ROUTING, folder.resolve("x.moments"), folder.resolve("x")))
        .isEqualTo(2);

    assertThat(err.toString()).contains("--refit-moments are for merged experts");
  }

  @Test
  void shouldNotRefitWhereItIsSwitchedOff() {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --average-groups 4 --no-refit"
                    + " --refit-moments %s -o %s",
                CHECKPOINT, ROUTING, folder.resolve("missing.moments"), folder.resolve("x")))
        .isZero();
  }

  @Test
  void shouldNameTheRefitMomentsThatAreMissing() {
    Path missing = folder.resolve("missing.moments.safetensors");

    assertThat(
            run(
                "compress --checkpoint %s --routing %s --average-groups 4 --refit-moments %s -o %s",
                CHECKPOINT, ROUTING, missing, folder.resolve("x")))
        .isEqualTo(1);

    assertThat(err.toString()).contains(missing.toString());
  }

  @Test
  void shouldBoundTheSizeOfGroups() {
    assertThat(
            run(
                "plan --checkpoint %s --routing %s --average-groups 4 --max-group 2 --json",
                CHECKPOINT, ROUTING))
        .isZero();

    assertThat(out.toString()).contains("\"maxGroup\" : 2");
  }

  @Test
  void shouldSayHowManyGroupsTheBoundOnTheirSizeNeeds() {
    assertThat(
            run(
                "plan --checkpoint %s --routing %s --average-groups 2 --max-group 2",
                CHECKPOINT, ROUTING))
        .isEqualTo(1);

    assertThat(err.toString()).contains("16 groups are needed in all, 8 are asked for");
  }

  @Test
  void shouldRefuseToOverwriteAFolder() {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --average-groups 4 -o %s",
                CHECKPOINT, ROUTING, folder))
        .isEqualTo(1);

    assertThat(err.toString()).contains(folder + ": exists already").hasLineCount(1);
  }

  @Test
  void shouldAskForExactlyOneAim() {
    assertThat(run("compress --checkpoint %s -o %s", CHECKPOINT, folder.resolve("x"))).isEqualTo(2);

    assertThat(err.toString()).contains("exactly one of --plan");
  }

  @Test
  void shouldNameAnUnknownStrategyAndTheKnownOnes() {
    assertThat(
            run(
                "plan --checkpoint %s --routing %s --average-groups 4 --strategy best",
                CHECKPOINT, ROUTING))
        .isEqualTo(1);

    assertThat(err.toString()).contains("unknown strategy 'best'").contains("m-smoe");
  }

  @Test
  void shouldSayThatSmeltNeedsMoments() {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --strategy smelt --budget-bytes 50%% -o %s",
                CHECKPOINT, ROUTING, folder.resolve("x")))
        .isEqualTo(1);

    assertThat(err.toString()).contains("give --moments");
  }

  @ParameterizedTest
  @ValueSource(strings = {"101%", "0"})
  void shouldRefuseABudgetOutsideThePossible(String budget) {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --budget-bytes %s -o %s",
                CHECKPOINT, ROUTING, budget, folder.resolve("x")))
        .isEqualTo(1);

    assertThat(err.toString()).contains("outside the possible");
  }

  @ParameterizedTest
  @CsvSource({
    "m-smoe, 18431, 18432 that the fewest experts of every layer take",
    "frequency-prune, 36863, 36864 that the fewest experts of every layer take",
    "mc-smoe, 1919, 1920 that low-rank factors of each matrix take"
  })
  void shouldRefuseABudgetThatNothingFitsInto(String strategy, long budget, String range) {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --strategy %s --budget-bytes %s -o %s",
                CHECKPOINT, ROUTING, strategy, budget, folder.resolve("x")))
        .isEqualTo(1);

    assertThat(err.toString()).contains("below the").contains(range).hasLineCount(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"NaN%", "half"})
  void shouldAskForABudgetThatIsANumber(String budget) {
    assertThat(
            run(
                "compress --checkpoint %s --routing %s --budget-bytes %s -o %s",
                CHECKPOINT, ROUTING, budget, folder.resolve("x")))
        .isEqualTo(2);

    assertThat(err.toString()).contains(budget + " is neither a number of bytes nor a percentage");
  }

  @ParameterizedTest
  @ValueSource(strings = {"m-smoe", "mc-smoe", "frequency-prune"})
  void shouldStayWithinTheBudget(String strategy) throws Exception {
    long maps = 4 * 8 * Integer.BYTES;
    for (int percent : new int[] {30, 47, 50, 66, 80}) {
      out.getBuffer().setLength(0);

      assertThat(
              run(
                  "compress --checkpoint %s --routing %s --strategy %s --budget-bytes %s -o %s --json",
                  CHECKPOINT, ROUTING, strategy, percent + "%", folder.resolve(percent + strategy)))
          .isZero();

      JsonNode bytes = new ObjectMapper().readTree(out.toString()).path("expertBytes");
      assertThat(bytes.path("after").asLong() - maps)
          .isLessThanOrEqualTo(bytes.path("before").asLong() * percent / 100)
          .isGreaterThan(bytes.path("before").asLong() * (percent - 5) / 100);
    }
  }

  @Test
  void shouldNameAMissingTrace() {
    Path missing = folder.resolve("no.routing.safetensors");

    assertThat(run("plan --checkpoint %s --routing %s --average-groups 4", CHECKPOINT, missing))
        .isEqualTo(1);

    assertThat(err.toString()).startsWith("smelt: ").contains(missing.toString()).hasLineCount(1);
  }

  private int run(String command, Object... values) {
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    List<String> words = new ArrayList<>();
    int next = 0;
    for (String word : command.split(" ")) {
      words.add(word.equals("%s") ? values[next++].toString() : word.replace("%%", "%"));
    }
    return commandLine.execute(words.toArray(String[]::new));
  }

  private static List<Integer> integers(SafetensorsFile file, MoeBlock block, String suffix) {
    return Arrays.stream(file.ints(block.name() + suffix)).boxed().toList();
  }
}

package dev.smelt.agent.cli;

import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Decides which experts go together and writes the plan. */
@Command(
    name = "plan",
    description = "Decides from routing traces which experts of each layer form a group.",
    footer = {
      "  smelt plan --checkpoint my-model --routing chat.routing.safetensors --average-groups 48",
      "  smelt plan --checkpoint my-model --routing chat.routing.safetensors code.routing.safetensors --average-groups 48 --similarity co-activation -o plan.json"
    })
final class PlanCommand implements Callable<Integer> {

  @Option(
      names = "--checkpoint",
      required = true,
      paramLabel = "DIR",
      description = "The model's folder.")
  private Path checkpoint;

  @Option(
      names = "--routing",
      required = true,
      arity = "1..*",
      paramLabel = "FILE",
      description = "Routing traces (*.routing.safetensors); several add up.")
  private List<Path> routing;

  @Option(
      names = "--average-groups",
      required = true,
      paramLabel = "A",
      description = "Groups that a layer keeps, on average.")
  private double averageGroups;

  @Mixin private PlanningChoices choices = new PlanningChoices();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Where the plan goes; without it a summary is printed only.")
  private @Nullable Path output;

  @Mixin private ResultOutput result = new ResultOutput();

  PlanCommand() {}

  @Override
  public Integer call() {
    try (Checkpoint opened = Checkpoint.open(checkpoint)) {
      Plan plan =
          Planner.plan(
              opened, RoutingTrace.read(opened.blocks(), routing), choices.options(averageGroups));
      if (output != null) {
        PlanFile.write(plan, output);
      }
      result.print(() -> PlanFile.toJson(plan), out -> print(plan, out));
    }
    return 0;
  }

  private static void print(Plan plan, PrintWriter out) {
    for (LayerPlan layer : plan.layers()) {
      out.printf("%s: %d experts in %d groups%n", layer.block(), layer.experts(), layer.groups());
      for (int group = 0; group < layer.groups(); group++) {
        out.printf("  %3d  %s%n", layer.dominant().get(group), layer.members(group));
      }
    }
    plan.untouched()
        .forEach(one -> out.printf("%s: stays as it is, %s%n", one.block(), one.reason()));
  }

  /** How to plan; shared by the commands that do. */
  static final class PlanningChoices {

    @Option(
        names = "--strategy",
        defaultValue = "m-smoe",
        paramLabel = "NAME",
        description =
            "Who decides: m-smoe (default), mc-smoe, frequency-prune, reap, ream or smelt.")
    private String strategy;

    @Option(
        names = "--similarity",
        defaultValue = "router-logits",
        paramLabel = "NAME",
        description =
            "What makes experts alike: router-logits (default), co-activation, router-weight or"
                + " weight.")
    private String similarity;

    @Option(
        names = "--budget",
        defaultValue = "exact",
        paramLabel = "NAME",
        description = "How layers share the groups: exact (default), reference or uniform.")
    private String budget;

    @Option(
        names = "--max-group",
        paramLabel = "N",
        description = "The most experts that a group may have; no bound by default, 16 for ream.")
    private @Nullable Integer maxGroup;

    Strategy strategy() {
      return Strategy.named(strategy);
    }

    Recipe.Choices choices(Alignment alignment) {
      return new Recipe.Choices(
          Strategy.named(strategy),
          Similarity.named(similarity),
          Budget.named(budget),
          maxGroup(),
          alignment);
    }

    PlanOptions options(double averageGroups) {
      return new PlanOptions(
          Strategy.named(strategy),
          Similarity.named(similarity),
          Budget.named(budget),
          averageGroups,
          maxGroup());
    }

    private OptionalInt maxGroup() {
      return maxGroup == null ? OptionalInt.empty() : OptionalInt.of(maxGroup);
    }
  }
}

package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.Factoring;
import dev.smelt.agent.compress.LayerFiles;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.compress.Reduction;
import dev.smelt.agent.compress.Refitting;
import dev.smelt.agent.compress.WhitenedFactoring;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.MomentsFile;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Writes a compressed copy of a checkpoint. */
@Command(
    name = "compress",
    description = {
      "Writes a compressed copy of a checkpoint.",
      "What is kept follows from a plan, from a number of groups or from a memory budget. When it is"
          + " cut off, the same command goes on where it stopped."
    },
    footer = {
      "  smelt compress --checkpoint my-model --plan plan.json -o merged",
      "  smelt compress --checkpoint my-model --routing chat.routing.safetensors --average-groups 48 --format expanded -o merged",
      "  smelt compress --checkpoint my-model --routing chat.routing.safetensors --moments chat.moments.safetensors --strategy smelt --budget-bytes 60%% -o small"
    })
final class CompressCommand implements Callable<Integer> {

  /** The form of the folder that is written. */
  enum Format {
    EXPANDED,
    UNIFORM,
    COMPACT
  }

  private static final List<Strategy> REFITTED = List.of(Strategy.M_SMOE, Strategy.REAM);

  @Spec private CommandSpec spec;

  @Option(
      names = "--checkpoint",
      required = true,
      paramLabel = "DIR",
      description = "The model's folder.")
  private Path checkpoint;

  @Option(names = "--plan", paramLabel = "FILE", description = "A plan from smelt plan.")
  private @Nullable Path plan;

  @Option(
      names = "--routing",
      arity = "1..*",
      paramLabel = "FILE",
      description = "Routing traces to plan from; several add up.")
  private List<Path> routing = List.of();

  @Option(
      names = "--moments",
      arity = "1..*",
      paramLabel = "FILE",
      description =
          "Moments of the same traffic (*.moments.safetensors); strategy smelt needs them, mc-smoe"
              + " factors by them.")
  private List<Path> moments = List.of();

  @Option(
      names = "--refit-moments",
      arity = "1..*",
      paramLabel = "FILE",
      description =
          "What merged experts of this very plan are refitted to, from smelt trace --plan or the"
              + " engine-side hook; several add up. Strategies m-smoe and ream use them.")
  private List<Path> refitMoments = List.of();

  @Option(
      names = "--average-groups",
      paramLabel = "A",
      description = "Groups that a layer keeps, on average.")
  private @Nullable Double averageGroups;

  @Option(
      names = "--budget-bytes",
      paramLabel = "P%|BYTES",
      description = "Memory that all experts together may take, in bytes or percent of now.")
  private @Nullable String budgetBytes;

  @Mixin private PlanCommand.PlanningChoices choices = new PlanCommand.PlanningChoices();

  @Option(
      names = "--align",
      defaultValue = "dominant",
      paramLabel = "NAME",
      description = "What members are aligned to: none, expert-0 or dominant (default).")
  private String align;

  @Option(
      names = "--rank-ratio",
      paramLabel = "R",
      description = "Share of each matrix that its low-rank factors may take; with --keep.")
  private @Nullable Double rankRatio;

  @Option(
      names = "--keep",
      paramLabel = "K",
      description = "Share of the residual's rows that are kept; with --rank-ratio.")
  private @Nullable Double keep;

  @Option(
      names = "--format",
      defaultValue = "compact",
      paramLabel = "FORM",
      description =
          "expanded (loads anywhere, saves no accelerator memory), uniform (loads anywhere, other"
              + " routing) or compact (default; every saving).")
  private Format format;

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "DIR",
      description = "The folder to write; must not exist.")
  private Path output;

  @Mixin private RecoveryChoices recoveries = new RecoveryChoices();

  @Mixin private ResultOutput result = new ResultOutput();

  CompressCommand() {}

  @Override
  public Integer call() throws IOException {
    checkChoices();
    if (Files.exists(output)) {
      throw new FileAlreadyExistsException(
          output.toString(), null, "exists already; choose another folder or remove it");
    }
    try (Checkpoint opened = Checkpoint.open(checkpoint)) {
      Recipe recipe = recipe(opened);
      Path working = output.resolveSibling(output.getFileName() + ".partial");
      try (LayerFiles layers = LayerFiles.open(working, key(opened, recipe))) {
        ProgressLine progress = new ProgressLine(spec.commandLine().getErr(), "merging");
        new Compressor(Compute.cpu())
            .compress(
                opened,
                recipe.plan(),
                recipe.options(),
                layers,
                new CompressionProgress(
                    progress, opened.blocks().size(), recipe.options().reduction().passes()));
        export(layers, recipe, opened);
        print(opened, recipe.plan(), layers);
        layers.remove();
      }
    }
    return 0;
  }

  private void checkChoices() {
    long aims =
        List.of(plan != null, averageGroups != null, budgetBytes != null).stream()
            .filter(given -> given)
            .count();
    if (aims != 1) {
      throw wrong("give exactly one of --plan, --average-groups and --budget-bytes");
    }
    if (plan == null && routing.isEmpty()) {
      throw wrong("give --routing with the traces to plan from");
    }
    if ((rankRatio == null) != (keep == null)) {
      throw wrong("--rank-ratio and --keep go together");
    }
    if (budgetBytes == null && choices.strategy() == Strategy.SMELT) {
      throw wrong("--strategy smelt spends a memory budget: give --budget-bytes");
    }
    if (!refitMoments.isEmpty() && (rankRatio != null || !REFITTED.contains(choices.strategy()))) {
      throw wrong("--refit-moments are for merged experts that are not factored");
    }
    if (rankRatio != null && budgetBytes != null) {
      throw wrong("--budget-bytes chooses ratios by itself; leave out --rank-ratio and --keep");
    }
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private Recipe recipe(Checkpoint opened) {
    AlignmentCache alignments = AlignmentCache.beside(opened);
    Alignment alignment = Alignment.named(align);
    if (budgetBytes != null) {
      TrafficStatistics statistics = TrafficStatistics.read(opened.blocks(), routing, moments);
      long bytes = bytes(budgetBytes, Recipe.expertBytes(opened));
      Recipe recipe =
          Recipe.forBytes(opened, statistics, choices.choices(alignment), alignments, bytes);
      return choices.strategy() == Strategy.MC_SMOE
              && statistics.moments().isPresent()
              && recoveries.whiten()
          ? recipe.reducedBy(new WhitenedFactoring(statistics.moments().get(), bytes))
          : refitted(opened, recipe);
    }
    Plan planned =
        plan != null
            ? PlanFile.read(plan)
            : Planner.plan(
                opened,
                RoutingTrace.read(opened.blocks(), routing),
                choices.options(averageGroups));
    Reduction reduction = rankRatio == null ? new Whole() : new Factoring(rankRatio, keep);
    return refitted(
        opened, new Recipe(planned, new CompressOptions(alignment, alignments, reduction)));
  }

  private Recipe refitted(Checkpoint opened, Recipe recipe) {
    if (refitMoments.isEmpty() || !recoveries.refit()) {
      return recipe;
    }
    String groups = recipe.groups(opened);
    return recipe.reducedBy(
        new Refitting(block -> MomentsFile.readRefit(block, refitMoments, groups)));
  }

  private long bytes(String budget, long all) {
    try {
      if (budget.endsWith("%")) {
        BigDecimal percent = new BigDecimal(budget.substring(0, budget.length() - 1));
        return percent.multiply(BigDecimal.valueOf(all)).movePointLeft(2).longValue();
      }
      return Long.parseLong(budget);
    } catch (NumberFormatException malformed) {
      throw wrong("--budget-bytes " + budget + " is neither a number of bytes nor a percentage");
    }
  }

  private String key(Checkpoint opened, Recipe recipe) throws IOException {
    return String.join(
        "\n",
        opened.digest(),
        PlanFile.toJson(recipe.plan()).toString(),
        align,
        String.valueOf(rankRatio),
        String.valueOf(keep),
        String.valueOf(budgetBytes),
        String.valueOf(recoveries.whiten()),
        recoveries.refit() ? contents(refitMoments) : "",
        contents(moments));
  }

  /** Which files, and as of when: one that was recorded anew makes other experts. */
  private static String contents(List<Path> files) throws IOException {
    StringBuilder contents = new StringBuilder();
    for (Path file : files) {
      contents
          .append(file)
          .append(' ')
          .append(Files.size(file))
          .append(' ')
          .append(Files.getLastModifiedTime(file))
          .append(' ');
    }
    return contents.toString();
  }

  private void export(LayerFiles layers, Recipe recipe, Checkpoint opened) {
    switch (format) {
      case EXPANDED -> Exporter.expanded(layers, opened, output);
      case UNIFORM -> Exporter.uniform(layers, frequencies(recipe.plan()), opened, output);
      case COMPACT ->
          Exporter.compact(layers, Map.of("groups", recipe.groups(opened)), opened, output);
    }
  }

  /** Counts in parts per million: the form chooses each group's router row by them. */
  private static JsonNode frequencies(Plan planned) {
    ObjectNode usage = JsonNodeFactory.instance.objectNode();
    for (LayerPlan layer : planned.layers()) {
      ArrayNode counts = usage.putObject(layer.block()).putArray("counts");
      layer.frequency().forEach(frequency -> counts.add(Math.round(frequency * 1e6)));
    }
    return usage;
  }

  private void print(Checkpoint opened, Plan planned, LayerFiles layers) {
    long before = Recipe.expertBytes(opened);
    long after = layers.tensors().values().stream().mapToLong(TensorInfo::bytes).sum();
    ObjectNode written = JsonNodeFactory.instance.objectNode();
    written.put("output", output.toString());
    written.put("strategy", planned.strategy());
    written.put("groups", planned.groups());
    written.putObject("expertBytes").put("before", before).put("after", after);
    planned.untouched().stream()
        .map(Plan.Untouched::block)
        .forEach(written.withArray("/untouched")::add);
    result.print(
        () -> written,
        out -> {
          out.printf(
              Locale.ROOT,
              "%s: %d groups, %,d of %,d bytes of experts (%.1f %%)%n",
              output,
              planned.groups(),
              after,
              before,
              100.0 * after / before);
          planned
              .untouched()
              .forEach(one -> out.printf("%s: copied as it is, %s%n", one.block(), one.reason()));
        });
  }
}

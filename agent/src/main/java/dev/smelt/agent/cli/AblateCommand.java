package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.ablation.Ablation;
import dev.smelt.agent.plan.Strategy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Compares strategies, budgets and statistics on one model and its traffic. */
@Command(
    name = "ablate",
    description =
        "Compares compression strategies on a byte-level model: by memory budget, and by statistics"
            + " of old or new traffic, evaluated on the new traffic's other half.",
    footer = {
      "  smelt ablate --checkpoint tests/fixtures/byte-moe --traffic tests/fixtures/byte-moe/heldout",
      "  smelt ablate --checkpoint my-model --traffic texts --strategy m-smoe,reap --off 50"
    })
final class AblateCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Option(
      names = "--checkpoint",
      required = true,
      paramLabel = "DIR",
      description = "The model's folder.")
  private Path checkpoint;

  @Option(
      names = "--traffic",
      required = true,
      paramLabel = "DIR",
      description =
          "A folder with one .txt file per domain. First halves give statistics, second halves are"
              + " evaluated.")
  private Path traffic;

  @Option(
      names = "--old",
      split = ",",
      paramLabel = "DOMAIN",
      description = "Domains of the old traffic; the first half of all by default.")
  private List<String> old = List.of();

  @Option(
      names = "--new",
      split = ",",
      paramLabel = "DOMAIN",
      description = "Domains of the new traffic; the second half of all by default.")
  private List<String> recent = List.of();

  @Option(
      names = "--bytes",
      defaultValue = "32768",
      paramLabel = "N",
      description = "Bytes of each half of each text that are used; ${DEFAULT-VALUE} by default.")
  private int bytes;

  @Option(
      names = "--strategy",
      split = ",",
      paramLabel = "NAME",
      description = "Strategies that are compared; all by default.")
  private List<String> strategies = List.of();

  @Option(
      names = "--off",
      split = ",",
      defaultValue = "25,50,65,80",
      paramLabel = "PERCENT",
      description = "How much of the experts' memory is to go; ${DEFAULT-VALUE} by default.")
  private List<Integer> off;

  @Mixin private RecoveryChoices recoveries = new RecoveryChoices();

  @Mixin private ResultOutput result = new ResultOutput();

  AblateCommand() {}

  @Override
  public Integer call() throws IOException {
    List<String> domains = Ablation.domains(traffic);
    if (domains.size() < 2) {
      throw new ParameterException(
          spec.commandLine(), traffic + ": needs .txt files of at least two domains");
    }
    int half = domains.size() / 2;
    Ablation.Setup setup =
        new Ablation.Setup(
            checkpoint,
            traffic,
            old.isEmpty() ? domains.subList(0, half) : old,
            recent.isEmpty() ? domains.subList(half, domains.size()) : recent,
            bytes,
            strategies.isEmpty()
                ? List.of(Strategy.values())
                : strategies.stream().map(Strategy::named).toList(),
            off,
            recoveries());
    ProgressLine progress = new ProgressLine(spec.commandLine().getErr(), "comparing");
    AtomicInteger done = new AtomicInteger();
    Ablation.Result found =
        Ablation.run(
            setup,
            row ->
                result.printPart(
                    out -> out.println(line(row)),
                    () -> progress.show(done.incrementAndGet(), setup.rows())));
    result.print(
        () -> new ObjectMapper().valueToTree(found),
        out ->
            out.printf(
                Locale.ROOT,
                "full model: %.4f bits per byte%n",
                found.full().score().bitsPerByte()));
    return 0;
  }

  private static String line(Ablation.Row row) {
    return String.format(
        Locale.ROOT,
        "%d %% off  %-16s %-26s %s  %.4f bits per byte  %,d bytes  %,.0f FLOPs  %.2f s",
        row.off(),
        row.strategy(),
        row.variant(),
        row.statistics(),
        row.bitsPerByte(),
        row.expertBytes(),
        row.flopsPerToken(),
        row.seconds());
  }

  private Set<Ablation.Recovery> recoveries() {
    Set<Ablation.Recovery> chosen = EnumSet.noneOf(Ablation.Recovery.class);
    if (recoveries.refit()) {
      chosen.add(Ablation.Recovery.REFIT);
    }
    if (recoveries.whiten()) {
      chosen.add(Ablation.Recovery.WHITEN);
    }
    return chosen;
  }
}

package dev.smelt.agent.simulation;

import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.config.EngineSettings;
import dev.smelt.agent.config.EngineSettings.Dialect;
import dev.smelt.agent.config.GateSettings;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.PolicySettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.files.Folders;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.ObjLongConsumer;

/**
 * The real control loop in simulated traffic: its policy, evidence, memory, planner, merger, gate,
 * canary, store and state file, on the drift statistics of the stream. Simulated are the time,
 * which requests come, and what is away when; the requests themselves were routed by the full
 * model, and what a snapshot loses is measured on held-out text.
 */
public final class Simulation implements AutoCloseable {

  /** Of the windows; as long as five minutes so that a year has 105,120 of them. */
  static final Duration WINDOW = Duration.ofMinutes(5);

  static final String MODEL = "simulated";
  private static final Instant BEGIN = Instant.parse("2027-01-04T00:00:00Z");
  private static final Duration LEAD_IN = Duration.ofDays(7);
  private static final Duration HALF_LIFE = Duration.ofHours(2);
  private static final double BUSIEST = 60;
  private static final int REQUESTS_A_KIND = 64;
  private static final String STRATEGY = "m-smoe";
  private static final double GROUPS = 8;
  private static final double MOST_LOST = 1.5;
  private static final int SCORED_BYTES = 2_048;

  /**
   * What is simulated.
   *
   * @param checkpoint the model's folder; a byte-level model
   * @param texts a folder of held-out texts, one .txt file a kind
   * @param length after the lead-in of a week
   * @param seed of everything
   * @param stationary whether only the amount of the traffic changes, and nothing is away
   */
  public record Setup(
      Path checkpoint, Path texts, Duration length, long seed, boolean stationary) {}

  /**
   * One window.
   *
   * @param counts requests of each kind
   * @param draw the seed of which requests these are
   */
  record Window(Instant start, Instant end, int[] counts, long draw) {}

  private final Setup setup;
  private final Path folder;
  private final Checkpoint checkpoint;
  private final Requests requests;
  private final Losses losses;
  private final List<Window> windows;
  private final Outages outages;
  private final ModelSettings settings;

  /**
   * Prepares: routes the requests and writes the gate's texts.
   *
   * @param folder for the stores of the runs; must be empty or absent
   * @throws IOException if a text or the checkpoint cannot be read
   */
  public Simulation(Setup setup, Path folder) throws IOException {
    this.setup = setup;
    this.folder = folder;
    Texts texts = Texts.read(setup.texts(), SCORED_BYTES);
    this.checkpoint = Checkpoint.open(setup.checkpoint());
    MoeModel model = MoeModel.load(checkpoint);
    this.requests = Requests.route(model, checkpoint.blocks(), texts.requested(), REQUESTS_A_KIND);
    this.losses = new Losses(checkpoint, model, texts.measured());
    this.windows = windows(setup, texts.kinds().size());
    this.outages =
        setup.stationary()
            ? Outages.none()
            : Outages.of(setup.seed() + 1, BEGIN.plus(LEAD_IN), setup.length());
    this.settings = settings(setup.checkpoint(), judged(texts));
  }

  private static List<Window> windows(Setup setup, int kinds) {
    Duration all = LEAD_IN.plus(setup.length());
    Mix mix =
        setup.stationary()
            ? Mix.stationary(setup.seed(), BEGIN, all, kinds)
            : Mix.changing(setup.seed(), BEGIN, all, kinds);
    SplittableRandom random = new SplittableRandom(setup.seed() + 2);
    List<Window> windows = new ArrayList<>();
    for (Instant start = BEGIN; start.isBefore(BEGIN.plus(all)); start = start.plus(WINDOW)) {
      int[] counts = Requests.counts(mix.shares(start), BUSIEST * mix.amount(start), random);
      windows.add(new Window(start, start.plus(WINDOW), counts, random.nextLong()));
    }
    return windows;
  }

  /** Where the gate finds the texts that it judges on. */
  private List<Path> judged(Texts texts) throws IOException {
    Path gate = Files.createDirectories(folder.resolve("gate"));
    List<Path> files = new ArrayList<>();
    for (int kind = 0; kind < texts.kinds().size(); kind++) {
      files.add(
          Files.write(gate.resolve(texts.kinds().get(kind) + ".txt"), texts.judged().get(kind)));
    }
    return files;
  }

  private static ModelSettings settings(Path checkpoint, List<Path> judged) {
    return new ModelSettings(
        MODEL,
        checkpoint,
        new EngineSettings(List.of(URI.create("http://simulated")), Dialect.SGLANG, null, null),
        null,
        new CompressionSettings(STRATEGY, null, GROUPS, null, null, null, null, null),
        new PolicySettings(Mode.AUTO, null, HALF_LIFE.multipliedBy(2), null, null, null, null),
        new GateSettings(judged, SCORED_BYTES, MOST_LOST, null, null),
        new CanarySettings(null, null, null, null, null, null));
  }

  /**
   * Lets the loop live through the time, then each other way, and re-merging at the fixed interval
   * that makes as many re-merges as the loop did, with and without its gate and its profile.
   *
   * @param done told each way and the seconds that it took
   * @return the loop's figures first, those of the interval with as many re-merges and the gate
   *     last
   */
  public List<Figures> compare(List<Way> others, ObjLongConsumer<String> done) throws IOException {
    List<Run> runs = new ArrayList<>();
    runs.add(timed(Way.LOOP, done));
    for (Way way : others) {
      runs.add(timed(way, done));
    }
    int remerges = runs.get(0).remerges();
    if (!others.isEmpty() && remerges > 0) {
      Way asMany = Way.each(LEAD_IN.plus(setup.length()).dividedBy(remerges));
      for (Way way : List.of(asMany, asMany.recent(), asMany.recent().gated())) {
        runs.add(timed(way, done));
      }
    }
    return figures(runs);
  }

  private Run timed(Way way, ObjLongConsumer<String> done) throws IOException {
    long begin = System.nanoTime();
    Run run = run(way);
    done.accept(way.name(), Duration.ofNanos(System.nanoTime() - begin).toSeconds());
    return run;
  }

  /** Lives through the time in one way. */
  Run run(Way way) throws IOException {
    Path home =
        Files.createDirectories(folder.resolve(way.name().replace(", ", "-").replace(' ', '-')));
    try (SimulatedAgent agent =
        new SimulatedAgent(
            way,
            settings,
            checkpoint,
            home,
            HALF_LIFE,
            requests,
            losses,
            outages,
            BEGIN,
            BEGIN.plus(LEAD_IN))) {
      for (Window window : windows) {
        agent.live(window);
        if (window.end().getEpochSecond() % Duration.ofDays(1).toSeconds() == 0) {
          agent.makeRoom();
        }
      }
      return agent.run();
    } finally {
      Folders.delete(home);
    }
  }

  /** Weighs runs against each other. */
  List<Figures> figures(List<Run> runs) {
    int lead = (int) LEAD_IN.dividedBy(WINDOW);
    List<Figures> figures = new ArrayList<>();
    double[] least = new double[windows.size()];
    for (int window = lead; window < least.length; window++) {
      least[window] = losses.least(windows.get(window).counts());
    }
    for (Run run : runs) {
      Tally tally = new Tally(WINDOW);
      for (int window = lead; window < least.length; window++) {
        int number = run.served().get(window);
        int[] counts = windows.get(window).counts();
        tally.add(
            windows.get(window).start(),
            Arrays.stream(counts).sum(),
            losses.of(number, counts),
            least[window],
            losses.isFullModel(number));
      }
      figures.add(tally.figures(run));
    }
    return figures;
  }

  @Override
  public void close() throws IOException {
    checkpoint.close();
    Folders.delete(folder);
  }
}

package dev.smelt.agent.statistics;

import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.files.Folders;
import dev.smelt.store.safetensors.SafetensorsException;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Second moments of one model's live traffic, as engine-side hooks post them: sums that halve after
 * each half-life, of the traffic since it last {@linkplain #turn turned} and, apart, of that
 * before. Those of the inputs are not kept. Safe for use by several threads.
 *
 * <p>The sums are on disk, since they may be larger than memory: two files a block, of {@code 4 E
 * F²} bytes each, however much is posted. One block at a time is in memory.
 *
 * <p>Failure semantics: a file is replaced by rename after its bytes are on disk, so that after a
 * crash a post counts for some of its blocks or for all; one that came first after a turn may leave
 * what was before it counted twice. A file that cannot be read is logged and removed, and that
 * block starts anew.
 */
public final class LiveMoments {

  private static final Logger LOGGER = LoggerFactory.getLogger(LiveMoments.class);
  private static final String BEGUN = "begun";
  private static final String AS_OF = "asOf";
  private static final String FROZEN = "frozen-";

  /** Of which traffic. */
  public enum Span {
    ALL,
    SINCE_TURN
  }

  /** One file: tokens as they counted at {@code asOf}, of the traffic from {@code begun} on. */
  private record Part(Path file, double tokens, Instant begun, Instant asOf) {}

  private final Path folder;
  private final String model;
  private final Map<String, MoeBlock> blocks = new LinkedHashMap<>();
  private final Duration halfLife;
  private final Clock clock;
  private final Map<String, Part> since = new ConcurrentHashMap<>();
  private final Map<String, Part> before = new ConcurrentHashMap<>();
  private volatile Instant turned = Instant.MIN;
  private volatile Instant newest = Instant.MIN;

  private LiveMoments(
      Path folder, String model, List<MoeBlock> blocks, Duration halfLife, Clock clock) {
    this.folder = folder;
    this.model = model;
    blocks.forEach(block -> this.blocks.put(block.name(), block));
    this.halfLife = halfLife;
    this.clock = clock;
  }

  /**
   * Goes on with what a folder holds, or begins.
   *
   * @param blocks of the full model
   * @param halfLife after how long past traffic counts half
   */
  public static LiveMoments open(
      Path folder, String model, List<MoeBlock> blocks, Duration halfLife, Clock clock)
      throws IOException {
    Files.createDirectories(folder);
    LiveMoments moments = new LiveMoments(folder, model, blocks, halfLife, clock);
    moments.removeFrozen();
    for (MoeBlock block : blocks) {
      moments.restore(block, "since").ifPresent(part -> moments.since.put(block.name(), part));
      moments.restore(block, "before").ifPresent(part -> moments.before.put(block.name(), part));
    }
    return moments;
  }

  /**
   * Adds what a file in the form of {@link MomentsFile} holds, of any of the blocks. All of it is
   * in memory meanwhile.
   *
   * @return how many tokens it is of
   * @throws StatisticsException if it is damaged, of another model or holds no moments; nothing of
   *     it is added then
   */
  public double add(Path posted) {
    try (SafetensorsFile file = SafetensorsFile.open(posted)) {
      List<MoeBlock> of = MomentsFile.blocks(file).stream().map(this::known).toList();
      if (of.isEmpty()) {
        throw new StatisticsException(
            "%s: holds no moments of %s; name tensors <block>.moments.tokens, with a block of %s"
                .formatted(posted, model, blocks.keySet()));
      }
      List<BlockMoments> moments =
          of.stream().map(block -> MomentsFile.read(block, file).ofActivations()).toList();
      double tokens = 0;
      for (int i = 0; i < moments.size(); i++) {
        add(of.get(i), moments.get(i));
        tokens = Math.max(tokens, moments.get(i).picks() / of.get(i).topK());
      }
      return tokens;
    } catch (SafetensorsException damaged) {
      throw new StatisticsException(String.valueOf(damaged.getMessage()));
    }
  }

  private MoeBlock known(String block) {
    MoeBlock known = blocks.get(block);
    if (known == null) {
      throw new StatisticsException(
          "%s: %s has no such block, it has %s".formatted(block, model, blocks.keySet()));
    }
    return known;
  }

  private synchronized void add(MoeBlock block, BlockMoments posted) {
    Instant now = clock.instant();
    Part open = since.get(block.name());
    if (open != null && open.begun().isBefore(turned)) {
      Part past = before.get(block.name());
      BlockMoments all = aged(block, open, now);
      before.put(
          block.name(),
          write(
              block,
              "before",
              past == null ? all : all.plus(aged(block, past, now)),
              past == null ? open.begun() : past.begun(),
              now));
      since.remove(block.name());
      open = null;
    }
    since.put(
        block.name(),
        write(
            block,
            "since",
            open == null ? posted : aged(block, open, now).plus(posted),
            open == null ? now : open.begun(),
            now));
    newest = now;
  }

  /** The traffic has changed: what comes from now on is kept apart from what was before. */
  public void turn() {
    turned = clock.instant();
  }

  /** When moments were last posted; {@link Instant#MIN} if not since the start. */
  public Instant newest() {
    return newest;
  }

  /** The fewest tokens that any block's moments are of, decayed to now. */
  public double tokens(Span span) {
    Instant now = clock.instant();
    return blocks.values().stream()
        .mapToDouble(
            block ->
                parts(block, span).stream()
                        .mapToDouble(part -> part.tokens() * left(part, now))
                        .sum()
                    / block.topK())
        .min()
        .orElse(0);
  }

  /** Keeps what is known at this moment readable, whatever is posted meanwhile. */
  public synchronized Frozen freeze(Span span) {
    Path copy = folder.resolve(FROZEN + UUID.randomUUID());
    try {
      Files.createDirectories(copy);
      Map<String, List<Part>> parts = new LinkedHashMap<>();
      for (MoeBlock block : blocks.values()) {
        List<Part> linked = new ArrayList<>();
        for (Part part : parts(block, span)) {
          Path link = copy.resolve(part.file().getFileName());
          keep(part.file(), link);
          linked.add(new Part(link, part.tokens(), part.begun(), part.asOf()));
        }
        parts.put(block.name(), linked);
      }
      return new Frozen(copy, parts, clock.instant());
    } catch (IOException e) {
      throw new UncheckedIOException(copy + ": moments cannot be kept: " + e.getMessage(), e);
    }
  }

  /** A second name costs nothing; not every file system gives one. */
  private static void keep(Path file, Path copy) throws IOException {
    try {
      Files.createLink(copy, file);
    } catch (UnsupportedOperationException | FileSystemException noLinks) {
      Files.copy(file, copy);
    }
  }

  /** Moments as they were at one moment. For one thread at a time. */
  public final class Frozen implements Function<MoeBlock, BlockMoments>, AutoCloseable {

    private final Path copy;
    private final Map<String, List<Part>> parts;
    private final Instant at;
    private @Nullable BlockMoments last;

    private Frozen(Path copy, Map<String, List<Part>> parts, Instant at) {
      this.copy = copy;
      this.parts = parts;
      this.at = at;
    }

    @Override
    public BlockMoments apply(MoeBlock block) {
      if (last == null || !last.block().equals(block.name())) {
        last =
            parts.get(block.name()).stream()
                .map(part -> aged(block, part, at))
                .reduce(BlockMoments::plus)
                .orElseGet(() -> BlockMoments.zero(block));
      }
      return last;
    }

    @Override
    public void close() {
      delete(copy);
    }
  }

  private List<Part> parts(MoeBlock block, Span span) {
    Part open = since.get(block.name());
    Part past = before.get(block.name());
    boolean ofNow = open != null && (span == Span.ALL || !open.begun().isBefore(turned));
    return Stream.of(
            ofNow ? Optional.of(open) : Optional.<Part>empty(),
            span == Span.ALL ? Optional.ofNullable(past) : Optional.<Part>empty())
        .flatMap(Optional::stream)
        .toList();
  }

  private double left(Part part, Instant now) {
    double age = Math.max(0, Duration.between(part.asOf(), now).toMillis());
    return Math.pow(0.5, age / halfLife.toMillis());
  }

  private BlockMoments aged(MoeBlock block, Part part, Instant now) {
    return MomentsFile.read(block, List.of(part.file())).times(left(part, now));
  }

  private Part write(
      MoeBlock block, String what, BlockMoments moments, Instant begun, Instant asOf) {
    Path file = file(block, what);
    MomentsFile.write(
        file,
        Map.of("model", model, BEGUN, begun.toString(), AS_OF, asOf.toString()),
        List.of(moments));
    return new Part(file, moments.picks(), begun, asOf);
  }

  private Optional<Part> restore(MoeBlock block, String what) throws IOException {
    Path path = file(block, what);
    if (!Files.exists(path)) {
      return Optional.empty();
    }
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      return Optional.of(
          new Part(
              path,
              MomentsFile.read(block, file).picks(),
              Instant.parse(file.metadata().getOrDefault(BEGUN, "")),
              Instant.parse(file.metadata().getOrDefault(AS_OF, ""))));
    } catch (SafetensorsException | StatisticsException | java.time.DateTimeException damaged) {
      LOGGER
          .atWarn()
          .addKeyValue("file", path)
          .addKeyValue("reason", damaged.getMessage())
          .log("second moments cannot be read; the block starts anew");
      Files.delete(path);
      return Optional.empty();
    }
  }

  private Path file(MoeBlock block, String what) {
    return folder.resolve(block.layer() + "." + what + ".moments.safetensors");
  }

  private void removeFrozen() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      files.filter(file -> file.getFileName().toString().startsWith(FROZEN)).forEach(this::delete);
    }
  }

  private void delete(Path copy) {
    try {
      Folders.delete(copy);
    } catch (IOException e) {
      LOGGER.atWarn().addKeyValue("folder", copy).setCause(e).log("moments were not removed");
    }
  }
}

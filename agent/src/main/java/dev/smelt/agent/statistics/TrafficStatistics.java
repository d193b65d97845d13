package dev.smelt.agent.statistics;

import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.streams.usage.UsageStatistics;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * All that is known about a stretch of traffic.
 *
 * @param usage by block name
 * @param moments of a block, asked for whenever they are needed; empty where no engine gives them
 */
public record TrafficStatistics(
    Map<String, ? extends UsageStatistics> usage,
    Optional<Function<MoeBlock, BlockMoments>> moments) {

  public TrafficStatistics {
    usage = Map.copyOf(usage);
  }

  /** Second moments of fewer tokens say little about any traffic. */
  private static final int LEAST_TOKENS = 32;

  /**
   * Statistics of recorded traffic; no moments files mean no moments. Asking for moments throws a
   * {@link StatisticsException} if there are too few tokens of them, or as {@link
   * MomentsFile#read(MoeBlock, List)}.
   */
  public static TrafficStatistics read(
      List<MoeBlock> blocks, List<Path> routing, List<Path> moments) {
    return new TrafficStatistics(
        RoutingTrace.read(blocks, routing),
        moments.isEmpty() ? Optional.empty() : Optional.of(block -> ofEnough(block, moments)));
  }

  private static BlockMoments ofEnough(MoeBlock block, List<Path> files) {
    BlockMoments moments = MomentsFile.read(block, files);
    double tokens = moments.picks() / block.topK();
    if (tokens < LEAST_TOKENS) {
      throw new StatisticsException(
          "%s: moments of %s are of %.0f tokens, at least %d are needed; record more traffic"
              .formatted(
                  files.stream().map(Path::toString).collect(Collectors.joining(", ")),
                  block.name(),
                  tokens,
                  LEAST_TOKENS));
    }
    return moments;
  }
}

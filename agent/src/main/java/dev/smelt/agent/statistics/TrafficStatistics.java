package dev.smelt.agent.statistics;

import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.streams.usage.UsageStatistics;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

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

  /** Statistics of recorded traffic; no moments files mean no moments. */
  public static TrafficStatistics read(
      List<MoeBlock> blocks, List<Path> routing, List<Path> moments) {
    return new TrafficStatistics(
        RoutingTrace.read(blocks, routing),
        moments.isEmpty()
            ? Optional.empty()
            : Optional.of(block -> MomentsFile.read(block, moments)));
  }
}

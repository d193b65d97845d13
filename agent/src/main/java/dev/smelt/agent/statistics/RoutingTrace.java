package dev.smelt.agent.statistics;

import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.TensorInfo;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.InvalidDecisionException;
import dev.smelt.streams.usage.InvalidDecisionException.Reason;
import dev.smelt.streams.usage.Usage;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads recorded routing decisions, {@code *.routing.safetensors}.
 *
 * <p>Per MoE block: {@code <block>.selected_experts} [tokens, top_k] of any integer type, where -1
 * is padding; optional {@code <block>.routing_weights} [tokens, top_k]; optional {@code
 * <block>.router_logits} [tokens, experts]; optional {@code <block>.output_norms} [tokens, top_k],
 * gate weight times norm of the expert's output.
 */
public final class RoutingTrace {

  /** Ends the name of the tensor that every traced block has. */
  public static final String SELECTED = ".selected_experts";

  private static final String WEIGHTS = ".routing_weights";
  private static final String LOGITS = ".router_logits";
  private static final String NORMS = ".output_norms";
  static final String REQUESTS = "requests";

  private RoutingTrace() {}

  /**
   * The usage of the given blocks over all files together.
   *
   * @return by block name, in the order of the blocks
   * @throws StatisticsException if a file lacks a block or does not fit it
   */
  public static Map<String, Usage> read(List<MoeBlock> blocks, List<Path> files) {
    Map<String, Usage> usage = new LinkedHashMap<>();
    for (Path path : files) {
      try (SafetensorsFile file = SafetensorsFile.open(path)) {
        for (MoeBlock block : blocks) {
          usage.merge(
              block.name(), read(file, block.name(), block.experts(), block.topK()), Usage::plus);
        }
      }
    }
    return usage;
  }

  /**
   * The usage of one block in one file.
   *
   * @param block its name
   * @throws StatisticsException if the file lacks the block, does not fit it or holds NaN
   */
  public static Usage read(SafetensorsFile file, String block, int experts, int topK) {
    String selected = block + SELECTED;
    if (!file.tensors().containsKey(selected)) {
      throw new StatisticsException(
          "%s: has no %s; is it a trace of another model?".formatted(file.path(), selected));
    }
    TensorInfo ids = file.tensor(selected);
    int tokens = rows(file, ids, topK);
    Accumulator accumulator = Usage.accumulator(experts, topK);
    int[] chosen = file.ints(selected);
    try {
      if (has(file, block, WEIGHTS, tokens, topK)) {
        accumulator.add(chosen, file.floats(block + WEIGHTS), tokens);
      } else {
        accumulator.add(chosen, tokens);
      }
      if (has(file, block, NORMS, tokens, topK)) {
        accumulator.addOutputNorms(chosen, file.floats(block + NORMS), tokens);
      }
      if (has(file, block, LOGITS, tokens, experts)) {
        accumulator.addLogits(file.floats(block + LOGITS), tokens);
      }
    } catch (InvalidDecisionException invalid) {
      throw new StatisticsException(
          "%s: %s: %s%s"
              .formatted(
                  file.path(),
                  selected,
                  invalid.getMessage(),
                  invalid.reason() == Reason.EXPERT_OUT_OF_RANGE
                      ? "; is it a trace of another model?"
                      : ""));
    }
    Usage usage = accumulator.addRequests(requests(file)).build();
    usage
        .contradiction()
        .ifPresent(
            contradiction -> {
              throw new StatisticsException(
                  "%s: %s: %s; record it again".formatted(file.path(), block, contradiction));
            });
    return usage;
  }

  private static boolean has(
      SafetensorsFile file, String block, String suffix, int tokens, int columns) {
    TensorInfo found = file.tensors().get(block + suffix);
    if (found == null) {
      return false;
    }
    if (rows(file, found, columns) != tokens) {
      throw new StatisticsException(
          "%s: %s has %s where %d tokens were routed"
              .formatted(file.path(), found.name(), found.shape(), tokens));
    }
    return true;
  }

  private static int rows(SafetensorsFile file, TensorInfo tensor, int columns) {
    if (tensor.shape().size() != 2 || tensor.shape().get(1) != columns) {
      throw new StatisticsException(
          "%s: %s has shape %s, but the checkpoint's block needs [tokens, %d]; is it a trace of another model?"
              .formatted(file.path(), tensor.name(), tensor.shape(), columns));
    }
    return Math.toIntExact(tensor.shape().get(0));
  }

  static long requests(SafetensorsFile file) {
    String requests = file.metadata().getOrDefault(REQUESTS, "0");
    try {
      return Long.parseLong(requests);
    } catch (NumberFormatException wrong) {
      throw new StatisticsException(
          "%s: the metadata says %s requests".formatted(file.path(), requests));
    }
  }
}

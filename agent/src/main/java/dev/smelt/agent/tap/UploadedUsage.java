package dev.smelt.agent.tap;

import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.agent.statistics.StatisticsException;
import dev.smelt.store.safetensors.SafetensorsException;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.TensorInfo;
import dev.smelt.streams.usage.Usage;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Reads what a hook inside an engine has seen, a safetensors file in one of two forms, block by
 * block.
 *
 * <p>Decisions one by one, as in a {@link RoutingTrace}. Or sums: {@code <block>.usage.tokens} I64
 * [1], {@code <block>.usage.counts} I64 [E], {@code <block>.usage.co_activation} I64 [E, E] above
 * its diagonal, and where they are known {@code <block>.usage.gate_mass} [E], {@code
 * <block>.usage.logit_gram} [E, E] and {@code <block>.usage.output_norms} [E] of any floating-point
 * type. Metadata: {@code requests}, how many requests began in it, as a decimal number.
 */
final class UploadedUsage {

  private static final String SUMS = ".usage.";
  private static final String COUNTS = SUMS + "counts";
  private static final Set<String> SUFFIXES = Set.of(RoutingTrace.SELECTED, COUNTS);

  private final SafetensorsFile file;
  private final TappedModel model;

  private UploadedUsage(SafetensorsFile file, TappedModel model) {
    this.file = file;
    this.model = model;
  }

  /**
   * The usage by block name.
   *
   * @throws StatisticsException if it is damaged or of another model
   */
  static Map<String, Usage> read(Path body, TappedModel model) {
    try (SafetensorsFile file = SafetensorsFile.open(body)) {
      return new UploadedUsage(file, model).usage();
    } catch (SafetensorsException damaged) {
      throw new StatisticsException(String.valueOf(damaged.getMessage()));
    }
  }

  private Map<String, Usage> usage() {
    refuseUnknownBlocks();
    Map<String, Usage> usage = new LinkedHashMap<>();
    for (TappedModel.Block block : model.blocks()) {
      if (has(block.name() + RoutingTrace.SELECTED)) {
        usage.put(block.name(), decisions(block));
      } else if (has(block.name() + COUNTS)) {
        usage.put(block.name(), sums(block));
      }
    }
    if (usage.isEmpty()) {
      throw refusal(
          "holds no block of %s; name tensors <block>%s or <block>%s, with a block of %s"
              .formatted(model.name(), RoutingTrace.SELECTED, COUNTS, blockNames()));
    }
    return usage;
  }

  private void refuseUnknownBlocks() {
    for (String tensor : file.tensors().keySet()) {
      for (String suffix : SUFFIXES) {
        if (tensor.endsWith(suffix)) {
          String block = tensor.substring(0, tensor.length() - suffix.length());
          if (model.block(block).isEmpty()) {
            throw refusal(
                "%s: %s has no such block, it has %s"
                    .formatted(tensor, model.name(), blockNames()));
          }
        }
      }
    }
  }

  private Usage decisions(TappedModel.Block block) {
    return RoutingTrace.read(file, block.name(), block.experts(), block.topK());
  }

  private Usage sums(TappedModel.Block block) {
    int experts = block.experts();
    String prefix = block.name() + SUMS;
    long[] counts = longs(prefix + "counts", experts);
    try {
      return Usage.ofSums(
          block.topK(),
          longs(prefix + "tokens", 1)[0],
          requests(),
          counts,
          longs(prefix + "co_activation", experts, experts),
          doubles(prefix + "gate_mass", experts),
          doubles(prefix + "logit_gram", experts, experts),
          doubles(prefix + "output_norms", experts));
    } catch (IllegalArgumentException contradiction) {
      throw refusal("%s*: %s".formatted(prefix, contradiction.getMessage()));
    }
  }

  private long[] longs(String tensor, int... shape) {
    requireShape(file.tensor(tensor), shape);
    return file.longs(tensor);
  }

  private Optional<double[]> doubles(String tensor, int... shape) {
    if (!has(tensor)) {
      return Optional.empty();
    }
    requireShape(file.tensor(tensor), shape);
    return Optional.of(file.doubles(tensor));
  }

  private void requireShape(TensorInfo tensor, int... shape) {
    List<Long> expected = Arrays.stream(shape).mapToObj(Long::valueOf).toList();
    if (!tensor.shape().equals(expected)) {
      throw refusal(
          "%s has shape %s, the model needs %s".formatted(tensor.name(), tensor.shape(), expected));
    }
  }

  private long requests() {
    String requests = file.metadata().getOrDefault("requests", "0");
    try {
      return Long.parseLong(requests);
    } catch (NumberFormatException wrong) {
      throw refusal("the metadata says '%s' requests; use a number".formatted(requests));
    }
  }

  private boolean has(String tensor) {
    return file.tensors().containsKey(tensor);
  }

  private List<String> blockNames() {
    return model.blocks().stream().map(TappedModel.Block::name).toList();
  }

  private StatisticsException refusal(String reason) {
    return new StatisticsException(file.path() + ": " + reason);
  }
}

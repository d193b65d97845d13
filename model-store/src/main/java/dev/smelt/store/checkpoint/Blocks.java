package dev.smelt.store.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.TensorInfo;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/** Finds the Mixture-of-Experts blocks of a checkpoint and checks that their tensors fit. */
final class Blocks {

  /** Its layers come after those of the encoder. */
  private static final String DECODER = "decoder.";

  private final Path folder;
  private final JsonNode config;
  private final Architecture architecture;
  private final Map<String, TensorInfo> tensors;

  Blocks(Path folder, JsonNode config, Architecture architecture, Map<String, TensorInfo> tensors) {
    this.folder = folder;
    this.config = config;
    this.architecture = architecture;
    this.tensors = tensors;
  }

  /** Blocks whose experts lie on disk as the architecture says. */
  List<MoeBlock> full() {
    return find(
        (name, experts, hidden) -> {
          ExpertTensor down = architecture.tensor(Role.DOWN).orElseThrow();
          TensorInfo tensor = tensor(down.name(name, 0));
          int rank = down.fused() ? 3 : 2;
          if (tensor.shape().size() != rank) {
            throw broken(tensor.name(), "has shape " + tensor.shape() + ", not " + rank + " sizes");
          }
          boolean transposed = down.orientation() == ExpertTensor.Orientation.TRANSPOSED;
          return size(tensor, transposed ? rank - 2 : rank - 1);
        },
        this::checkExperts);
  }

  /** Blocks whose experts are merged into groups. */
  List<MoeBlock> compact() {
    return find(
        (name, experts, hidden) -> {
          TensorInfo whole = tensors.get(CompactNames.weight(name, 0, Role.DOWN));
          return whole == null
              ? size(tensor(CompactNames.right(name, 0, Role.DOWN)), 1)
              : widest(name, experts);
        },
        block -> {
          TensorInfo map = tensor(CompactNames.map(block.name()));
          if (map.dtype() != DType.I32 || !map.shape().equals(List.of((long) block.experts()))) {
            throw broken(map.name(), "is not I32 [" + block.experts() + "]");
          }
        });
  }

  /** Groups may have kept different numbers of hidden neurons. */
  private int widest(String name, int experts) {
    return IntStream.range(0, experts)
        .mapToObj(group -> tensors.get(CompactNames.weight(name, group, Role.DOWN)))
        .filter(Objects::nonNull)
        .mapToInt(down -> size(down, 1))
        .max()
        .orElseThrow();
  }

  private interface Width {
    int of(String block, int experts, int hidden);
  }

  private interface Check {
    void of(MoeBlock block);
  }

  private List<MoeBlock> find(Width width, Check check) {
    String ending = "." + architecture.router();
    List<MoeBlock> blocks = new ArrayList<>();
    for (TensorInfo router : tensors.values()) {
      if (router.name().endsWith(ending) && !CompactNames.ofGroup(router.name())) {
        String name = router.name().substring(0, router.name().length() - ending.length());
        MoeBlock block = block(name, router, width);
        check.of(block);
        blocks.add(block);
      }
    }
    if (blocks.isEmpty()) {
      throw new CheckpointException(
          folder
              + ": no tensor ends with "
              + ending
              + "; a "
              + architecture.name()
              + " checkpoint has one in every sparse layer");
    }
    blocks.sort(
        Comparator.comparing((MoeBlock block) -> block.name().startsWith(DECODER))
            .thenComparing(Blocks::stack)
            .thenComparingInt(MoeBlock::layer));
    return List.copyOf(blocks);
  }

  private static String stack(MoeBlock block) {
    int number = block.name().indexOf("." + block.layer() + ".");
    return number < 0 ? "" : block.name().substring(0, number);
  }

  private MoeBlock block(String name, TensorInfo router, Width width) {
    if (router.shape().size() != 2) {
      throw broken(router.name(), "has shape " + router.shape() + ", not [experts, hidden]");
    }
    int experts = size(router, 0);
    int hidden = size(router, 1);
    checkConfigured(router, experts);
    int topK = topK();
    if (topK < 1 || topK > experts) {
      throw broken("config.json", "picks " + topK + " of " + experts + " experts");
    }
    List<String> extras =
        architecture.routerExtras().stream()
            .map(extra -> name + "." + extra)
            .filter(tensors::containsKey)
            .toList();
    return new MoeBlock(
        name,
        layer(name),
        experts,
        topK,
        hidden,
        width.of(name, experts, hidden),
        architecture.activation(),
        architecture.scoring(),
        config.path("norm_topk_prob").asBoolean(false),
        architecture.roles(),
        router.name(),
        extras);
  }

  private static int layer(String name) {
    for (String segment : name.split("\\.", -1)) {
      if (!segment.isEmpty()
          && segment.length() < 10
          && segment.chars().allMatch(c -> c >= '0' && c <= '9')) {
        return Integer.parseInt(segment);
      }
    }
    return 0;
  }

  private JsonNode configured(List<String> keys) {
    for (JsonNode level : List.of(config, config.path("text_config"))) {
      for (String key : keys) {
        if (level.path(key).isNumber()) {
          return level.path(key);
        }
      }
    }
    return config.path("");
  }

  private void checkConfigured(TensorInfo router, int experts) {
    JsonNode stated = configured(architecture.expertsKeys());
    if (stated.isNumber() && stated.asInt() != experts) {
      throw broken(
          router.name(),
          "has " + experts + " rows, config.json says " + stated.asInt() + " experts");
    }
  }

  private int topK() {
    JsonNode stated = configured(architecture.topKKeys());
    return stated.isNumber() ? stated.asInt() : 1;
  }

  private void checkExperts(MoeBlock block) {
    for (ExpertTensor part : architecture.tensors()) {
      int count = part.fused() ? 1 : block.experts();
      for (int expert = 0; expert < count; expert++) {
        TensorInfo tensor = tensor(part.name(block.name(), expert));
        List<Long> expected = part.diskShape(block);
        if (!tensor.shape().equals(expected)) {
          throw broken(tensor.name(), "has shape " + tensor.shape() + ", expected " + expected);
        }
        if (!tensor.dtype().floating()) {
          throw broken(
              tensor.name(),
              "is stored as " + tensor.dtype() + "; convert quantised experts to bf16 first");
        }
      }
    }
  }

  private TensorInfo tensor(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      boolean quantised =
          tensors.containsKey(name + "_blocks")
              || tensors.containsKey(name.replaceAll("weight$", "qweight"));
      throw broken(
          name,
          quantised
              ? "is quantised; convert the experts to bf16 first"
              : "is missing; is the download complete?");
    }
    return tensor;
  }

  private int size(TensorInfo tensor, int dimension) {
    long size = dimension < tensor.shape().size() ? tensor.shape().get(dimension) : 0;
    if (size < 1 || size > Integer.MAX_VALUE) {
      throw broken(tensor.name(), "has the unusable shape " + tensor.shape());
    }
    return (int) size;
  }

  private CheckpointException broken(String part, String reason) {
    return new CheckpointException(folder + ": " + part + ": " + reason);
  }
}

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
import java.util.Optional;
import java.util.stream.IntStream;

/** Finds the Mixture-of-Experts blocks of a checkpoint and checks that their tensors fit. */
final class Blocks {

  /** Its layers come after those of the encoder. */
  private static final String DECODER = "decoder.";

  /** What follows a weight's name where it needs scales: MXFP4, block-scaled and scaled 8 bits. */
  private static final List<String> QUANTISED =
      List.of("_blocks", "_scales", "_scale_inv", "_scale");

  /** What stands in place of {@code weight}: GPTQ and AWQ, compressed-tensors. */
  private static final List<String> PACKED = List.of("qweight", "weight_packed");

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
  Found full() {
    return find((name, experts, hidden) -> fullWidth(name), this::checkExperts);
  }

  /** Whether a block of the compact form has its experts where the full form has them. */
  private boolean leftAsItWas(String block) {
    ExpertTensor down = architecture.tensor(Role.DOWN).orElseThrow();
    return !tensors.containsKey(CompactNames.map(block))
        && tensors.containsKey(down.name(block, 0));
  }

  private int fullWidth(String block) {
    ExpertTensor down = architecture.tensor(Role.DOWN).orElseThrow();
    return width(down, tensor(down.name(block, 0)));
  }

  private int width(ExpertTensor down, TensorInfo tensor) {
    int rank = down.fused() ? 3 : 2;
    if (tensor.shape().size() != rank) {
      throw broken(tensor.name(), "has shape " + tensor.shape() + ", not " + rank + " sizes");
    }
    boolean transposed = down.orientation() == ExpertTensor.Orientation.TRANSPOSED;
    return size(tensor, transposed ? rank - 2 : rank - 1);
  }

  /** Blocks whose experts are merged into groups. */
  Found compact() {
    return find(
        (name, experts, hidden) -> {
          if (leftAsItWas(name)) {
            return fullWidth(name);
          }
          TensorInfo whole = tensors.get(CompactNames.weight(name, 0, Role.DOWN));
          return whole == null
              ? size(tensor(CompactNames.right(name, 0, Role.DOWN)), 1)
              : widest(name, experts);
        },
        block -> {
          Optional<String> reason =
              leftAsItWas(block.name()) ? checkExperts(block) : Optional.empty();
          if (reason.isPresent()) {
            return reason;
          }
          TensorInfo map = tensor(CompactNames.map(block.name()));
          if (map.dtype() != DType.I32 || !map.shape().equals(List.of((long) block.experts()))) {
            throw broken(map.name(), "is not I32 [" + block.experts() + "]");
          }
          return Optional.empty();
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

  /** Says why a block that is not broken must stay as it is, where it must. */
  private interface Check {
    Optional<String> of(MoeBlock block);
  }

  /**
   * The blocks of a checkpoint in the order in which taps count layers.
   *
   * @param blocks whose experts can be read
   * @param untouched all others
   */
  record Found(List<MoeBlock> blocks, List<UntouchedBlock> untouched) {}

  private Found find(Width width, Check check) {
    String ending = "." + architecture.router();
    List<String> names =
        tensors.keySet().stream()
            .filter(name -> name.endsWith(ending) && !CompactNames.ofGroup(name))
            .map(name -> name.substring(0, name.length() - ending.length()))
            .sorted(
                Comparator.comparing((String name) -> name.startsWith(DECODER))
                    .thenComparing(Blocks::stack)
                    .thenComparingInt(Blocks::layer))
            .toList();
    if (names.isEmpty()) {
      throw new CheckpointException(
          folder
              + ": no tensor ends with "
              + ending
              + "; a "
              + architecture.name()
              + " checkpoint has one in every sparse layer");
    }
    List<MoeBlock> blocks = new ArrayList<>();
    List<UntouchedBlock> untouched = new ArrayList<>();
    for (int position = 0; position < names.size(); position++) {
      String name = names.get(position);
      TensorInfo router = tensor(name + ending);
      Optional<String> reason = unreadable(name);
      if (reason.isPresent()) {
        checkRouter(router);
        untouched.add(
            new UntouchedBlock(name, layer(name), position, size(router, 0), topK(), reason.get()));
      } else {
        MoeBlock block = block(name, router, width);
        Optional<String> unlike = check.of(block);
        if (unlike.isPresent()) {
          untouched.add(
              new UntouchedBlock(
                  name, layer(name), position, block.experts(), block.topK(), unlike.get()));
        } else {
          blocks.add(block);
        }
      }
    }
    return new Found(List.copyOf(blocks), List.copyOf(untouched));
  }

  /** Why the first expert's weights are no plain numbers, where they are not. */
  private Optional<String> unreadable(String block) {
    return architecture.tensors().stream()
        .map(part -> part.name(block, 0))
        .filter(this::quantised)
        .findFirst()
        .map(name -> name + " is quantised; convert the experts to bf16 first");
  }

  private boolean quantised(String name) {
    TensorInfo plain = tensors.get(name);
    return plain != null && !plain.dtype().floating()
        || QUANTISED.stream().anyMatch(suffix -> tensors.containsKey(name + suffix))
        || PACKED.stream()
            .anyMatch(
                packed ->
                    name.endsWith(".weight")
                        && tensors.containsKey(name.replaceAll("weight$", packed)));
  }

  private static String stack(String name) {
    int number = name.indexOf("." + layer(name) + ".");
    return number < 0 ? "" : name.substring(0, number);
  }

  private void checkRouter(TensorInfo router) {
    if (router.shape().size() != 2) {
      throw broken(router.name(), "has shape " + router.shape() + ", not [experts, hidden]");
    }
    checkConfigured(router, size(router, 0));
  }

  private MoeBlock block(String name, TensorInfo router, Width width) {
    checkRouter(router);
    int experts = size(router, 0);
    int hidden = size(router, 1);
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

  private Optional<String> checkExperts(MoeBlock block) {
    Optional<String> unlike = Optional.empty();
    ExpertTensor down = architecture.tensor(Role.DOWN).orElseThrow();
    for (int expert = 0; expert < (down.fused() ? 1 : block.experts()); expert++) {
      TensorInfo tensor = tensor(down.name(block.name(), expert));
      int width = width(down, tensor);
      checkExpert(block.withWidth(width), expert);
      if (width != block.width() && unlike.isEmpty()) {
        unlike =
            Optional.of(
                "%s has %d hidden neurons where expert 0 has %d; bring all experts of a layer to one width first"
                    .formatted(tensor.name(), width, block.width()));
      }
    }
    return unlike;
  }

  private void checkExpert(MoeBlock block, int expert) {
    for (ExpertTensor part : architecture.tensors()) {
      if (expert == 0 || !part.fused()) {
        TensorInfo tensor = tensor(part.name(block.name(), expert));
        List<Long> expected = part.diskShape(block);
        if (!tensor.shape().equals(expected)) {
          throw broken(tensor.name(), "has shape " + tensor.shape() + ", expected " + expected);
        }
        if (!tensor.dtype().floating()) {
          throw broken(tensor.name(), "is stored as " + tensor.dtype() + ", unlike its fellows");
        }
      }
    }
  }

  private TensorInfo tensor(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      throw broken(name, "is missing; is the download complete?");
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

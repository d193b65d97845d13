package dev.smelt.agent.statistics;

import static java.util.stream.Collectors.joining;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Moments on disk, {@code *.moments.safetensors}.
 *
 * <p>Per MoE block {@code <block>.moments.tokens} [experts], F64 or I64, and per expert e {@code
 * <block>.moments.<e>.activations} F32 [F, F] and, where it is recorded, {@code
 * <block>.moments.<e>.inputs} F32 [d, d]: the sums of {@link ExpertMoments}. An expert with no
 * tokens may be left out. {@code <block>.moments.inputs} F32 [d, d] is there in place of the
 * experts' inputs where they are recorded for the whole layer. Metadata: {@code model}.
 *
 * <p>Of a refit, {@code *.refit.safetensors}, per group g {@code <block>.refit.tokens} I64
 * [groups], {@code <block>.refit.<g>.activations} F32 [F, F] and {@code <block>.refit.<g>.outputs}
 * F32 [d, F]: the sums of {@link GroupMoments}. A group with no tokens may be left out. Metadata:
 * {@code model} and {@code groups}, which merged experts they are of.
 */
public final class MomentsFile {

  private static final String MODEL = "model";
  private static final String TOKENS = ".moments.tokens";
  private static final String MOMENTS = ".moments";
  private static final String INPUTS = ".inputs";
  private static final String ACTIVATIONS = ".activations";
  private static final String REFIT_TOKENS = ".refit.tokens";
  private static final String GROUPS = "groups";

  private MomentsFile() {}

  /** Writes moments; those of experts that have seen no token are left out. */
  public static void write(Path file, String model, List<BlockMoments> moments) {
    write(file, Map.of(MODEL, model), moments);
  }

  static void write(Path file, Map<String, String> metadata, List<BlockMoments> moments) {
    List<Tensor> tensors = new ArrayList<>();
    for (BlockMoments block : moments) {
      double[] tokens = block.experts().stream().mapToDouble(ExpertMoments::tokens).toArray();
      tensors.add(Tensor.doubles(block.block() + TOKENS, List.of((long) tokens.length), tokens));
      block
          .inputs()
          .ifPresent(inputs -> tensors.add(tensor(block.block() + MOMENTS + INPUTS, inputs)));
      for (int expert = 0; expert < tokens.length; expert++) {
        if (tokens[expert] > 0) {
          String name = block.block() + ".moments." + expert;
          ExpertMoments of = block.experts().get(expert);
          if (block.inputs().isEmpty()) {
            of.inputs().ifPresent(inputs -> tensors.add(tensor(name + INPUTS, inputs)));
          }
          tensors.add(tensor(name + ACTIVATIONS, of.activations()));
        }
      }
    }
    SafetensorsWriter.write(file, metadata, tensors);
  }

  /** The names of the blocks that a file has moments of. */
  static List<String> blocks(SafetensorsFile file) {
    return file.tensors().keySet().stream()
        .filter(name -> name.endsWith(TOKENS))
        .map(name -> name.substring(0, name.length() - TOKENS.length()))
        .toList();
  }

  /**
   * The moments of one block over all files together. Read block by block, so that one layer's
   * moments are in memory.
   *
   * @throws StatisticsException if a file lacks the block, does not fit it or holds NaN
   */
  public static BlockMoments read(MoeBlock block, List<Path> files) {
    BlockMoments sum = null;
    for (Path path : files) {
      BlockMoments moments = read(block, path);
      sum = sum == null ? moments : sum.plus(moments);
    }
    if (sum == null) {
      throw new StatisticsException("no moments files are given");
    }
    return sum;
  }

  private static BlockMoments read(MoeBlock block, Path path) {
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      return read(block, file);
    }
  }

  /**
   * The moments of one block in one file.
   *
   * @throws StatisticsException as {@link #read(MoeBlock, List)}
   */
  static BlockMoments read(MoeBlock block, SafetensorsFile file) {
    String tokensName = block.name() + TOKENS;
    if (!file.tensors().containsKey(tokensName)) {
      throw new StatisticsException(
          "%s: has no %s; are these moments of another model?".formatted(file.path(), tokensName));
    }
    double[] tokens = file.doubles(tokensName);
    if (tokens.length != block.experts()) {
      throw new StatisticsException(
          "%s: %s counts %d experts, the checkpoint has %d"
              .formatted(file.path(), tokensName, tokens.length, block.experts()));
    }
    List<ExpertMoments> experts = new ArrayList<>();
    for (int expert = 0; expert < tokens.length; expert++) {
      experts.add(expert(block, file, expert, tokens[expert]));
    }
    if (experts.stream().anyMatch(expert -> expert.inputs().isPresent())) {
      experts.replaceAll(
          expert ->
              expert.tokens() > 0 ? expert : ExpertMoments.zero(block.hidden(), block.width()));
    }
    return new BlockMoments(
        block.name(), experts, inputs(block, file, block.name() + MOMENTS + INPUTS));
  }

  private static ExpertMoments expert(
      MoeBlock block, SafetensorsFile file, int expert, double tokens) {
    if (!(tokens >= 0 && tokens < Double.POSITIVE_INFINITY)) {
      throw new StatisticsException(
          "%s: %s%s says that expert %d has seen %s tokens"
              .formatted(file.path(), block.name(), TOKENS, expert, tokens));
    }
    if (tokens == 0) {
      return ExpertMoments.zero(block.width());
    }
    String name = block.name() + ".moments." + expert;
    Matrix activations = matrix(file, name + ACTIVATIONS, block.width(), block.width());
    for (int neuron = 0; neuron < block.width(); neuron++) {
      if (activations.at(neuron, neuron) < 0) {
        throw new StatisticsException(
            "%s: %s%s is no sum of squares: its diagonal holds %s"
                .formatted(file.path(), name, ACTIVATIONS, activations.at(neuron, neuron)));
      }
    }
    return new ExpertMoments(tokens, inputs(block, file, name + INPUTS), activations);
  }

  private static Optional<Matrix> inputs(MoeBlock block, SafetensorsFile file, String name) {
    return file.tensors().containsKey(name)
        ? Optional.of(matrix(file, name, block.hidden(), block.hidden()))
        : Optional.empty();
  }

  /**
   * Writes what merged experts are to be fitted to; groups that have seen no token are left out.
   *
   * @param groups says which merged experts: sums of others can't be added to these
   */
  public static void writeRefit(Path file, String model, String groups, List<BlockRefit> moments) {
    List<Tensor> tensors = new ArrayList<>();
    for (BlockRefit block : moments) {
      long[] tokens = block.groups().stream().mapToLong(GroupMoments::tokens).toArray();
      tensors.add(
          Tensor.longs(block.block() + REFIT_TOKENS, List.of((long) tokens.length), tokens));
      for (int group = 0; group < tokens.length; group++) {
        if (tokens[group] > 0) {
          GroupMoments of = block.groups().get(group);
          tensors.add(tensor(refit(block.block(), group, "activations"), of.activations()));
          tensors.add(tensor(refit(block.block(), group, "outputs"), of.outputs()));
        }
      }
    }
    SafetensorsWriter.write(file, Map.of(MODEL, model, GROUPS, groups), tensors);
  }

  /**
   * What the merged experts of one block are to be fitted to, over all files together; each may
   * hold some of the blocks.
   *
   * @param groups which merged experts, as when they were written
   * @throws StatisticsException if no file has the block, one does not fit it or holds NaN, or one
   *     is of other merged experts
   */
  public static BlockRefit readRefit(MoeBlock block, List<Path> files, String groups) {
    return files.stream()
        .map(path -> readRefit(block, path, groups))
        .flatMap(Optional::stream)
        .reduce(BlockRefit::plus)
        .orElseThrow(
            () ->
                new StatisticsException(
                    "%s: has no %s%s; record it for these groups first"
                        .formatted(
                            files.stream().map(Path::toString).collect(joining(", ")),
                            block.name(),
                            REFIT_TOKENS)));
  }

  private static Optional<BlockRefit> readRefit(MoeBlock block, Path path, String merged) {
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      if (!merged.equals(file.metadata().get(GROUPS))) {
        throw new StatisticsException(
            "%s: is not of these merged experts; record it with smelt trace --plan or the hook for the same plan, --align and checkpoint"
                .formatted(path));
      }
      String tokensName = block.name() + REFIT_TOKENS;
      if (!file.tensors().containsKey(tokensName)) {
        return Optional.empty();
      }
      long[] tokens = file.longs(tokensName);
      List<GroupMoments> groups = new ArrayList<>();
      for (int group = 0; group < tokens.length; group++) {
        if (tokens[group] < 0) {
          throw new StatisticsException(
              "%s: %s says that group %d has seen %d tokens"
                  .formatted(path, tokensName, group, tokens[group]));
        }
        if (tokens[group] == 0) {
          groups.add(GroupMoments.zero(block.hidden(), block.width()));
          continue;
        }
        groups.add(
            new GroupMoments(
                tokens[group],
                matrix(
                    file, refit(block.name(), group, "activations"), block.width(), block.width()),
                matrix(
                    file, refit(block.name(), group, "outputs"), block.hidden(), block.width())));
      }
      return Optional.of(new BlockRefit(block.name(), groups));
    }
  }

  private static Matrix matrix(SafetensorsFile file, String name, int rows, int cols) {
    if (!file.tensors().containsKey(name)
        || !file.tensor(name).shape().equals(List.of((long) rows, (long) cols))) {
      throw new StatisticsException(
          "%s: %s must be there and have shape [%d, %d]".formatted(file.path(), name, rows, cols));
    }
    float[] values = file.floats(name);
    for (float value : values) {
      if (!Float.isFinite(value)) {
        throw new StatisticsException("%s: %s holds %s".formatted(file.path(), name, value));
      }
    }
    return new Matrix(rows, cols, values);
  }

  private static Tensor tensor(String name, Matrix matrix) {
    return Tensor.floats(
        name, DType.F32, List.of((long) matrix.rows(), (long) matrix.cols()), matrix.values());
  }

  private static String refit(String block, int group, String what) {
    return block + ".refit." + group + "." + what;
  }
}

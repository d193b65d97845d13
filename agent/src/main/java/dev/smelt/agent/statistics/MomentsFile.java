package dev.smelt.agent.statistics;

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

/**
 * Moments on disk, {@code *.moments.safetensors}.
 *
 * <p>Per MoE block {@code <block>.moments.tokens} I64 [experts], and per expert e {@code
 * <block>.moments.<e>.inputs} F32 [d, d] and {@code <block>.moments.<e>.activations} F32 [F, F]:
 * the sums of {@link ExpertMoments}. Metadata: {@code model}.
 *
 * <p>Of a refit, per group g {@code <block>.refit.tokens} I64 [groups], {@code
 * <block>.refit.<g>.activations} F32 [F, F] and {@code <block>.refit.<g>.outputs} F32 [d, F]: the
 * sums of {@link GroupMoments}. One file may hold both.
 */
public final class MomentsFile {

  private static final String MODEL = "model";
  private static final String REFIT_TOKENS = ".refit.tokens";

  private MomentsFile() {}

  public static void write(Path file, String model, List<BlockMoments> moments) {
    List<Tensor> tensors = new ArrayList<>();
    for (BlockMoments block : moments) {
      long[] tokens = block.experts().stream().mapToLong(ExpertMoments::tokens).toArray();
      tensors.add(Tensor.longs(tokens(block.block()), List.of((long) tokens.length), tokens));
      for (int expert = 0; expert < tokens.length; expert++) {
        ExpertMoments of = block.experts().get(expert);
        tensors.add(tensor(inputs(block.block(), expert), of.inputs()));
        tensors.add(tensor(activations(block.block(), expert), of.activations()));
      }
    }
    SafetensorsWriter.write(file, Map.of(MODEL, model), tensors);
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
      String tokensName = tokens(block.name());
      if (!file.tensors().containsKey(tokensName)) {
        throw new StatisticsException(
            "%s: has no %s; are these moments of another model?".formatted(path, tokensName));
      }
      long[] tokens = file.longs(tokensName);
      if (tokens.length != block.experts()) {
        throw new StatisticsException(
            "%s: %s counts %d experts, the checkpoint has %d"
                .formatted(path, tokensName, tokens.length, block.experts()));
      }
      List<ExpertMoments> experts = new ArrayList<>();
      for (int expert = 0; expert < tokens.length; expert++) {
        experts.add(
            new ExpertMoments(
                tokens[expert],
                matrix(file, inputs(block.name(), expert), block.hidden(), block.hidden()),
                matrix(file, activations(block.name(), expert), block.width(), block.width())));
      }
      return new BlockMoments(block.name(), experts);
    }
  }

  /** Writes what merged experts are to be fitted to. */
  public static void writeRefit(Path file, String model, List<BlockRefit> moments) {
    List<Tensor> tensors = new ArrayList<>();
    for (BlockRefit block : moments) {
      long[] tokens = block.groups().stream().mapToLong(GroupMoments::tokens).toArray();
      tensors.add(
          Tensor.longs(block.block() + REFIT_TOKENS, List.of((long) tokens.length), tokens));
      for (int group = 0; group < tokens.length; group++) {
        GroupMoments of = block.groups().get(group);
        tensors.add(tensor(refit(block.block(), group, "activations"), of.activations()));
        tensors.add(tensor(refit(block.block(), group, "outputs"), of.outputs()));
      }
    }
    SafetensorsWriter.write(file, Map.of(MODEL, model), tensors);
  }

  /**
   * What the merged experts of one block are to be fitted to, over all files together.
   *
   * @throws StatisticsException as {@link #read}
   */
  public static BlockRefit readRefit(MoeBlock block, List<Path> files) {
    return files.stream()
        .map(path -> readRefit(block, path))
        .reduce(BlockRefit::plus)
        .orElseThrow(() -> new StatisticsException("no moments files are given"));
  }

  private static BlockRefit readRefit(MoeBlock block, Path path) {
    try (SafetensorsFile file = SafetensorsFile.open(path)) {
      String tokensName = block.name() + REFIT_TOKENS;
      if (!file.tensors().containsKey(tokensName)) {
        throw new StatisticsException(
            "%s: has no %s; record it for these groups first".formatted(path, tokensName));
      }
      long[] tokens = file.longs(tokensName);
      List<GroupMoments> groups = new ArrayList<>();
      for (int group = 0; group < tokens.length; group++) {
        groups.add(
            new GroupMoments(
                tokens[group],
                matrix(
                    file, refit(block.name(), group, "activations"), block.width(), block.width()),
                matrix(
                    file, refit(block.name(), group, "outputs"), block.hidden(), block.width())));
      }
      return new BlockRefit(block.name(), groups);
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

  private static String tokens(String block) {
    return block + ".moments.tokens";
  }

  private static String inputs(String block, int expert) {
    return block + ".moments." + expert + ".inputs";
  }

  private static String activations(String block, int expert) {
    return block + ".moments." + expert + ".activations";
  }
}

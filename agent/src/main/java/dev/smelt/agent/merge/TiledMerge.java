package dev.smelt.agent.merge;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The scaled sum of matrices that lie on disk row by row, {@code scale * sum weight_m W_m}, in
 * tiles that fit the processor's cache: every element is read once in its stored type, widened,
 * summed in 32-bit floats and written once; bfloat16 that stays so by {@link Bfloat16Merge}. Spread
 * over the processors.
 *
 * @param dtype of all parts
 * @param cols of every matrix; a vector is one row
 * @param reordered what the permutations of the parts reorder
 * @param scale of the sum
 */
record TiledMerge(
    DType dtype, int rows, int cols, Reordered reordered, List<Part> parts, float scale) {

  private static final int TILE = 2048;
  private static final int TASKS_PER_PROCESSOR = 4;

  /** What the permutations reorder. */
  enum Reordered {
    ROWS,
    COLUMNS,
    NOTHING
  }

  /**
   * One matrix.
   *
   * @param stored its elements from position 0, little-endian
   * @param weight of it in the sum
   * @param permutation row or column i of the sum takes row or column p(i); null for none
   */
  record Part(ByteBuffer stored, float weight, int @Nullable [] permutation) {}

  TiledMerge {
    parts = List.copyOf(parts);
  }

  /** Says that a sum is not finite. */
  static final class NotFinite extends RuntimeException {
    NotFinite() {
      super("a sum is not finite");
    }
  }

  /** Takes a tile of the result; called from several threads. */
  private interface Sink {
    void accept(int at, float[] values, int count);
  }

  /**
   * The result in the stored type.
   *
   * @throws NotFinite if an element is NaN or infinite
   */
  byte[] bytes() {
    if (dtype == DType.BF16) {
      return Bfloat16Merge.bytes(this);
    }
    byte[] result = new byte[Math.multiplyExact(rows * cols, dtype.bytes())];
    run(
        (at, values, count) -> {
          ByteBuffer into =
              ByteBuffer.wrap(result, at * dtype.bytes(), count * dtype.bytes())
                  .slice()
                  .order(ByteOrder.LITTLE_ENDIAN);
          Floats.encode(values, 0, count, dtype, into);
        });
    return result;
  }

  /**
   * The result, row-major.
   *
   * @throws NotFinite if an element is NaN or infinite
   */
  float[] floats() {
    float[] result = new float[Math.multiplyExact(rows, cols)];
    run((at, values, count) -> System.arraycopy(values, 0, result, at, count));
    return result;
  }

  private void run(Sink sink) {
    boolean permuted = parts.stream().anyMatch(part -> part.permutation() != null);
    if (!permuted) {
      run(1, rows * cols, TILE, sink);
    } else if (reordered == Reordered.COLUMNS) {
      run(rows, cols, cols, sink);
    } else {
      run(rows, cols, TILE, sink);
    }
  }

  private void run(int height, int width, int tile, Sink sink) {
    int perRow = (width + tile - 1) / tile;
    int tiles = Math.multiplyExact(height, perRow);
    int tasks = Math.min(tiles, TASKS_PER_PROCESSOR * Runtime.getRuntime().availableProcessors());
    IntStream.range(0, tasks)
        .parallel()
        .forEach(
            task -> {
              Scratch scratch = new Scratch(Math.min(tile, width));
              int end = (int) ((task + 1L) * tiles / tasks);
              for (int next = (int) ((long) task * tiles / tasks); next < end; next++) {
                int row = next / perRow;
                int from = next % perRow * tile;
                int count = Math.min(tile, width - from);
                sum(row, from, width, count, scratch);
                scratch.scale(scale, count);
                sink.accept(row * width + from, scratch.sums, count);
              }
              scratch.requireFinite();
            });
  }

  private void sum(int row, int from, int width, int count, Scratch scratch) {
    // Minus zero, so that a lone part keeps the sign of its zeros.
    Arrays.fill(scratch.sums, 0, count, -0f);
    for (int part = 0; part < parts.size(); part++) {
      int[] permutation = parts.get(part).permutation();
      if (permutation != null && reordered == Reordered.COLUMNS) {
        scratch.gather(part, row * width, permutation);
      } else {
        int source = permutation == null ? row : permutation[row];
        scratch.add(part, source * width + from, count, scratch.sums);
      }
    }
  }

  /** What one thread works in. */
  private final class Scratch {
    private final float[] sums;
    private final float[] decoded;
    private final float[] row;
    private final float[] poison;
    private final ByteBuffer[] views;

    Scratch(int tile) {
      sums = new float[tile];
      decoded = new float[tile];
      row = new float[tile];
      poison = new float[tile];
      views =
          parts.stream()
              .map(part -> part.stored().duplicate().order(ByteOrder.LITTLE_ENDIAN))
              .toArray(ByteBuffer[]::new);
    }

    /** Adds the weighted elements of a part. */
    void add(int part, int element, int count, float[] into) {
      float weight = parts.get(part).weight();
      ByteBuffer bytes = views[part].position(element * dtype.bytes());
      Floats.decode(bytes, dtype, decoded, 0, count);
      for (int i = 0; i < count; i++) {
        into[i] += weight * decoded[i];
      }
    }

    /** Adds the weighted elements of a row in another order. */
    void gather(int part, int element, int[] permutation) {
      Arrays.fill(row, -0f);
      add(part, element, permutation.length, row);
      for (int i = 0; i < permutation.length; i++) {
        sums[i] += row[permutation[i]];
      }
    }

    /** Zero times what is not finite is NaN and stays so: no branch for each element. */
    void scale(float factor, int count) {
      for (int i = 0; i < count; i++) {
        float value = sums[i] * factor;
        sums[i] = value;
        poison[i] += 0f * value;
      }
    }

    void requireFinite() {
      for (float value : poison) {
        if (value != 0) {
          throw new NotFinite();
        }
      }
    }
  }
}

package dev.smelt.agent.merge;

import dev.smelt.agent.merge.TiledMerge.NotFinite;
import dev.smelt.agent.merge.TiledMerge.Part;
import dev.smelt.agent.merge.TiledMerge.Reordered;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The scaled sum of bfloat16 matrices, straight from where they are stored. Rows are moved whole;
 * where columns are reordered, a few rows at a time are interleaved, so that one load and one store
 * move a column of all of them, and separated again when they are summed.
 */
final class Bfloat16Merge {

  private static final int TILE = 4096;
  private static final int TASKS_PER_PROCESSOR = 4;
  private static final Bfloat16 LOOPS = Bfloat16.FASTEST;

  private final int rows;
  private final int cols;
  private final float scale;
  private final ByteBuffer[] stored;
  private final float[] weights;
  private final byte[] result;

  private Bfloat16Merge(TiledMerge merge) {
    rows = merge.rows();
    cols = merge.cols();
    scale = merge.scale();
    List<Part> parts = merge.parts();
    stored = new ByteBuffer[parts.size()];
    weights = new float[parts.size()];
    for (int part = 0; part < stored.length; part++) {
      stored[part] = parts.get(part).stored().duplicate().order(ByteOrder.LITTLE_ENDIAN);
      weights[part] = parts.get(part).weight();
    }
    result = new byte[Math.multiplyExact(Short.BYTES, Math.multiplyExact(rows, cols))];
  }

  /**
   * @throws NotFinite if an element is NaN or infinite
   */
  static byte[] bytes(TiledMerge merge) {
    Bfloat16Merge run = new Bfloat16Merge(merge);
    List<Part> parts = merge.parts();
    if (parts.stream().allMatch(part -> part.permutation() == null)) {
      run.asStored();
    } else if (merge.reordered() == Reordered.ROWS) {
      run.rows(parts.stream().map(Part::permutation).toArray(int[][]::new));
    } else {
      run.columns(parts.stream().map(Part::permutation).toArray(int[][]::new));
    }
    return run.result;
  }

  /** Sums a share of the units; zero, or NaN if a sum is not finite. */
  private interface Share {
    float sum(int from, int to);
  }

  private static void split(int units, Share share) {
    int tasks = Math.min(units, TASKS_PER_PROCESSOR * Runtime.getRuntime().availableProcessors());
    IntStream.range(0, tasks)
        .parallel()
        .forEach(
            task -> {
              int from = (int) ((long) task * units / tasks);
              if (share.sum(from, (int) ((task + 1L) * units / tasks)) != 0) {
                throw new NotFinite();
              }
            });
  }

  private void asStored() {
    int elements = rows * cols;
    Bfloat16.Parts parts = new Bfloat16.Parts(stored, new int[stored.length], weights);
    split(
        (elements + TILE - 1) / TILE,
        (from, to) -> {
          float poison = 0;
          for (int tile = from; tile < to; tile++) {
            int end = Math.min(elements, (tile + 1) * TILE);
            poison += LOOPS.sum(parts, scale, tile * TILE, end, result, 0);
          }
          return poison;
        });
  }

  private void rows(int @Nullable [][] permutations) {
    int bytes = Short.BYTES * cols;
    split(
        rows,
        (from, to) -> {
          int[] at = new int[stored.length];
          Bfloat16.Parts parts = new Bfloat16.Parts(stored, at, weights);
          float poison = 0;
          for (int row = from; row < to; row++) {
            for (int part = 0; part < at.length; part++) {
              int[] permutation = permutations[part];
              at[part] = (permutation == null ? row : permutation[row]) * bytes;
            }
            poison += LOOPS.sum(parts, scale, 0, cols, result, row * bytes);
          }
          return poison;
        });
  }

  private void columns(int @Nullable [][] permutations) {
    int length = Bfloat16.interleavedLength(cols);
    int @Nullable [][] sources = new int[permutations.length][];
    for (int part = 0; part < sources.length; part++) {
      int[] permutation = permutations[part];
      sources[part] = permutation == null ? null : interleaved(permutation, length);
    }
    split(
        (rows + Bfloat16.ROWS - 1) / Bfloat16.ROWS,
        (from, to) -> {
          long[] columns = new long[length];
          long[][] parts = new long[sources.length][length];
          float poison = 0;
          for (int unit = from; unit < to; unit++) {
            int[] at = rowsFrom(unit * Bfloat16.ROWS);
            for (int part = 0; part < parts.length; part++) {
              int[] source = sources[part];
              LOOPS.interleave(stored[part], at, 0, cols, source == null ? parts[part] : columns);
              if (source != null) {
                gather(columns, source, parts[part]);
              }
            }
            poison += LOOPS.sumInterleaved(parts, weights, scale, columns);
            LOOPS.separate(columns, at, 0, cols, result);
          }
          return poison;
        });
  }

  private static void gather(long[] from, int[] sources, long[] into) {
    for (int i = 0; i < sources.length; i++) {
      into[i] = from[sources[i]];
    }
  }

  /** Byte positions; past the last row, the last one again. */
  private int[] rowsFrom(int first) {
    int[] at = new int[Bfloat16.ROWS];
    for (int row = 0; row < at.length; row++) {
      at[row] = Short.BYTES * cols * Math.min(first + row, rows - 1);
    }
    return at;
  }

  /** The permutation of interleaved columns; what only fills up is taken from column 0. */
  private int[] interleaved(int[] permutation, int length) {
    int[] sources = new int[length];
    for (int col = 0; col < cols; col++) {
      sources[Bfloat16.interleaved(col, cols)] = Bfloat16.interleaved(permutation[col], cols);
    }
    return sources;
  }
}

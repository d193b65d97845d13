package dev.smelt.store.checkpoint;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.TensorInfo;
import java.util.List;

/** Reads merged experts under the names of {@link CompactNames}, factored or not. */
public final class CompactExperts {

  private final TensorSource tensors;

  public CompactExperts(TensorSource tensors) {
    this.tensors = tensors;
  }

  /**
   * The group that each router output of a block leads to.
   *
   * @return one entry for each expert, -1 for a masked one
   * @throws CheckpointException if the map's length or a group in it is wrong
   */
  public int[] map(MoeBlock block) {
    String name = CompactNames.map(block.name());
    int[] map = tensors.ints(name);
    if (map.length != block.experts()) {
      throw new CheckpointException(
          name + ": has " + map.length + " entries for " + block.experts() + " experts");
    }
    for (int group : map) {
      if (group < -1 || group >= block.experts()) {
        throw new CheckpointException(name + ": leads to group " + group);
      }
    }
    return map;
  }

  /** Number of groups of a block: one more than the highest in its map. */
  public int groups(MoeBlock block) {
    int highest = -1;
    for (int group : map(block)) {
      highest = Math.max(highest, group);
    }
    return highest + 1;
  }

  /** Whether a matrix is stored as low-rank factors and residual rows. */
  public boolean factored(MoeBlock block, int group, Role role) {
    return tensors.tensors().containsKey(CompactNames.left(block.name(), group, role));
  }

  /**
   * A group's weight in canonical orientation; factors are multiplied out: {@code U V} plus the
   * residual's kept rows. A group with fewer hidden neurons than the block is filled up with zeros,
   * which changes nothing.
   */
  public float[] weight(MoeBlock block, int group, Role role) {
    float[] values =
        role.bias() || !factored(block, group, role)
            ? widened(block, group, role)
            : product(block, group, role);
    if (values.length != block.elements(role)) {
      throw new CheckpointException(
          CompactNames.weight(block.name(), group, role)
              + ": has "
              + values.length
              + " elements, expected "
              + block.elements(role));
    }
    return values;
  }

  private float[] widened(MoeBlock block, int group, Role role) {
    String name = CompactNames.weight(block.name(), group, role);
    float[] values = tensors.floats(name);
    List<Long> shape = tensors.tensors().get(name).shape();
    boolean columns = role == Role.DOWN;
    if (shape.size() != block.shape(role).size()
        || role == Role.DOWN_BIAS
        || shape.get(columns ? 1 : 0) >= block.width()) {
      return values;
    }
    float[] wide = new float[block.elements(role)];
    int narrow = columns ? Math.toIntExact(shape.get(1)) : values.length;
    if (narrow > 0) {
      for (int from = 0, to = 0; from < values.length; from += narrow, to += block.width()) {
        System.arraycopy(values, from, wide, to, narrow);
      }
    }
    return wide;
  }

  private float[] product(MoeBlock block, int group, Role role) {
    String name = block.name();
    int rows = role.rows(block.hidden(), block.width());
    int columns = role.columns(block.hidden(), block.width());
    float[] left = tensors.floats(CompactNames.left(name, group, role));
    float[] right = tensors.floats(CompactNames.right(name, group, role));
    int rank = left.length / rows;
    if (left.length != rank * rows || right.length != rank * columns) {
      throw new CheckpointException(
          CompactNames.left(name, group, role) + ": does not fit its right factor");
    }
    float[] values = new float[rows * columns];
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < rank; k++) {
        float factor = left[row * rank + k];
        for (int column = 0; column < columns; column++) {
          values[row * columns + column] += factor * right[k * columns + column];
        }
      }
    }
    addResidual(name, group, role, values, rows, columns);
    return values;
  }

  private void addResidual(
      String block, int group, Role role, float[] values, int rows, int columns) {
    String indices = CompactNames.rows(block, group, role);
    if (!tensors.tensors().containsKey(indices)) {
      return;
    }
    int[] kept = tensors.ints(indices);
    float[] residual = tensors.floats(CompactNames.residual(block, group, role));
    if (residual.length != kept.length * columns) {
      throw new CheckpointException(indices + ": does not fit its residual");
    }
    for (int i = 0; i < kept.length; i++) {
      if (kept[i] < 0 || kept[i] >= rows) {
        throw new CheckpointException(indices + ": names row " + kept[i] + " of " + rows);
      }
      for (int column = 0; column < columns; column++) {
        values[kept[i] * columns + column] += residual[i * columns + column];
      }
    }
  }

  /** The type that a group's weight, or its left factor, is stored in. */
  public DType dtype(MoeBlock block, int group, Role role) {
    String name =
        !role.bias() && factored(block, group, role)
            ? CompactNames.left(block.name(), group, role)
            : CompactNames.weight(block.name(), group, role);
    TensorInfo tensor = tensors.tensors().get(name);
    if (tensor == null) {
      throw new CheckpointException(name + ": is missing");
    }
    return tensor.dtype();
  }
}

package dev.smelt.store.checkpoint;

import java.util.ArrayList;
import java.util.List;

/**
 * Where one weight of the experts lies on disk.
 *
 * <p>A name with {@code {e}} is one tensor for each expert, a name without it one tensor that holds
 * all experts along its first dimension. The part that belongs to one expert is its slab: a matrix
 * that holds the canonical weight's rows alone, or those of gate and up together.
 *
 * @param role the weight
 * @param name relative to the block
 * @param packing which rows of the slab belong to the weight
 * @param orientation whether the slab is stored transposed
 */
record ExpertTensor(Role role, String name, Packing packing, Orientation orientation) {

  private static final String EXPERT = "{e}";

  enum Packing {
    /** The slab is the weight. */
    WHOLE,
    /** The first half of the slab's rows. */
    FIRST_HALF,
    /** The second half of the slab's rows. */
    SECOND_HALF,
    /** Rows 0, 2, 4 and so on. */
    EVEN,
    /** Rows 1, 3, 5 and so on. */
    ODD;

    int slabRow(int row, int rows) {
      return switch (this) {
        case WHOLE, FIRST_HALF -> row;
        case SECOND_HALF -> rows + row;
        case EVEN -> 2 * row;
        case ODD -> 2 * row + 1;
      };
    }
  }

  enum Orientation {
    AS_IS,
    TRANSPOSED
  }

  static ExpertTensor separate(Role role, String name) {
    return new ExpertTensor(role, name, Packing.WHOLE, Orientation.AS_IS);
  }

  boolean fused() {
    return !name.contains(EXPERT);
  }

  /** Whether the weight's rows lie one after the other as in canonical orientation. */
  boolean contiguous() {
    return (orientation == Orientation.AS_IS || role.bias())
        && packing != Packing.EVEN
        && packing != Packing.ODD;
  }

  /** The full name in a block for an expert. */
  String name(String block, int expert) {
    return block + "." + name.replace(EXPERT, Integer.toString(expert));
  }

  /** The shape of the tensor that this weight lies in. */
  List<Long> diskShape(MoeBlock block) {
    long slabRows = slabRows(role.rows(block.hidden(), block.width()));
    long columns = role.columns(block.hidden(), block.width());
    List<Long> shape = new ArrayList<>();
    if (fused()) {
      shape.add((long) block.experts());
    }
    if (role.bias()) {
      shape.add(slabRows);
    } else if (orientation == Orientation.AS_IS) {
      shape.addAll(List.of(slabRows, columns));
    } else {
      shape.addAll(List.of(columns, slabRows));
    }
    return shape;
  }

  int slabRows(int rows) {
    return packing == Packing.WHOLE ? rows : 2 * rows;
  }

  /** Copies the weight out of a slab. */
  void unpack(float[] slab, int rows, int columns, float[] canonical) {
    int slabRows = slabRows(rows);
    for (int row = 0; row < rows; row++) {
      int slabRow = packing.slabRow(row, rows);
      if (orientation == Orientation.AS_IS) {
        System.arraycopy(slab, slabRow * columns, canonical, row * columns, columns);
      } else {
        for (int column = 0; column < columns; column++) {
          canonical[row * columns + column] = slab[column * slabRows + slabRow];
        }
      }
    }
  }

  /** Copies the weight into a slab. */
  void pack(float[] canonical, int rows, int columns, float[] slab) {
    int slabRows = slabRows(rows);
    for (int row = 0; row < rows; row++) {
      int slabRow = packing.slabRow(row, rows);
      if (orientation == Orientation.AS_IS) {
        System.arraycopy(canonical, row * columns, slab, slabRow * columns, columns);
      } else {
        for (int column = 0; column < columns; column++) {
          slab[column * slabRows + slabRow] = canonical[row * columns + column];
        }
      }
    }
  }
}

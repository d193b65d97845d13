package dev.smelt.store.checkpoint;

import java.util.regex.Pattern;

/** Names of the tensors that stand for a block's experts in the compact form. */
public final class CompactNames {

  private static final Pattern OF_GROUP =
      Pattern.compile(".*\\.groups\\.[0-9]+\\.(gate|up|down)\\.[a-z]+");

  private CompactNames() {}

  /** I32 [experts]: the group that each router output leads to, -1 for a masked one. */
  public static String map(String block) {
    return block + ".experts.map";
  }

  /**
   * A whole matrix in canonical orientation, or a bias. A group may have fewer hidden neurons than
   * the original experts had: fewer rows of gate and up, fewer columns of down.
   */
  public static String weight(String block, int group, Role role) {
    return group(block, group, role) + (role.bias() ? ".bias" : ".weight");
  }

  /** The left low-rank factor [rows, rank]. */
  public static String left(String block, int group, Role role) {
    return group(block, group, role) + ".u";
  }

  /** The right low-rank factor [rank, columns]. */
  public static String right(String block, int group, Role role) {
    return group(block, group, role) + ".v";
  }

  /** I32 [kept]: indices of the kept rows of the residual, ascending. */
  public static String rows(String block, int group, Role role) {
    return group(block, group, role) + ".rows";
  }

  /** The kept rows of the residual [kept, columns]. */
  public static String residual(String block, int group, Role role) {
    return group(block, group, role) + ".s";
  }

  /** Whether a tensor of that name belongs to a group: a router may have a similar ending. */
  static boolean ofGroup(String tensor) {
    return OF_GROUP.matcher(tensor).matches();
  }

  private static String group(String block, int group, Role role) {
    return block + ".groups." + group + "." + role.label();
  }
}

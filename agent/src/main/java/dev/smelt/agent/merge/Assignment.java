package dev.smelt.agent.merge;

import java.util.Arrays;
import java.util.concurrent.CancellationException;

/**
 * The linear assignment problem: give each row a column of its own so that the costs sum to the
 * least possible.
 *
 * <p>Exact, after Jonker and Volgenant (Computing 38, 1987): column reduction, augmenting row
 * reduction, then shortest augmenting paths; costs are single precision, the dual variables double.
 * After the first two passes a row is seldom read in whole: a list of its cheapest columns, which
 * stays valid because prices only fall ({@link Shortlists}), nearly always holds the one that is
 * sought. That is where the speed comes from.
 */
public final class Assignment {

  private static final int FREE = ShortestPath.NONE;
  private static final int REDUCTION_SWEEPS = 2;

  /** Near ties could make row reduction creep; the shortest paths finish what it leaves. */
  private static final int REDUCTIONS_PER_ROW = 32;

  private final int rows;
  private final int columns;
  private final float[] costs;
  private final double[] price;
  private final int[] columnOf;
  private final int[] rowOf;
  private final Shortlists shortlists;

  private double least;
  private double second;
  private int best;
  private int runnerUp;

  private Assignment(int rows, int columns, float[] costs) {
    this.rows = rows;
    this.columns = columns;
    this.costs = costs;
    this.price = new double[columns];
    this.columnOf = new int[rows];
    this.rowOf = new int[columns];
    this.shortlists = new Shortlists(rows, columns, costs, price);
    Arrays.fill(columnOf, FREE);
    Arrays.fill(rowOf, FREE);
  }

  /**
   * The assignment of least total cost.
   *
   * @param rows at most {@code columns}
   * @param costs row-major, rows x columns, finite
   * @return per row its column
   * @throws IllegalArgumentException for more rows than columns or costs that are not finite
   * @throws CancellationException when the thread is interrupted; the interrupt stays set
   */
  public static int[] leastCost(int rows, int columns, float[] costs) {
    if (rows > columns || costs.length != rows * columns) {
      throw new IllegalArgumentException(
          "%d x %d costs with %d values".formatted(rows, columns, costs.length));
    }
    for (float cost : costs) {
      if (!Float.isFinite(cost)) {
        throw new IllegalArgumentException("a cost of " + cost + " can't be assigned");
      }
    }
    return new Assignment(rows, columns, costs).solve();
  }

  /** The assignment of greatest total gain; otherwise as {@link #leastCost}. */
  public static int[] greatestGain(int rows, int columns, float[] gains) {
    float[] costs = new float[gains.length];
    for (int i = 0; i < costs.length; i++) {
      costs[i] = -gains[i];
    }
    return leastCost(rows, columns, costs);
  }

  private int[] solve() {
    if (rows == columns) {
      reduceColumns();
    }
    int[] free = freeRows();
    for (int sweep = 0; sweep < REDUCTION_SWEEPS && free.length > 0 && columns > 1; sweep++) {
      free = reduceRows(free);
    }
    augment(free);
    return columnOf;
  }

  /** Only for square problems: a column that stays free must keep a price of zero. */
  private void reduceColumns() {
    int[] cheapest = new int[columns];
    for (int column = 0; column < columns; column++) {
      price[column] = costs[column];
    }
    for (int row = 1; row < rows; row++) {
      int at = row * columns;
      for (int column = 0; column < columns; column++) {
        if (costs[at + column] < price[column]) {
          price[column] = costs[at + column];
          cheapest[column] = row;
        }
      }
    }
    for (int column = columns - 1; column >= 0; column--) {
      int row = cheapest[column];
      if (columnOf[row] == FREE) {
        columnOf[row] = column;
        rowOf[column] = row;
      }
    }
  }

  private int[] freeRows() {
    int[] free = new int[rows];
    int count = 0;
    for (int row = 0; row < rows; row++) {
      if (columnOf[row] == FREE) {
        free[count++] = row;
      }
    }
    return Arrays.copyOf(free, count);
  }

  /**
   * Gives each free row its cheapest column and lowers that column's price to where the row's
   * second choice would be as good; the displaced row tries again at once, if the price really
   * fell.
   */
  private int[] reduceRows(int[] free) {
    int[] queue = free.clone();
    int[] remaining = new int[rows];
    int left = 0;
    int next = 0;
    long patience = (long) REDUCTIONS_PER_ROW * rows;
    while (next < queue.length) {
      checkInterrupt();
      int row = queue[next++];
      if (!findTwoCheapest(row)) {
        shortlists.read(row);
        if (!findTwoCheapest(row)) {
          remaining[left++] = row;
          continue;
        }
      }
      double lowered = price[best] - (second - least);
      boolean fell = lowered < price[best];
      int displaced = rowOf[best];
      if (fell) {
        price[best] = lowered;
      } else if (displaced != FREE) {
        best = runnerUp;
        displaced = rowOf[best];
      }
      columnOf[row] = best;
      rowOf[best] = row;
      if (displaced != FREE) {
        columnOf[displaced] = FREE;
        if (fell && --patience > 0) {
          queue[--next] = displaced;
        } else {
          remaining[left++] = displaced;
        }
      }
    }
    return Arrays.copyOf(remaining, left);
  }

  /**
   * Finds the two columns of least reduced cost.
   *
   * @return false where a column that is not on the row's shortlist could be cheaper
   */
  private boolean findTwoCheapest(int row) {
    int at = row * columns;
    least = Double.POSITIVE_INFINITY;
    second = Double.POSITIVE_INFINITY;
    for (long entry : shortlists.of(row)) {
      if (Shortlists.atLeast(entry) >= second) {
        break;
      }
      int column = Shortlists.column(entry);
      double reduced = costs[at + column] - price[column];
      if (reduced < least) {
        second = least;
        runnerUp = best;
        least = reduced;
        best = column;
      } else if (reduced < second) {
        second = reduced;
        runnerUp = column;
      }
    }
    return second <= shortlists.beyond(row);
  }

  private void augment(int[] free) {
    ShortestPath path = new ShortestPath(rows, columns, costs, price, rowOf, shortlists);
    for (int start : free) {
      flip(start, path.from(start), path);
    }
  }

  private void flip(int start, int end, ShortestPath path) {
    int column = end;
    int row;
    do {
      row = path.predecessor(column);
      rowOf[column] = row;
      int displaced = columnOf[row];
      columnOf[row] = column;
      column = displaced;
    } while (row != start);
  }

  private static void checkInterrupt() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("the assignment was cancelled");
    }
  }
}

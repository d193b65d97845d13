package dev.smelt.agent.merge;

import java.util.Arrays;
import java.util.concurrent.CancellationException;

/**
 * Dijkstra's search over reduced costs from a free row to the nearest free column. A row is relaxed
 * over its shortlist; only where the path could leave by a column beyond it, the row is read again,
 * and if that is not enough, over all columns.
 */
final class ShortestPath {

  static final int NONE = -1;

  private final int columns;
  private final float[] costs;
  private final double[] price;
  private final int[] rowOf;
  private final Shortlists shortlists;
  private final int[] readIn;
  private int search;

  private final double[] distance;
  private final int[] predecessor;
  private final boolean[] settled;
  private final int[] touched;
  private int touchedCount;

  /** Reduced cost at which the path leaves a row whose shortlist has been used up. */
  private final double[] departure;

  /** A heap of columns by distance, and, as columns + row, of rows that may need more columns. */
  private double[] keys = new double[64];

  private int[] items = new int[64];
  private int size;

  private double nearest;
  private int end;

  /**
   * @param costs row-major, rows x columns
   * @param price per column; falls along each path
   * @param rowOf per column the row that holds it, or {@link #NONE}
   */
  ShortestPath(
      int rows, int columns, float[] costs, double[] price, int[] rowOf, Shortlists lists) {
    this.columns = columns;
    this.costs = costs;
    this.price = price;
    this.rowOf = rowOf;
    this.shortlists = lists;
    this.readIn = new int[rows];
    this.departure = new double[rows];
    this.distance = new double[columns];
    this.predecessor = new int[columns];
    this.settled = new boolean[columns];
    this.touched = new int[columns];
    Arrays.fill(distance, Double.POSITIVE_INFINITY);
  }

  /**
   * Finds the shortest path and lowers the prices of the columns that are nearer than its end.
   *
   * @return the free column at the end of the path; {@link #predecessor} leads back
   */
  int from(int start) {
    search++;
    touchedCount = 0;
    size = 0;
    nearest = Double.POSITIVE_INFINITY;
    end = NONE;
    relax(start, 0);
    while (size > 0 && keys[0] < nearest) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the assignment was cancelled");
      }
      double reached = keys[0];
      int item = items[0];
      removeFirst();
      if (item >= columns) {
        relaxBeyond(item - columns);
      } else if (!settled[item]) {
        settled[item] = true;
        int row = rowOf[item];
        relax(row, reached - (costs[row * columns + item] - price[item]));
      }
    }
    for (int i = 0; i < touchedCount; i++) {
      int column = touched[i];
      if (settled[column]) {
        price[column] += distance[column] - nearest;
        settled[column] = false;
      }
      distance[column] = Double.POSITIVE_INFINITY;
    }
    return end;
  }

  /** The row from which the last path reached a column. */
  int predecessor(int column) {
    return predecessor[column];
  }

  private void relax(int row, double from) {
    int at = row * columns;
    for (long entry : shortlists.of(row)) {
      if (from + Shortlists.atLeast(entry) >= nearest) {
        return;
      }
      int column = Shortlists.column(entry);
      reach(row, column, from + (costs[at + column] - price[column]));
    }
    double next = from + shortlists.beyond(row);
    if (next < nearest) {
      departure[row] = from;
      add(next, columns + row);
    }
  }

  private void relaxBeyond(int row) {
    double from = departure[row];
    if (readIn[row] != search) {
      readIn[row] = search;
      shortlists.read(row);
      relax(row, from);
      return;
    }
    int at = row * columns;
    for (int column = 0; column < columns; column++) {
      reach(row, column, from + (costs[at + column] - price[column]));
    }
  }

  private void reach(int row, int column, double there) {
    if (there >= nearest || there >= distance[column]) {
      return;
    }
    if (distance[column] == Double.POSITIVE_INFINITY) {
      touched[touchedCount++] = column;
    }
    distance[column] = there;
    predecessor[column] = row;
    if (rowOf[column] == NONE) {
      nearest = there;
      end = column;
    } else {
      add(there, column);
    }
  }

  private void add(double key, int item) {
    if (size == keys.length) {
      keys = Arrays.copyOf(keys, 2 * size);
      items = Arrays.copyOf(items, 2 * size);
    }
    int at = size++;
    while (at > 0) {
      int parent = (at - 1) >>> 1;
      if (keys[parent] <= key) {
        break;
      }
      keys[at] = keys[parent];
      items[at] = items[parent];
      at = parent;
    }
    keys[at] = key;
    items[at] = item;
  }

  private void removeFirst() {
    double key = keys[--size];
    int item = items[size];
    int at = 0;
    for (int child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && keys[child + 1] < keys[child]) {
        child++;
      }
      if (keys[child] >= key) {
        break;
      }
      keys[at] = keys[child];
      items[at] = items[child];
      at = child;
    }
    keys[at] = key;
    items[at] = item;
  }
}

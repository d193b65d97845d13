package dev.smelt.agent.merge;

import java.util.Arrays;

/**
 * Per row of an assignment problem its cheapest columns in rising order of reduced cost (the cost
 * less the column's price), as they were when the row was last read in whole. Prices only fall, so
 * what was read once stays a lower bound for ever, and most rows need not be read again.
 */
final class Shortlists {

  private static final int LENGTH = 32;
  private static final int SAMPLED_EVERY = 8;

  private final int columns;
  private final float[] costs;
  private final double[] price;
  private final long[][] entries;
  private final float[] beyond;
  private final long[] buffer = new long[2 * LENGTH];

  /**
   * @param costs row-major, rows x columns
   * @param price per column; may only fall from now on
   */
  Shortlists(int rows, int columns, float[] costs, double[] price) {
    this.columns = columns;
    this.costs = costs;
    this.price = price;
    this.entries = new long[rows][];
    this.beyond = new float[rows];
  }

  /** The row's listed columns, cheapest first; the row is read if it never was. */
  long[] of(int row) {
    if (entries[row] == null) {
      read(row);
    }
    return entries[row];
  }

  /** No column that is not on the row's list has a lower reduced cost than this. */
  float beyond(int row) {
    return beyond[row];
  }

  static int column(long entry) {
    return (int) entry;
  }

  /** A lower bound of the reduced cost of an entry. */
  static float atLeast(long entry) {
    return Float.intBitsToFloat(sortable((int) (entry >> Integer.SIZE)));
  }

  /** Lists the row's columns by what they cost now. */
  void read(int row) {
    int at = row * columns;
    double limit = columns > buffer.length ? sampledLimit(at) : Double.POSITIVE_INFINITY;
    int filled = 0;
    for (int column = 0; column < columns; column++) {
      double reduced = costs[at + column] - price[column];
      if (reduced < limit) {
        buffer[filled++] = entry(reduced, column);
        if (filled == buffer.length) {
          Arrays.sort(buffer);
          filled = LENGTH;
          limit = atLeast(buffer[LENGTH]);
        }
      }
    }
    Arrays.sort(buffer, 0, filled);
    entries[row] = Arrays.copyOf(buffer, filled);
    beyond[row] = (float) limit;
  }

  /** The fourth smallest of every eighth column: about 4 · 8 columns cost less. */
  private double sampledLimit(int at) {
    double first = Double.POSITIVE_INFINITY;
    double second = Double.POSITIVE_INFINITY;
    double third = Double.POSITIVE_INFINITY;
    double fourth = Double.POSITIVE_INFINITY;
    for (int column = 0; column < columns; column += SAMPLED_EVERY) {
      double reduced = costs[at + column] - price[column];
      if (reduced < fourth) {
        if (reduced >= third) {
          fourth = reduced;
        } else {
          fourth = third;
          if (reduced >= second) {
            third = reduced;
          } else {
            third = second;
            if (reduced >= first) {
              second = reduced;
            } else {
              second = first;
              first = reduced;
            }
          }
        }
      }
    }
    return (float) fourth;
  }

  /** Sorts by reduced cost, rounded down, then by column. */
  private static long entry(double reduced, int column) {
    float key = (float) reduced;
    if (key > reduced) {
      key = Math.nextDown(key);
    }
    return ((long) sortable(Float.floatToRawIntBits(key)) << Integer.SIZE) | column;
  }

  /** Maps the bits of floats to integers of the same order; its own inverse. */
  private static int sortable(int bits) {
    return bits ^ ((bits >> (Integer.SIZE - 1)) & Integer.MAX_VALUE);
  }
}

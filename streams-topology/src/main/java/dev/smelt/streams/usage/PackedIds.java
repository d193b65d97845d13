package dev.smelt.streams.usage;

import java.util.Arrays;

/**
 * Every single choice, packed: one byte an id up to 256 experts, else two (low byte first). The
 * largest code is padding, except where every code is an expert (256 experts).
 */
public final class PackedIds implements Decisions {

  private static final int ONE_BYTE_EXPERTS = 256;

  private final int experts;
  private final int topK;
  private final long requests;
  private final byte[] packed;

  /** The bytes are not copied: the caller gives them away. */
  PackedIds(int experts, int topK, long requests, byte[] packed) {
    Usage.checkShape(experts, topK);
    if (requests < 0) {
      throw new IllegalArgumentException("requests must not be negative: " + requests);
    }
    if (packed.length % (topK * idBytes(experts)) != 0) {
      throw new IllegalArgumentException(
          packed.length
              + " bytes are not a whole number of rows of "
              + topK
              + " ids of "
              + idBytes(experts)
              + " bytes");
    }
    this.experts = experts;
    this.topK = topK;
    this.requests = requests;
    this.packed = packed;
  }

  /**
   * Packs decisions.
   *
   * @param ids expert ids, row-major [tokens, topK]; {@link Accumulator#PADDING} marks empty slots,
   *     which a layer of exactly 256 experts can't express
   * @param rows number of rows
   * @param requests requests whose first token is among these rows
   * @throws IllegalArgumentException if an id can't be expressed
   */
  public static PackedIds pack(int experts, int topK, int[] ids, int rows, long requests) {
    Usage.checkShape(experts, topK);
    int length = Math.multiplyExact(rows, topK);
    int idBytes = idBytes(experts);
    int padding = paddingCode(experts);
    byte[] packed = new byte[length * idBytes];
    for (int i = 0; i < length; i++) {
      int id = ids[i];
      boolean empty = id == Accumulator.PADDING && padding != Accumulator.PADDING;
      if (!empty && (id < 0 || id >= experts)) {
        throw new IllegalArgumentException(
            "row "
                + i / topK
                + ": can't pack expert "
                + id
                + " of a layer of "
                + experts
                + " experts");
      }
      int code = empty ? padding : id;
      packed[i * idBytes] = (byte) code;
      if (idBytes == 2) {
        packed[i * 2 + 1] = (byte) (code >>> Byte.SIZE);
      }
    }
    return new PackedIds(experts, topK, requests, packed);
  }

  private static int idBytes(int experts) {
    return experts <= ONE_BYTE_EXPERTS ? 1 : 2;
  }

  private static int paddingCode(int experts) {
    if (experts == ONE_BYTE_EXPERTS) {
      return Accumulator.PADDING;
    }
    return experts < ONE_BYTE_EXPERTS ? 0xff : 0xffff;
  }

  @Override
  public int experts() {
    return experts;
  }

  @Override
  public int topK() {
    return topK;
  }

  @Override
  public long requests() {
    return requests;
  }

  /** Rows, padding included. */
  public int rows() {
    return packed.length / (topK * idBytes(experts));
  }

  /** The ids, row-major [rows, topK], {@link Accumulator#PADDING} for empty slots. */
  public int[] ids() {
    int padding = paddingCode(experts);
    int[] ids = new int[rows() * topK];
    if (experts <= ONE_BYTE_EXPERTS) {
      for (int i = 0; i < ids.length; i++) {
        int code = packed[i] & 0xff;
        ids[i] = code == padding ? Accumulator.PADDING : code;
      }
    } else {
      for (int i = 0; i < ids.length; i++) {
        int code = (packed[2 * i] & 0xff) | (packed[2 * i + 1] & 0xff) << Byte.SIZE;
        ids[i] = code == padding ? Accumulator.PADDING : code;
      }
    }
    return ids;
  }

  /** True if every id is 0, as in a buffer that was never filled. */
  public boolean onlyExpertZero() {
    for (byte code : packed) {
      if (code != 0) {
        return false;
      }
    }
    return true;
  }

  @Override
  public boolean isEmpty() {
    return packed.length == 0 && requests == 0;
  }

  @Override
  public void addTo(Accumulator sums) {
    if (!fits(sums)) {
      throw new IllegalArgumentException(
          "a layer of "
              + sums.experts()
              + " experts, top-"
              + sums.topK()
              + " can't take the decisions of one of "
              + experts
              + " experts, top-"
              + topK);
    }
    sums.add(ids(), rows()).addRequests(requests);
  }

  byte[] view() {
    return packed;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PackedIds that
        && experts == that.experts
        && topK == that.topK
        && requests == that.requests
        && Arrays.equals(packed, that.packed);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(packed);
  }

  @Override
  public String toString() {
    return "PackedIds[experts=" + experts + ", topK=" + topK + ", rows=" + rows() + "]";
  }
}

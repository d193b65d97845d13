package dev.smelt.agent.tap;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The integer types that engines use for expert ids. */
enum ElementType {
  UINT8(1),
  INT8(1),
  UINT16(2),
  INT16(2),
  INT32(4);

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  int bytes() {
    return bytes;
  }

  /** The type of a NumPy type string without its byte order, for example {@code u1}. */
  static ElementType ofNumpy(String kind) throws PayloadException {
    return switch (kind) {
      case "u1" -> UINT8;
      case "i1" -> INT8;
      case "u2" -> UINT16;
      case "i2" -> INT16;
      case "i4" -> INT32;
      default -> throw new PayloadException(TapFault.WRONG_TYPE, "element type " + kind);
    };
  }

  /** The type of a {@code routed_experts_dtype} field, for example {@code uint8}. */
  static ElementType ofName(String name) throws PayloadException {
    for (ElementType type : values()) {
      if (type.name().equalsIgnoreCase(name)) {
        return type;
      }
    }
    throw new PayloadException(TapFault.WRONG_TYPE, "element type " + name);
  }

  /** Reads all remaining elements; the remaining bytes must be a multiple of the element size. */
  int[] read(ByteBuffer source, ByteOrder order) {
    ByteBuffer bytes = source.slice().order(order);
    int[] ids = new int[bytes.remaining() / this.bytes];
    switch (this) {
      case UINT8 -> {
        for (int i = 0; i < ids.length; i++) {
          ids[i] = Byte.toUnsignedInt(bytes.get(i));
        }
      }
      case INT8 -> {
        for (int i = 0; i < ids.length; i++) {
          ids[i] = bytes.get(i);
        }
      }
      case UINT16 -> {
        for (int i = 0; i < ids.length; i++) {
          ids[i] = Short.toUnsignedInt(bytes.getShort(2 * i));
        }
      }
      case INT16 -> {
        for (int i = 0; i < ids.length; i++) {
          ids[i] = bytes.getShort(2 * i);
        }
      }
      case INT32 -> bytes.asIntBuffer().get(ids);
    }
    return ids;
  }
}

package dev.smelt.store.safetensors;

import java.util.Optional;

/** Element types of a safetensors file, under their names in the header. */
public enum DType {
  BOOL(1, false),
  U8(1, false),
  I8(1, false),
  F8_E4M3(1, true),
  F8_E5M2(1, true),
  I16(2, false),
  U16(2, false),
  F16(2, true),
  BF16(2, true),
  I32(4, false),
  U32(4, false),
  F32(4, true),
  I64(8, false),
  U64(8, false),
  F64(8, true);

  private final int bytes;
  private final boolean floating;

  DType(int bytes, boolean floating) {
    this.bytes = bytes;
    this.floating = floating;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** Whether elements are floating-point numbers. */
  public boolean floating() {
    return floating;
  }

  /** The type of that exact name, empty for a name that is not known. */
  public static Optional<DType> named(String name) {
    for (DType dtype : values()) {
      if (dtype.name().equals(name)) {
        return Optional.of(dtype);
      }
    }
    return Optional.empty();
  }
}

package dev.smelt.store.safetensors;

import java.nio.file.Path;

/** A file that is not a well-formed safetensors file; the message is "file: tensor: reason". */
public final class SafetensorsException extends RuntimeException {

  private static final int LONGEST_NAME_SHOWN = 200;

  SafetensorsException(Path file, String reason) {
    super(file + ": " + reason);
  }

  SafetensorsException(Path file, String tensor, String reason) {
    super(file + ": " + printable(tensor) + ": " + reason);
  }

  SafetensorsException(Path file, String reason, Throwable cause) {
    super(file + ": " + reason, cause);
  }

  /** A hostile name must not reach a terminal or fill a log. */
  static String printable(String name) {
    StringBuilder shown = new StringBuilder();
    name.codePoints()
        .limit(LONGEST_NAME_SHOWN)
        .forEach(
            c -> {
              if (Character.isISOControl(c)
                  || Character.getType(c) == Character.SURROGATE
                  || Character.getType(c) == Character.FORMAT) {
                shown.append(String.format("\\u%04x", c));
              } else {
                shown.appendCodePoint(c);
              }
            });
    return name.length() > LONGEST_NAME_SHOWN ? shown + "..." : shown.toString();
  }
}

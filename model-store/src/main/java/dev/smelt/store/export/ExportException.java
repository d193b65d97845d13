package dev.smelt.store.export;

/** An export that cannot be made; nothing is left behind. */
public final class ExportException extends RuntimeException {

  ExportException(String message) {
    super(message);
  }
}

package dev.smelt.store.snapshot;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.util.Locale;

/** Says what a disk's refusal means for the person who reads it. */
final class Failures {

  private Failures() {}

  static StoreException.Failed of(String thing, IOException cause) {
    String reason =
        cause instanceof FileSystemException failed && failed.getReason() != null
            ? failed.getFile() + ": " + failed.getReason()
            : cause.getClass().getSimpleName() + ": " + cause.getMessage();
    String lower = reason.toLowerCase(Locale.ROOT);
    String remedy = "nothing was changed";
    if (lower.contains("no space left") || lower.contains("disk quota")) {
      remedy = "nothing was changed; free some space or run `smelt store gc`";
    } else if (lower.contains("read-only") || lower.contains("denied")) {
      remedy = "nothing was changed; make the store's folder writable";
    }
    return new StoreException.Failed(thing + ": " + reason + "; " + remedy, cause);
  }
}

package dev.smelt.store.snapshot;

import java.util.Optional;

/**
 * Why something is changed, for the log.
 *
 * @param who a person or a part of the system
 * @param why one line
 * @param key the same change sent again under the same key happens once
 */
public record Reason(String who, String why, Optional<String> key) {

  private static final int LONGEST = 1000;

  public Reason {
    check("who", who);
    check("why", why);
    key.ifPresent(text -> check("key", text));
  }

  public Reason(String who, String why) {
    this(who, why, Optional.empty());
  }

  private static void check(String field, String text) {
    if (text.isBlank()) {
      throw new StoreException.Rejected(
          "the reason's '" + field + "' is empty; every change is logged with who and why");
    }
    if (text.length() > LONGEST) {
      throw new StoreException.Rejected(
          "the reason's '" + field + "' is longer than " + LONGEST + " characters");
    }
    if (text.codePoints().anyMatch(Character::isISOControl)) {
      throw new StoreException.Rejected("the reason's '" + field + "' has control characters");
    }
  }
}

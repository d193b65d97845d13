package dev.smelt.store.snapshot;

import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The only way from a caller's text to a file name: what passes here is a plain name everywhere.
 */
final class Names {

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");
  private static final Pattern SNAPSHOT = Pattern.compile("[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}");
  private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");
  private static final Set<String> DEVICES =
      Set.of(
          "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7",
          "com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9");
  private static final int LONGEST_SHOWN = 80;

  private Names() {}

  static String model(String name) {
    return plain("model", name);
  }

  static String ref(String name) {
    return plain("ref", name);
  }

  private static String plain(String kind, String name) {
    int dot = name.indexOf('.');
    String stem = (dot < 0 ? name : name.substring(0, dot)).toLowerCase(Locale.ROOT);
    if (!NAME.matcher(name).matches()
        || name.contains("..")
        || name.endsWith(".")
        || DEVICES.contains(stem)) {
      throw new StoreException.InvalidName(
          "'"
              + printable(name)
              + "' is no "
              + kind
              + " name; use up to 128 letters, digits, '.', '_' and '-', starting with a letter or"
              + " digit");
    }
    return name;
  }

  static String snapshot(String id) {
    if (!SNAPSHOT.matcher(id).matches()) {
      throw new StoreException.InvalidName(
          "'" + printable(id) + "' is no snapshot id; `smelt store ls` lists them");
    }
    return id;
  }

  static String digest(String digest) {
    if (!DIGEST.matcher(digest).matches()) {
      throw new StoreException.InvalidName(
          "'" + printable(digest) + "' is no digest; write sha256: and 64 hexadecimal digits");
    }
    return digest;
  }

  private static String printable(String name) {
    String shown = name.length() > LONGEST_SHOWN ? name.substring(0, LONGEST_SHOWN) : name;
    return shown.replaceAll("[^\\x20-\\x7e]", "?");
  }
}

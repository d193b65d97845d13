package dev.smelt.store.snapshot;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 as the store writes it: {@code sha256:} and 64 hexadecimal digits. */
final class Digests {

  static final String PREFIX = "sha256:";

  private Digests() {}

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  static String text(MessageDigest finished) {
    return PREFIX + HexFormat.of().formatHex(finished.digest());
  }

  static String of(byte[] bytes) {
    MessageDigest sha = sha256();
    sha.update(bytes);
    return text(sha);
  }

  static String hex(String digest) {
    return digest.substring(PREFIX.length());
  }
}

package dev.smelt.store.files;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 as the store writes it: {@code sha256:} and 64 hexadecimal digits. */
public final class Digests {

  public static final String PREFIX = "sha256:";

  private Digests() {}

  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** What was put into {@code sha}, which begins anew. */
  public static String text(MessageDigest sha) {
    return PREFIX + HexFormat.of().formatHex(sha.digest());
  }

  public static String of(byte[] bytes) {
    MessageDigest sha = sha256();
    sha.update(bytes);
    return text(sha);
  }

  /** The digits alone. */
  public static String hex(String digest) {
    return digest.substring(PREFIX.length());
  }
}

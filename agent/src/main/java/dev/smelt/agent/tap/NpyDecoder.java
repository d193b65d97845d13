package dev.smelt.agent.tap;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads the bytes of a {@code .npy} file of shape {@code [tokens, layers, topK]}, as vLLM sends
 * them. The form: NumPy Enhancement Proposal 1, versions 1 to 3.
 */
final class NpyDecoder {

  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int MAX_HEADER = 4096;
  private static final Pattern DESCR = Pattern.compile("'descr'\\s*:\\s*'([<>|=])([a-z]\\d+)'");
  private static final Pattern ORDER = Pattern.compile("'fortran_order'\\s*:\\s*(True|False)");
  private static final Pattern SHAPE =
      Pattern.compile(
          "'shape'\\s*:\\s*\\(\\s*(\\d{1,9})\\s*,\\s*(\\d{1,9})\\s*,\\s*(\\d{1,9})\\s*,?\\s*\\)");

  private NpyDecoder() {}

  /** Whether the bytes start as a {@code .npy} file does. */
  static boolean recognizes(byte[] bytes) {
    if (bytes.length < MAGIC.length) {
      return false;
    }
    for (int i = 0; i < MAGIC.length; i++) {
      if (bytes[i] != MAGIC[i]) {
        return false;
      }
    }
    return true;
  }

  /** Decodes bytes that {@link #recognizes} accepts. */
  static RoutedExperts decode(byte[] bytes) throws PayloadException {
    ByteBuffer source = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    String header = header(bytes, source);
    Matcher descr = find(DESCR, header, "descr");
    boolean columnMajor = find(ORDER, header, "fortran_order").group(1).equals("True");
    Matcher shape = SHAPE.matcher(header);
    if (!shape.find()) {
      throw new PayloadException(
          TapFault.WRONG_SHAPE, "header without three dimensions: " + header);
    }
    int tokens = Integer.parseInt(shape.group(1));
    int layers = Integer.parseInt(shape.group(2));
    int topK = Integer.parseInt(shape.group(3));
    if (layers == 0 || topK == 0) {
      throw new PayloadException(TapFault.WRONG_SHAPE, "an empty dimension: " + header);
    }
    ElementType type = ElementType.ofNumpy(descr.group(2));
    requireSize(source.remaining(), tokens, layers, topK, type);
    ByteOrder order = descr.group(1).equals(">") ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
    int[] ids = type.read(source, order);
    return new RoutedExperts(
        tokens, layers, topK, columnMajor ? rowMajor(ids, tokens, layers, topK) : ids);
  }

  private static String header(byte[] bytes, ByteBuffer source) throws PayloadException {
    if (source.remaining() < MAGIC.length + 4) {
      throw new PayloadException(TapFault.TRUNCATED, "no complete .npy header");
    }
    source.position(MAGIC.length);
    int major = source.get();
    int minor = source.get();
    if (major < 1 || major > 3 || minor != 0) {
      throw new PayloadException(TapFault.MALFORMED, ".npy version " + major + "." + minor);
    }
    if (major > 1 && source.remaining() < 4) {
      throw new PayloadException(TapFault.TRUNCATED, "no complete .npy header");
    }
    int length = major == 1 ? Short.toUnsignedInt(source.getShort()) : source.getInt();
    if (length < 0 || length > MAX_HEADER) {
      throw new PayloadException(TapFault.MALFORMED, ".npy header of " + length + " bytes");
    }
    if (length > source.remaining()) {
      throw new PayloadException(TapFault.TRUNCATED, ".npy header ends early");
    }
    String header = new String(bytes, source.position(), length, StandardCharsets.UTF_8).strip();
    source.position(source.position() + length);
    if (!header.startsWith("{") || !header.endsWith("}")) {
      throw new PayloadException(TapFault.MALFORMED, ".npy header is not a dictionary");
    }
    return header;
  }

  private static Matcher find(Pattern pattern, String header, String key) throws PayloadException {
    Matcher matcher = pattern.matcher(header);
    if (!matcher.find()) {
      throw new PayloadException(TapFault.MALFORMED, ".npy header without " + key);
    }
    return matcher;
  }

  private static void requireSize(int present, int tokens, int layers, int topK, ElementType type)
      throws PayloadException {
    // Each dimension is below 10^9, so two factors fit a long; the third is checked by division.
    long perToken = (long) layers * topK * type.bytes();
    if (tokens > 0 && perToken > Integer.MAX_VALUE / tokens) {
      throw new PayloadException(
          TapFault.OVERSIZED, "shape [%d, %d, %d]".formatted(tokens, layers, topK));
    }
    long expected = tokens * perToken;
    if (present < expected) {
      throw new PayloadException(TapFault.TRUNCATED, "%d of %d bytes".formatted(present, expected));
    }
    if (present > expected) {
      throw new PayloadException(
          TapFault.OVERSIZED, "%d bytes where the shape says %d".formatted(present, expected));
    }
  }

  private static int[] rowMajor(int[] columnMajor, int tokens, int layers, int topK) {
    int[] ids = new int[columnMajor.length];
    int at = 0;
    for (int token = 0; token < tokens; token++) {
      for (int layer = 0; layer < layers; layer++) {
        for (int choice = 0; choice < topK; choice++) {
          ids[at++] = columnMajor[token + tokens * (layer + layers * choice)];
        }
      }
    }
    return ids;
  }
}

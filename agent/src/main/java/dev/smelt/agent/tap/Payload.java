package dev.smelt.agent.tap;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Optional;

/**
 * Routed experts as they stand in an answer.
 *
 * @param base64 the text between the quotes
 * @param elementType the answer's {@code routed_experts_dtype}, absent for int32 and for {@code
 *     .npy}, which says its own
 * @param rows rows that the answer's token counts imply, negative where they do not tell
 */
record Payload(ByteBuffer base64, Optional<String> elementType, int rows) {

  static final int UNKNOWN_ROWS = -1;

  /** How the magic of a {@code .npy} file begins in base64. */
  private static final ByteBuffer NPY_BASE64 =
      ByteBuffer.wrap("k05VTVBZ".getBytes(StandardCharsets.US_ASCII));

  /** Whether this is vLLM's form. */
  boolean isNpy() {
    return base64.remaining() >= NPY_BASE64.remaining()
        && base64.slice(base64.position(), NPY_BASE64.remaining()).equals(NPY_BASE64);
  }

  /** Decodes either engine's form; a {@code .npy} file announces itself. */
  RoutedExperts decode(TappedModel model) throws PayloadException {
    byte[] bytes;
    try {
      bytes = Base64.getDecoder().decode(base64.duplicate()).array();
    } catch (IllegalArgumentException notBase64) {
      throw new PayloadException(TapFault.MALFORMED, "not base64: " + notBase64.getMessage());
    }
    if (NpyDecoder.recognizes(bytes)) {
      return NpyDecoder.decode(bytes);
    }
    ElementType type =
        elementType.isPresent() ? ElementType.ofName(elementType.get()) : ElementType.INT32;
    return RawDecoder.decode(bytes, type, rows, model);
  }
}

package dev.smelt.agent.tap;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Reads raw little-endian ids, row-major {@code [rows, layers, topK]}, as SGLang sends them. The
 * payload does not say its shape: the experts per token come from the model, the number of layers
 * from the rows where they are known.
 */
final class RawDecoder {

  private RawDecoder() {}

  /**
   * @param type element type, {@link ElementType#INT32} unless the answer says otherwise
   * @param rows rows that the answer's token counts imply, or negative if they do not tell
   * @param model where the possible numbers of layers come from when rows do not tell
   */
  static RoutedExperts decode(byte[] bytes, ElementType type, int rows, TappedModel model)
      throws PayloadException {
    if (bytes.length % type.bytes() != 0) {
      throw new PayloadException(
          TapFault.TRUNCATED, "%d bytes of %s".formatted(bytes.length, type));
    }
    int elements = bytes.length / type.bytes();
    int topK = model.topK();
    int layers = rows > 0 ? layersFromRows(elements, rows, topK) : model.layersThatDivide(elements);
    int[] ids = type.read(ByteBuffer.wrap(bytes), ByteOrder.LITTLE_ENDIAN);
    return new RoutedExperts(elements / (layers * topK), layers, topK, ids);
  }

  private static int layersFromRows(int elements, int rows, int topK) throws PayloadException {
    long perLayer = (long) rows * topK;
    if (elements == 0 || elements % perLayer != 0) {
      throw new PayloadException(
          TapFault.WRONG_SHAPE,
          "%d ids do not divide into %d rows of top-%d".formatted(elements, rows, topK));
    }
    return (int) (elements / perLayer);
  }
}

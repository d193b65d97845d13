package dev.smelt.engine;

import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/**
 * The experts that each token of one request was routed to in each layer, in the encodings of the
 * engines. Ids are those of router outputs, whether or not experts are merged.
 */
final class RoutedExperts implements ForwardObserver {

  private final int layers;
  private final int topK;
  private final int experts;
  private final ByteArrayOutputStream[] idsOfLayer;

  RoutedExperts(MoeModel model) {
    layers = model.blocks().size();
    topK = model.config().topK();
    experts = model.config().experts();
    idsOfLayer = new ByteArrayOutputStream[layers];
    for (int layer = 0; layer < layers; layer++) {
      idsOfLayer[layer] = new ByteArrayOutputStream();
    }
  }

  @Override
  public void routed(Routing routing) {
    ByteArrayOutputStream ids = idsOfLayer[routing.layer()];
    for (int id : routing.selected()) {
      ids.write(id >> 8);
      ids.write(id);
    }
  }

  /**
   * As vLLM sends them: base64 of the bytes of a {@code .npy} file, [tokens, layers, top-k] of
   * uint8, or uint16 where there are more than 256 experts.
   */
  String npy() {
    boolean wide = experts > 256;
    int[] ids = ids(0);
    String header =
        "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d, %d), }"
            .formatted(wide ? "<u2" : "|u1", ids.length / (layers * topK), layers, topK);
    int prefix = 10;
    int padded = (prefix + header.length() + 1 + 63) / 64 * 64;
    ByteBuffer file =
        ByteBuffer.allocate(padded + ids.length * (wide ? 2 : 1)).order(ByteOrder.LITTLE_ENDIAN);
    file.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.US_ASCII)).put((byte) 1);
    file.put((byte) 0).putShort((short) (padded - prefix));
    file.put(header.getBytes(StandardCharsets.US_ASCII));
    while (file.position() < padded - 1) {
      file.put((byte) ' ');
    }
    file.put((byte) '\n');
    for (int id : ids) {
      if (wide) {
        file.putShort((short) id);
      } else {
        file.put((byte) id);
      }
    }
    return Base64.getEncoder().encodeToString(file.array());
  }

  /**
   * As SGLang sends them: base64 of little-endian 32-bit integers, [tokens from start on, layers,
   * top-k].
   *
   * @param start tokens at the start that are left out
   */
  String raw(int start) {
    int[] ids = ids(start);
    ByteBuffer bytes = ByteBuffer.allocate(ids.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(ids);
    return Base64.getEncoder().encodeToString(bytes.array());
  }

  private int[] ids(int start) {
    byte[][] bytes = new byte[layers][];
    for (int layer = 0; layer < layers; layer++) {
      bytes[layer] = idsOfLayer[layer].toByteArray();
    }
    int tokens = bytes[0].length / (2 * topK);
    int[] ids = new int[Math.max(0, tokens - start) * layers * topK];
    int at = 0;
    for (int token = start; token < tokens; token++) {
      for (int layer = 0; layer < layers; layer++) {
        for (int pick = 0; pick < topK; pick++) {
          int from = 2 * (token * topK + pick);
          ids[at++] = (bytes[layer][from] & 0xff) << 8 | bytes[layer][from + 1] & 0xff;
        }
      }
    }
    return ids;
  }
}

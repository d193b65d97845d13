package dev.smelt.agent.inference;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorBytes;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Keeps what the routers decide in any number of passes, to be written as a routing trace. One
 * recording is for one thread at a time.
 */
public final class RoutingRecording implements ForwardObserver {

  private final MoeModel model;
  private final List<List<Pass>> passes = new ArrayList<>();

  /** One layer's decisions in one pass. */
  private record Pass(
      int tokens, int[] selected, float[] weights, float[] logits, float[] outputNorms) {}

  /** A recording of a model's decisions. */
  public RoutingRecording(MoeModel model) {
    this.model = model;
    for (int layer = 0; layer < model.blocks().size(); layer++) {
      passes.add(new ArrayList<>());
    }
  }

  @Override
  public void routed(Routing routing) {
    passes
        .get(routing.layer())
        .add(
            new Pass(
                routing.tokens(),
                routing.selected().clone(),
                routing.weights().clone(),
                routing.logits().clone(),
                new float[routing.weights().length]));
  }

  @Override
  public void calculated(ExpertBatch batch) {
    List<Pass> ofLayer = passes.get(batch.layer());
    Pass pass = ofLayer.get(ofLayer.size() - 1);
    int topK = model.config().topK();
    int hidden = model.config().hidden();
    for (int i = 0; i < batch.count(); i++) {
      double norm = norm(batch.outputs(), i * hidden, hidden);
      int first = batch.tokens()[i] * topK;
      for (int pick = first; pick < first + topK; pick++) {
        if (model.target(batch.layer(), pass.selected[pick]) == batch.expert()) {
          pass.outputNorms[pick] = (float) (pass.weights[pick] * norm);
        }
      }
    }
  }

  private static double norm(float[] values, int at, int count) {
    double squares = 0;
    for (int i = at; i < at + count; i++) {
      squares += (double) values[i] * values[i];
    }
    return Math.sqrt(squares);
  }

  /** Tokens recorded. */
  public int tokens() {
    return passes.get(0).stream().mapToInt(Pass::tokens).sum();
  }

  /**
   * All recorded decisions under the names of a routing trace; ids are U8 where they fit, else U16.
   */
  public List<Tensor> tensors() {
    return tensors(List.of(this));
  }

  /**
   * The decisions of several recordings, one after the other.
   *
   * @param recordings at least one, of models with the same blocks
   */
  public static List<Tensor> tensors(List<RoutingRecording> recordings) {
    MoeModel model = recordings.get(0).model;
    long topK = model.config().topK();
    long experts = model.config().experts();
    List<Tensor> tensors = new ArrayList<>();
    for (int layer = 0; layer < model.blocks().size(); layer++) {
      int index = layer;
      List<Pass> all =
          recordings.stream().flatMap(recording -> recording.passes.get(index).stream()).toList();
      long tokens = all.stream().mapToLong(Pass::tokens).sum();
      String block = model.blocks().get(layer).name();
      DType ids = experts <= 256 ? DType.U8 : DType.U16;
      tensors.add(
          new Tensor(
              block + ".selected_experts",
              ids,
              List.of(tokens, topK),
              channel -> {
                for (Pass pass : all) {
                  writeIds(channel, pass.selected, ids);
                }
              }));
      tensors.add(floats(block + ".routing_weights", tokens, topK, all, Pass::weights));
      tensors.add(floats(block + ".router_logits", tokens, experts, all, Pass::logits));
      tensors.add(floats(block + ".output_norms", tokens, topK, all, Pass::outputNorms));
    }
    return tensors;
  }

  private static Tensor floats(
      String name, long tokens, long columns, List<Pass> passes, Function<Pass, float[]> values) {
    TensorBytes bytes =
        channel -> {
          for (Pass pass : passes) {
            float[] part = values.apply(pass);
            ByteBuffer buffer = littleEndian(part.length * Float.BYTES);
            buffer.asFloatBuffer().put(part);
            writeFully(channel, buffer);
          }
        };
    return new Tensor(name, DType.F32, List.of(tokens, columns), bytes);
  }

  private static void writeIds(WritableByteChannel channel, int[] ids, DType dtype)
      throws IOException {
    ByteBuffer buffer = littleEndian(ids.length * dtype.bytes());
    for (int id : ids) {
      if (dtype == DType.U8) {
        buffer.put((byte) id);
      } else {
        buffer.putShort((short) id);
      }
    }
    writeFully(channel, buffer.flip());
  }

  private static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void writeFully(WritableByteChannel channel, ByteBuffer buffer)
      throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }
}

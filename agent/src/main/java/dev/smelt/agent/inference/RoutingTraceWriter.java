package dev.smelt.agent.inference;

import dev.smelt.store.safetensors.SafetensorsWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Records what a model's routers decide on texts, as a routing trace: per sparse block the selected
 * experts, their gate weights, all router logits and the gate-weighted norms of the picked experts'
 * outputs.
 */
public final class RoutingTraceWriter {

  private RoutingTraceWriter() {}

  /**
   * Runs texts through a model by the protocol of {@link Evaluation} and writes the trace. Each
   * window counts as one request. The whole trace is held in memory: for each token and block
   * {@code 4 · experts + 9 · topK} bytes.
   *
   * <p>Failure semantics: the file appears complete or not at all.
   *
   * @param name of the model, for the file's metadata
   */
  public static void write(
      MoeModel model, String name, List<byte[]> texts, Path file, ByteProgress progress) {
    Evaluation.requireBytes(model);
    long all = texts.stream().mapToLong(text -> text.length).sum();
    if (all == 0) {
      throw new IllegalArgumentException("there is no text to trace");
    }
    List<List<Window>> chunks = Window.chunks(texts);
    AtomicLong done = new AtomicLong();
    List<RoutingRecording> recordings =
        chunks.parallelStream()
            .map(
                chunk -> {
                  RoutingRecording recording = new RoutingRecording(model);
                  model.logits(Window.sequences(chunk), recording);
                  progress.processed(done.addAndGet(Window.bytes(chunk)), all);
                  return recording;
                })
            .toList();
    long requests = chunks.stream().mapToLong(List::size).sum();
    SafetensorsWriter.write(
        file,
        Map.of("model", name, "requests", Long.toString(requests)),
        RoutingRecording.tensors(recordings));
  }
}

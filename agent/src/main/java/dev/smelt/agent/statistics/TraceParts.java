package dev.smelt.agent.statistics;

import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Cuts a {@link RoutingTrace} into traces of fewer tokens. */
public final class TraceParts {

  private final SafetensorsFile trace;
  private final long tokens;
  private final long requests;

  /**
   * @param trace open for as long as parts are written
   * @throws StatisticsException if it is no trace, or its tensors have different numbers of tokens
   */
  public TraceParts(SafetensorsFile trace) {
    this.trace = trace;
    this.tokens = tokens(trace);
    this.requests = RoutingTrace.requests(trace);
  }

  /** Tokens in all. */
  public long tokens() {
    return tokens;
  }

  /**
   * Writes a part. Requests are spread evenly over the tokens.
   *
   * @param first token of the part
   * @param count of its tokens
   */
  public void write(long first, long count, Path file) {
    List<Tensor> tensors = new ArrayList<>();
    for (TensorInfo tensor : trace.tensors().values()) {
      long columns = tensor.shape().get(1);
      long rowBytes = columns * tensor.dtype().bytes();
      tensors.add(
          new Tensor(
              tensor.name(),
              tensor.dtype(),
              List.of(count, columns),
              channel -> {
                ByteBuffer rows =
                    trace.bytes(tensor.name(), first * rowBytes, Math.toIntExact(count * rowBytes));
                while (rows.hasRemaining()) {
                  channel.write(rows);
                }
              }));
    }
    long begun = begun(first + count) - begun(first);
    SafetensorsWriter.write(file, Map.of(RoutingTrace.REQUESTS, Long.toString(begun)), tensors);
  }

  private long begun(long before) {
    return tokens == 0 ? 0 : (before * requests + tokens - 1) / tokens;
  }

  private static long tokens(SafetensorsFile trace) {
    long tokens = -1;
    for (TensorInfo tensor : trace.tensors().values()) {
      if (tensor.shape().size() != 2 || (tokens >= 0 && tensor.shape().get(0) != tokens)) {
        throw new StatisticsException(
            "%s: %s has shape %s; a routing trace has [tokens, ...] everywhere, with the same tokens"
                .formatted(trace.path(), tensor.name(), tensor.shape()));
      }
      tokens = tensor.shape().get(0);
    }
    if (trace.tensors().keySet().stream().noneMatch(name -> name.endsWith(RoutingTrace.SELECTED))) {
      throw new StatisticsException(
          "%s: has no tensor *%s; is it a routing trace?"
              .formatted(trace.path(), RoutingTrace.SELECTED));
    }
    return tokens;
  }
}

package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Weights;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CheckpointException;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.TensorSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A model of the Mixtral architecture, loaded for inference: with its original experts, merged
 * ones, or merged and factored ones, which are never multiplied out. Immutable and safe for
 * concurrent use; each call calculates on its caller's thread. Its memory is released when it
 * becomes unreachable.
 */
public final class MoeModel {

  private final Compute compute;
  private final ModelConfig config;
  private final List<MoeBlock> blocks;
  private final float[] embeddings;
  private final List<Layer> layers;
  private final float[] norm;
  private final Weights output;
  private final long expertBytes;

  /** One transformer layer: attention and experts, each behind an RMSNorm. */
  record Layer(float[] attentionNorm, Attention attention, float[] blockNorm, SparseBlock block) {}

  MoeModel(
      Compute compute,
      ModelConfig config,
      List<MoeBlock> blocks,
      float[] embeddings,
      List<Layer> layers,
      float[] norm,
      Weights output,
      long expertBytes) {
    this.compute = compute;
    this.config = config;
    this.blocks = blocks;
    this.embeddings = embeddings;
    this.layers = layers;
    this.norm = norm;
    this.output = output;
    this.expertBytes = expertBytes;
  }

  /**
   * Loads a checkpoint folder, in its original, an expanded, a uniform or the compact form.
   *
   * @throws CheckpointException if it is damaged or not of the Mixtral architecture
   */
  public static MoeModel load(Path directory) {
    try (Checkpoint checkpoint = Checkpoint.open(directory)) {
      return load(checkpoint);
    }
  }

  /** Loads an open checkpoint, which may be closed afterwards. */
  public static MoeModel load(Checkpoint checkpoint) {
    return load(checkpoint, checkpoint);
  }

  /**
   * Loads a checkpoint with the experts of some blocks replaced.
   *
   * @param base gives everything that {@code experts} does not
   * @param experts tensors under the names of the compact form, for any of the blocks
   */
  public static MoeModel load(Checkpoint base, TensorSource experts) {
    return new ModelLoader(Compute.cpu(), base, experts).load();
  }

  public ModelConfig config() {
    return config;
  }

  /** The sparse blocks in layer order, as the base checkpoint has them. */
  public List<MoeBlock> blocks() {
    return blocks;
  }

  /** Bytes of all expert weights and maps in their stored types: what a server has to hold. */
  public long expertBytes() {
    return expertBytes;
  }

  /** Whether router outputs of any layer share experts or are masked. */
  public boolean merged() {
    return layers.stream()
        .anyMatch(
            layer -> {
              int[] map = layer.block.map();
              return IntStream.range(0, map.length).anyMatch(output -> map[output] != output);
            });
  }

  /** The longest sequence that it can process. */
  public int maxPositions() {
    return config.maxPositions();
  }

  /**
   * Starts a sequence that can grow.
   *
   * @param capacity the most tokens that it may get
   * @throws IllegalArgumentException if that is more than the model's positions
   */
  public Decoder decoder(int capacity) {
    return new Decoder(this, cache(capacity));
  }

  /**
   * Processes whole sequences, each on its own, in one pass.
   *
   * @return the logits of every position, sequences one after the other, tokens x vocabulary
   */
  public Matrix logits(List<int[]> sequences, ForwardObserver observer) {
    List<Segment> segments = new ArrayList<>();
    for (int[] sequence : sequences) {
      segments.add(new Segment(cache(sequence.length), sequence));
    }
    return forward(segments, Readout.ALL, observer);
  }

  private KeyValueCache cache(int capacity) {
    if (capacity > config.maxPositions()) {
      throw new IllegalArgumentException(
          "a sequence of %d tokens is longer than the model's %d positions"
              .formatted(capacity, config.maxPositions()));
    }
    return new KeyValueCache(config, capacity);
  }

  /** Which positions' logits a pass calculates. */
  enum Readout {
    ALL,
    LAST
  }

  /**
   * Runs new tokens of some sequences through all layers and moves their caches on.
   *
   * @return logits of all rows, or of each segment's last one
   */
  Matrix forward(List<Segment> segments, Readout readout, ForwardObserver observer) {
    int rows = segments.stream().mapToInt(segment -> segment.tokens().length).sum();
    int hidden = config.hidden();
    float[] x = embed(segments, rows);
    float[] normed = new float[rows * hidden];
    float[] change = new float[rows * hidden];
    for (Layer layer : layers) {
      Kernels.rmsNorm(x, rows, layer.attentionNorm, config.normEpsilon(), normed);
      layer.attention.apply(compute, segments, rows, normed, change);
      Kernels.add(change, x, x.length);
      Kernels.rmsNorm(x, rows, layer.blockNorm, config.normEpsilon(), normed);
      layer.block.apply(compute, rows, normed, change, observer);
      Kernels.add(change, x, x.length);
    }
    for (Segment segment : segments) {
      segment.cache().advance(segment.tokens().length);
    }
    float[] read = readout == Readout.ALL ? x : lastRows(segments, x);
    int readRows = read.length / hidden;
    float[] last = new float[read.length];
    Kernels.rmsNorm(read, readRows, norm, config.normEpsilon(), last);
    Matrix logits = Matrix.zeros(readRows, config.vocabulary());
    compute.project(output, readRows, last, logits.values());
    return logits;
  }

  private float[] embed(List<Segment> segments, int rows) {
    int hidden = config.hidden();
    float[] x = new float[rows * hidden];
    int row = 0;
    for (Segment segment : segments) {
      if (segment.cache().length() + segment.tokens().length > segment.cache().capacity()) {
        throw new IllegalArgumentException(
            "%d more tokens after %d don't fit a sequence of at most %d"
                .formatted(
                    segment.tokens().length, segment.cache().length(), segment.cache().capacity()));
      }
      for (int token : segment.tokens()) {
        if (token < 0 || token >= config.vocabulary()) {
          throw new IllegalArgumentException(
              "token %d is not in the vocabulary of %d".formatted(token, config.vocabulary()));
        }
        System.arraycopy(embeddings, token * hidden, x, row++ * hidden, hidden);
      }
    }
    return x;
  }

  private float[] lastRows(List<Segment> segments, float[] x) {
    int hidden = config.hidden();
    float[] last = new float[segments.size() * hidden];
    int end = 0;
    for (int i = 0; i < segments.size(); i++) {
      end += segments.get(i).tokens().length;
      System.arraycopy(x, (end - 1) * hidden, last, i * hidden, hidden);
    }
    return last;
  }

  /** Multiplications and additions of one token in everything but the experts and the scores. */
  long sharedFlops() {
    long heads = (long) config.heads() * config.headSize();
    long kvHeads = (long) config.kvHeads() * config.headSize();
    long attention = 2L * config.hidden() * (2 * heads + 2 * kvHeads);
    long router = 2L * config.hidden() * config.experts();
    return config.layers() * (attention + router) + 2L * config.hidden() * config.vocabulary();
  }

  /** Multiplications and additions of one token in one expert that is left in a layer. */
  long expertFlops(int layer, int expert) {
    return layers.get(layer).block.experts().get(expert).flops();
  }

  /**
   * The expert that a router output of a layer leads to, numbered as in {@link ExpertBatch}; -1 for
   * a masked one.
   */
  public int target(int layer, int routerOutput) {
    return layers.get(layer).block.map()[routerOutput];
  }
}

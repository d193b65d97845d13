package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Weights;
import dev.smelt.agent.inference.MoeModel.Layer;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CheckpointException;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Builds a model from tensors, one at a time, so that no more than one of them is held twice. */
final class ModelLoader {

  private final Compute compute;
  private final Checkpoint base;
  private final TensorSource replaced;
  private final String where;
  private final ModelConfig config;
  private final Rotary rotary;
  private long expertBytes;

  ModelLoader(Compute compute, Checkpoint base, TensorSource replaced) {
    this.compute = compute;
    this.base = base;
    this.replaced = replaced;
    this.where = base.directory().toString();
    this.config = ModelConfig.of(where, base.config());
    this.rotary = new Rotary(config.headSize(), config.ropeTheta(), config.maxPositions());
  }

  MoeModel load() {
    base.untouched().stream()
        .findFirst()
        .ifPresent(
            block -> {
              throw new CheckpointException(where + ": " + block.reason());
            });
    if (base.blocks().size() != config.layers()) {
      throw new CheckpointException(
          "%s: has %d layers but %d sparse blocks; inference supports models that are sparse in each layer"
              .formatted(where, config.layers(), base.blocks().size()));
    }
    float[] embeddings =
        vector(base, "model.embed_tokens.weight", config.vocabulary(), config.hidden());
    List<Layer> layers =
        IntStream.range(0, config.layers()).mapToObj(index -> layer(index)).toList();
    Weights output =
        config.tiedEmbeddings()
            ? compute.weights(
                config.vocabulary(), config.hidden(), buffer -> buffer.put(embeddings))
            : matrix(base, "lm_head.weight", config.vocabulary(), config.hidden());
    return new MoeModel(
        compute,
        config,
        base.blocks(),
        embeddings,
        layers,
        vector(base, "model.norm.weight", config.hidden()),
        output,
        expertBytes);
  }

  private Layer layer(int index) {
    String prefix = "model.layers." + index + ".";
    int hidden = config.hidden();
    int queries = config.heads() * config.headSize();
    int keys = config.kvHeads() * config.headSize();
    Attention attention =
        new Attention(
            config,
            rotary,
            index,
            matrix(base, prefix + "self_attn.q_proj.weight", queries, hidden),
            matrix(base, prefix + "self_attn.k_proj.weight", keys, hidden),
            matrix(base, prefix + "self_attn.v_proj.weight", keys, hidden),
            matrix(base, prefix + "self_attn.o_proj.weight", hidden, queries));
    return new Layer(
        vector(base, prefix + "input_layernorm.weight", hidden),
        attention,
        vector(base, prefix + "post_attention_layernorm.weight", hidden),
        block(index, base.blocks().get(index)));
  }

  private SparseBlock block(int index, MoeBlock block) {
    Weights router = matrix(base, block.routerWeight(), config.experts(), config.hidden());
    boolean merged = replaced.tensors().containsKey(CompactNames.map(block.name()));
    int[] map = merged ? map(block) : IntStream.range(0, block.experts()).toArray();
    int left = IntStream.of(map).max().orElse(SparseBlock.MASKED) + 1;
    List<Expert> experts = new ArrayList<>(left);
    for (int expert = 0; expert < left; expert++) {
      experts.add(
          merged
              ? compact(block, expert)
              : new Expert(
                  original(block, expert, Role.GATE),
                  original(block, expert, Role.UP),
                  original(block, expert, Role.DOWN)));
    }
    return new SparseBlock(
        index, config.topK(), config.hidden(), config.width(), router, map, experts);
  }

  private int[] map(MoeBlock block) {
    String name = CompactNames.map(block.name());
    requireShape(replaced, name, config.experts());
    int[] map = replaced.ints(name);
    expertBytes += replaced.tensors().get(name).bytes();
    long open = IntStream.of(map).filter(group -> group != SparseBlock.MASKED).count();
    if (open < config.topK()) {
      throw new CheckpointException(
          "%s: %s: leaves %d router outputs unmasked, each token needs %d"
              .formatted(where, name, open, config.topK()));
    }
    if (IntStream.of(map).anyMatch(group -> group < SparseBlock.MASKED)) {
      throw new CheckpointException(where + ": " + name + ": holds a group below -1");
    }
    return map;
  }

  private Linear original(MoeBlock block, int expert, Role role) {
    float[] values = base.expert(block, expert, role);
    expertBytes += (long) values.length * base.expertDType(block, role).bytes();
    return new Linear.Dense(
        compute.weights(rows(role), columns(role), buffer -> buffer.put(values)));
  }

  private Expert compact(MoeBlock block, int group) {
    int width = width(block, group);
    return new Expert(
        compact(block, group, Role.GATE, width),
        compact(block, group, Role.UP, width),
        compact(block, group, Role.DOWN, width));
  }

  /** A group may have fewer hidden neurons than the original experts. */
  private int width(MoeBlock block, int group) {
    TensorInfo up = replaced.tensors().get(CompactNames.weight(block.name(), group, Role.UP));
    return up == null || up.shape().isEmpty()
        ? config.width()
        : (int) Math.min(config.width(), up.shape().get(0));
  }

  private Linear compact(MoeBlock block, int group, Role role, int width) {
    int height = role.rows(config.hidden(), width);
    int length = role.columns(config.hidden(), width);
    String whole = CompactNames.weight(block.name(), group, role);
    if (replaced.tensors().containsKey(whole)) {
      return new Linear.Dense(expertMatrix(whole, height, length));
    }
    String left = CompactNames.left(block.name(), group, role);
    String rows = CompactNames.rows(block.name(), group, role);
    TensorInfo info = replaced.tensors().get(left);
    if (info == null) {
      throw new CheckpointException(where + ": " + whole + ": is missing, and so is " + left);
    }
    int rank = info.shape().size() == 2 ? Math.toIntExact(info.shape().get(1)) : 0;
    int[] kept = new int[0];
    if (replaced.tensors().containsKey(rows)) {
      kept = replaced.ints(rows);
      expertBytes += replaced.tensors().get(rows).bytes();
      requireAscending(rows, kept, height);
    }
    String residual = CompactNames.residual(block.name(), group, role);
    return new Linear.Factored(
        expertMatrix(left, height, rank),
        expertMatrix(CompactNames.right(block.name(), group, role), rank, length),
        kept,
        kept.length == 0
            ? compute.weights(0, length, buffer -> {})
            : expertMatrix(residual, kept.length, length));
  }

  private void requireAscending(String name, int[] kept, int limit) {
    int previous = -1;
    for (int row : kept) {
      if (row <= previous || row >= limit) {
        throw new CheckpointException(
            "%s: %s: row indices have to ascend and be below %d".formatted(where, name, limit));
      }
      previous = row;
    }
  }

  private int rows(Role role) {
    return role.rows(config.hidden(), config.width());
  }

  private int columns(Role role) {
    return role.columns(config.hidden(), config.width());
  }

  private Weights expertMatrix(String name, int rows, int cols) {
    Weights matrix = matrix(replaced, name, rows, cols);
    expertBytes += replaced.tensors().get(name).bytes();
    return matrix;
  }

  private Weights matrix(TensorSource source, String name, int rows, int cols) {
    requireShape(source, name, rows, cols);
    return compute.weights(rows, cols, buffer -> buffer.put(source.floats(name)));
  }

  private float[] vector(TensorSource source, String name, long... shape) {
    requireShape(source, name, shape);
    return source.floats(name);
  }

  private void requireShape(TensorSource source, String name, long... shape) {
    TensorInfo info = source.tensors().get(name);
    if (info == null) {
      throw new CheckpointException(where + ": " + name + ": is missing");
    }
    List<Long> expected = LongStream.of(shape).boxed().toList();
    if (!info.shape().equals(expected)) {
      throw new CheckpointException(
          "%s: %s: has shape %s, config.json asks for %s"
              .formatted(where, name, info.shape(), expected));
    }
  }
}

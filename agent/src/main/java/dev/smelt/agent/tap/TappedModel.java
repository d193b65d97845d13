package dev.smelt.agent.tap;

import dev.smelt.store.checkpoint.Checkpoint;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the tap must know of the served model to read its router decisions.
 *
 * @param name the model's name in usage records
 * @param decoderLayers all layers, those without experts included; some engines send a row for each
 * @param blocks the blocks with experts, in layer order, at least one, all with the same top-k
 */
public record TappedModel(String name, int decoderLayers, List<Block> blocks) {

  /** Tokens from which a top-1 layer of only zeros means a broken tap rather than the traffic. */
  private static final int ZERO_LAYER_EVIDENCE = 16;

  /**
   * One block with experts.
   *
   * @param name the block's name in usage records
   * @param layer its layer in {@code [0, decoderLayers)}
   * @param experts router outputs
   * @param topK experts chosen for each token
   */
  public record Block(String name, int layer, int experts, int topK) {
    public Block {
      if (name.isBlank() || layer < 0 || experts < 1 || topK < 1 || topK > experts) {
        throw new IllegalArgumentException(
            "block '%s' in layer %d with top-%d of %d experts"
                .formatted(name, layer, topK, experts));
      }
    }
  }

  public TappedModel {
    blocks = List.copyOf(blocks);
    if (blocks.isEmpty()) {
      throw new IllegalArgumentException(name + ": no block with experts to tap");
    }
    Set<String> names = new HashSet<>();
    for (Block block : blocks) {
      if (!names.add(block.name())) {
        throw new IllegalArgumentException(name + ": two blocks are named " + block.name());
      }
      if (block.topK() != blocks.get(0).topK()) {
        throw new IllegalArgumentException(name + ": blocks with different top-k");
      }
    }
  }

  /** The blocks of a checkpoint. */
  public static TappedModel of(String name, Checkpoint checkpoint) {
    List<Block> blocks = new ArrayList<>();
    checkpoint
        .blocks()
        .forEach(
            block ->
                blocks.add(new Block(block.name(), block.layer(), block.experts(), block.topK())));
    checkpoint
        .untouched()
        .forEach(
            block ->
                blocks.add(
                    block.position(),
                    new Block(block.name(), block.layer(), block.experts(), block.topK())));
    int layers = checkpoint.config().path("num_hidden_layers").asInt(blocks.size());
    return new TappedModel(name, layers, blocks);
  }

  /** Experts chosen for each token, the same in every block. */
  public int topK() {
    return blocks.get(0).topK();
  }

  /** The block of that name. */
  public Optional<Block> block(String name) {
    return blocks.stream().filter(block -> block.name().equals(name)).findFirst();
  }

  /**
   * The number of layers of a payload that does not say it: that of the blocks with experts or that
   * of all layers, whichever alone divides the payload.
   */
  int layersThatDivide(int elements) throws PayloadException {
    boolean blocksDivide = elements > 0 && elements % (blocks.size() * topK()) == 0;
    boolean layersDivide = elements > 0 && elements % (Math.max(1, decoderLayers) * topK()) == 0;
    if (blocksDivide && (blocks.size() == decoderLayers || !layersDivide)) {
      return blocks.size();
    }
    if (layersDivide && !blocksDivide) {
      return decoderLayers;
    }
    throw new PayloadException(
        TapFault.WRONG_SHAPE,
        "%d ids do not tell whether they are for %d or %d layers of top-%d"
            .formatted(elements, blocks.size(), decoderLayers, topK()));
  }

  /**
   * The valid decisions of each block. Rows that name one expert twice are left out and counted.
   *
   * @throws PayloadException if layers, experts per token or ids do not fit the model, or if no
   *     valid row remains
   */
  SequenceDecisions decisions(RoutedExperts routed) throws PayloadException {
    if (routed.topK() != topK()) {
      throw new PayloadException(
          TapFault.WRONG_SHAPE,
          "top-%d where the model has top-%d".formatted(routed.topK(), topK()));
    }
    if (routed.layers() != blocks.size() && routed.layers() != decoderLayers) {
      throw new PayloadException(
          TapFault.WRONG_SHAPE,
          "%d layers where the model has %d with experts and %d in all"
              .formatted(routed.layers(), blocks.size(), decoderLayers));
    }
    if (routed.tokens() == 0) {
      throw new PayloadException(TapFault.MISSING, "no rows");
    }
    Map<Block, int[]> chosen = new HashMap<>();
    int[] lastRow = new int[blocks.stream().mapToInt(Block::experts).max().orElseThrow()];
    int droppedRows = 0;
    boolean anyZeroLayer = false;
    for (int index = 0; index < blocks.size(); index++) {
      Block block = blocks.get(index);
      int[] ids = routed.layer(routed.layers() == blocks.size() ? index : block.layer());
      droppedRows += dropRepeated(ids, block, lastRow, index * routed.tokens());
      anyZeroLayer |= allZero(ids);
      chosen.put(block, ids);
    }
    int rows = routed.tokens() * blocks.size();
    if (droppedRows == rows) {
      throw new PayloadException(
          allZero(routed.ids()) ? TapFault.ALL_ZERO : TapFault.REPEATED,
          "all %d rows name one expert several times".formatted(rows));
    }
    if (anyZeroLayer && topK() == 1 && routed.tokens() >= ZERO_LAYER_EVIDENCE) {
      throw new PayloadException(TapFault.ALL_ZERO, "a layer whose ids are all zero");
    }
    return new SequenceDecisions(routed.tokens(), chosen, droppedRows);
  }

  /**
   * Valid decisions of one sequence.
   *
   * @param tokens tokens of the sequence
   * @param chosen for each block {@code [tokens, topK]} ids, padding where a row was left out
   * @param droppedRows rows left out
   */
  record SequenceDecisions(int tokens, Map<Block, int[]> chosen, int droppedRows) {}

  /**
   * Pads the rows of a block that name one expert twice.
   *
   * @param lastRow for each expert the last row that named it, of all that were checked before
   * @param rowsBefore how many those are
   * @return rows that were padded
   */
  private static int dropRepeated(int[] ids, Block block, int[] lastRow, int rowsBefore)
      throws PayloadException {
    int dropped = 0;
    int stamp = rowsBefore;
    for (int row = 0; row < ids.length; row += block.topK()) {
      stamp++;
      boolean repeats = false;
      for (int slot = row; slot < row + block.topK(); slot++) {
        int id = ids[slot];
        if (id < RoutedExperts.PADDING || id >= block.experts()) {
          throw new PayloadException(
              TapFault.OUT_OF_RANGE,
              "%s: expert %d of %d".formatted(block.name(), id, block.experts()));
        }
        if (id != RoutedExperts.PADDING) {
          repeats |= lastRow[id] == stamp;
          lastRow[id] = stamp;
        }
      }
      if (repeats) {
        Arrays.fill(ids, row, row + block.topK(), RoutedExperts.PADDING);
        dropped++;
      }
    }
    return dropped;
  }

  private static boolean allZero(int[] ids) {
    for (int id : ids) {
      if (id != 0) {
        return false;
      }
    }
    return true;
  }
}

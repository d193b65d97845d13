package dev.smelt.agent.bench;

import dev.smelt.agent.merge.GroupMerger;
import dev.smelt.agent.merge.MergedExpert;
import dev.smelt.agent.merge.NeuronOrders;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.files.Folders;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The weighted merge of a group of bf16 experts out of a mapped checkpoint into bf16, beside the
 * rate at which as many threads of this process can read the same bytes into their caches.
 */
public final class MergeBench {

  private static final int MEMBERS = GeneratedCheckpoint.TOP_K;
  private static final int HIDDEN = 2048;
  private static final int TILE = 8192;

  /** So many that all loops are compiled before the last ones. */
  private static final int ROUNDS = 40;

  private MergeBench() {}

  /**
   * @param elements of each expert's matrices together
   */
  public static List<Figure> run(int elements) throws IOException {
    Path folder = Files.createTempDirectory("smelt-bench");
    try {
      new GeneratedCheckpoint(1, MEMBERS, HIDDEN, Math.max(1, elements / (3 * HIDDEN)))
          .write(folder);
      try (Checkpoint checkpoint = Checkpoint.open(folder)) {
        return run(checkpoint);
      }
    } finally {
      Folders.delete(folder);
    }
  }

  private static List<Figure> run(Checkpoint checkpoint) {
    MoeBlock block = checkpoint.blocks().get(0);
    List<Integer> order = new ArrayList<>(IntStream.range(0, block.width()).boxed().toList());
    Collections.shuffle(order, new Random(1));
    int[] shuffled = order.stream().mapToInt(Integer::intValue).toArray();
    NeuronOrders reordered =
        new NeuronOrders(
            IntStream.range(1, MEMBERS)
                .boxed()
                .collect(Collectors.toMap(member -> member, member -> shuffled)));
    double bytes = block.roles().stream().mapToLong(block::elements).sum() * 2.0 * block.experts();
    List<NeuronOrders> kinds = List.of(NeuronOrders.STORED, reordered);
    List<Runnable> works = new ArrayList<>();
    works.add(() -> read(checkpoint, block));
    for (NeuronOrders orders : kinds) {
      MergedExpert merged = new GroupMerger(checkpoint).merge(block, plan(block), 0, orders);
      works.add(() -> block.roles().forEach(merged::stored));
    }
    double[] seconds = Timing.fastest(ROUNDS, works);
    List<Figure> figures = new ArrayList<>();
    for (int i = 0; i < kinds.size(); i++) {
      figures.add(
          new Figure(
              "merge of %d bf16 experts, %s"
                  .formatted(
                      MEMBERS,
                      kinds.get(i) == NeuronOrders.STORED ? "stored order" : "reordered neurons"),
              bytes / seconds[i + 1] / 1e9,
              "GB/s read",
              "reading alone",
              OptionalDouble.of(bytes / seconds[0] / 1e9)));
    }
    return figures;
  }

  private static LayerPlan plan(MoeBlock block) {
    List<Double> even = Collections.nCopies(block.experts(), 1.0 / block.experts());
    return new LayerPlan(
        block.name(), List.of(0), Collections.nCopies(block.experts(), 0), even, even);
  }

  private static void read(Checkpoint checkpoint, MoeBlock block) {
    for (Role role : block.roles()) {
      List<ByteBuffer> members =
          IntStream.range(0, block.experts())
              .mapToObj(expert -> checkpoint.expertBytes(block, expert, role).orElseThrow())
              .toList();
      int tiles = members.get(0).remaining() / TILE;
      int tasks = Math.max(1, Math.min(tiles, 4 * Runtime.getRuntime().availableProcessors()));
      IntStream.range(0, tasks)
          .parallel()
          .forEach(
              task -> {
                byte[] cache = new byte[TILE];
                for (int tile = (int) ((long) task * tiles / tasks);
                    tile < (task + 1L) * tiles / tasks;
                    tile++) {
                  for (ByteBuffer member : members) {
                    member.get(tile * TILE, cache);
                  }
                }
              });
    }
  }
}

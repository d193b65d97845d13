package dev.smelt.agent.ablation;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ExpertBatch;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.MomentsRecording;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Texts of some domains, one file each. The first half of each text is for statistics, the second
 * half for evaluation; nothing ever looks at both.
 *
 * @param domains names of the files, without {@code .txt}
 * @param observed first halves
 * @param evaluated second halves
 */
record Traffic(List<String> domains, List<byte[]> observed, List<byte[]> evaluated) {

  static List<String> domains(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".txt"))
          .map(name -> name.substring(0, name.length() - ".txt".length()))
          .sorted()
          .toList();
    }
  }

  /**
   * @param most bytes of each half that are used
   */
  static Traffic read(Path folder, List<String> domains, int most) throws IOException {
    List<byte[]> observed = new ArrayList<>();
    List<byte[]> evaluated = new ArrayList<>();
    for (String domain : domains) {
      byte[] text = Files.readAllBytes(folder.resolve(domain + ".txt"));
      int half = text.length / 2;
      observed.add(Arrays.copyOf(text, Math.min(half, most)));
      evaluated.add(Arrays.copyOfRange(text, half, Math.min(text.length, half + most)));
    }
    return new Traffic(domains, observed, evaluated);
  }

  /** What the model's routers and experts do on the first halves. */
  TrafficStatistics statistics(MoeModel model, List<MoeBlock> blocks, Compute compute) {
    List<Accumulator> usage =
        blocks.stream().map(block -> Usage.accumulator(block.experts(), block.topK())).toList();
    MomentsRecording moments = new MomentsRecording(compute, blocks);
    ForwardObserver observer = new StatisticsObserver(model, usage, moments);
    run(model, observer);
    Map<String, Usage> byBlock = new HashMap<>();
    for (int layer = 0; layer < usage.size(); layer++) {
      byBlock.put(blocks.get(layer).name(), usage.get(layer).build());
    }
    Map<String, BlockMoments> momentsByBlock =
        moments.moments().stream()
            .collect(Collectors.toMap(BlockMoments::block, Function.identity()));
    return new TrafficStatistics(byBlock, Optional.of(block -> momentsByBlock.get(block.name())));
  }

  /** Runs a model on the first halves. */
  void run(MoeModel model, ForwardObserver observer) {
    for (byte[] text : observed) {
      Evaluation.score(model, text, observer, bytes -> {});
    }
  }

  private static final class StatisticsObserver implements ForwardObserver {
    private final MoeModel model;
    private final List<Accumulator> usage;
    private final MomentsRecording moments;

    StatisticsObserver(MoeModel model, List<Accumulator> usage, MomentsRecording moments) {
      this.model = model;
      this.usage = usage;
      this.moments = moments;
    }

    @Override
    public void routed(Routing routing) {
      int[] selected = Arrays.copyOf(routing.selected(), routing.tokens() * routing.topK());
      float[] weights = Arrays.copyOf(routing.weights(), selected.length);
      usage
          .get(routing.layer())
          .add(selected, weights, routing.tokens())
          .addLogits(
              Arrays.copyOf(routing.logits(), routing.tokens() * routing.experts()),
              routing.tokens());
    }

    @Override
    public void calculated(ExpertBatch batch) {
      moments.calculated(batch);
      int topK = model.config().topK();
      int hidden = model.config().hidden();
      int[] ids = new int[batch.count() * topK];
      Arrays.fill(ids, Accumulator.PADDING);
      float[] norms = new float[ids.length];
      for (int i = 0; i < batch.count(); i++) {
        ids[i * topK] = batch.expert();
        double squares = 0;
        for (int j = i * hidden; j < (i + 1) * hidden; j++) {
          squares += (double) batch.outputs()[j] * batch.outputs()[j];
        }
        norms[i * topK] = (float) (batch.gates()[i] * Math.sqrt(squares));
      }
      usage.get(batch.layer()).addOutputNorms(ids, norms, batch.count());
    }
  }
}

package dev.smelt.agent.control;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.config.GateSettings;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.Evaluation.Score;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.TensorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The check that a candidate must pass before activation: bits per byte on held-out texts, weighed
 * by how much of the live profile each text explains ({@link TextWeights}).
 *
 * <p>Where second moments of the live traffic are known, what the experts lose of their outputs on
 * it is a second figure, which needs no text ({@link OutputLoss}); without texts it decides.
 *
 * <p>The full model is scored once; what that shows of its routing on each text is what the profile
 * is compared with. Not safe for concurrent use.
 */
final class Gate {

  /** A text whose weight is under this is not worth scoring a candidate on. */
  private static final double NEGLIGIBLE = 0.02;

  /** One held-out text and how the full model does and routes on it. */
  private record Reference(String name, byte[] text, double full, List<double[]> frequency) {}

  /**
   * What the gate found.
   *
   * @param passed whether the candidate may serve
   * @param reason in words, with the figures
   * @param figures by name: bits per byte {@code full}, {@code candidate}, {@code active} where one
   *     serves, and {@code weights} by text; {@code outputLoss} and {@code activeOutputLoss},
   *     shares of the experts' output energy on live traffic, where they can be told
   */
  record Verdict(boolean passed, String reason, Map<String, Object> figures) {

    /**
     * How much the candidate loses, to compare candidates of one re-merge by: in bits per byte, or
     * in output energy where no text is scored.
     */
    double loss() {
      return (double) figures.getOrDefault("candidate", figures.getOrDefault(OUTPUT_LOSS, 0.0));
    }
  }

  private static final String OUTPUT_LOSS = "outputLoss";
  private static final String ACTIVE_OUTPUT_LOSS = "activeOutputLoss";

  private final Checkpoint checkpoint;
  private final OutputLoss outputLoss;
  private final GateSettings settings;
  private @Nullable List<Reference> references;

  Gate(Checkpoint checkpoint, GateSettings settings) {
    this.checkpoint = checkpoint;
    this.outputLoss = new OutputLoss(Compute.cpu(), checkpoint);
    this.settings = settings;
  }

  /**
   * Judges a candidate.
   *
   * @param candidate its experts under the names of the compact form
   * @param active the experts that serve now; empty while the full model serves
   * @param profile per MoE block, in layer order, the activation frequency [experts] of the live
   *     traffic
   * @param moments of the live traffic, where they are known
   * @param minimumGain the least bits per byte that it must gain over the active experts; minus
   *     infinity where it need not be as good
   * @throws IOException when a text cannot be read
   */
  Verdict judge(
      TensorSource candidate,
      Optional<TensorSource> active,
      List<double[]> profile,
      Optional<Function<MoeBlock, BlockMoments>> moments,
      double minimumGain)
      throws IOException {
    Map<String, Object> figures = new LinkedHashMap<>();
    if (moments.isPresent()) {
      outputLoss.of(candidate, moments.get()).ifPresent(loss -> figures.put(OUTPUT_LOSS, loss));
      active.ifPresent(
          serving ->
              outputLoss
                  .of(serving, moments.get())
                  .ifPresent(loss -> figures.put(ACTIVE_OUTPUT_LOSS, loss)));
    }
    return settings.texts().isEmpty()
        ? withoutText(figures, minimumGain)
        : onText(candidate, active, profile, figures, minimumGain);
  }

  private static Verdict withoutText(Map<String, Object> figures, double minimumGain) {
    String none = "no held-out text is configured (gate.texts)";
    if (!figures.containsKey(OUTPUT_LOSS)) {
      return new Verdict(true, none, figures);
    }
    double loss = (double) figures.get(OUTPUT_LOSS);
    double ofActive = (double) figures.getOrDefault(ACTIVE_OUTPUT_LOSS, Double.POSITIVE_INFINITY);
    boolean passed = loss <= ofActive || minimumGain == Double.NEGATIVE_INFINITY;
    return new Verdict(
        passed,
        format("%s; the experts lose %.1f%% of their outputs on live traffic", none, 100 * loss)
            + (ofActive == Double.POSITIVE_INFINITY
                ? ""
                : format(", the active snapshot's %.1f%%", 100 * ofActive)),
        figures);
  }

  private Verdict onText(
      TensorSource candidate,
      Optional<TensorSource> active,
      List<double[]> profile,
      Map<String, Object> figures,
      double minimumGain)
      throws IOException {
    List<Reference> scored = references();
    double[] weights =
        significant(
            TextWeights.estimate(profile, scored.stream().map(Reference::frequency).toList()));
    Map<String, Object> byText = new LinkedHashMap<>();
    double full = 0;
    for (int text = 0; text < weights.length; text++) {
      full += weights[text] * scored.get(text).full();
      if (weights[text] > 0) {
        byText.put(scored.get(text).name(), weights[text]);
      }
    }
    double ofCandidate = weighted(MoeModel.load(checkpoint, candidate), scored, weights);
    figures.put("full", full);
    figures.put("candidate", ofCandidate);
    figures.put("weights", byText);
    if (ofCandidate > full + settings.maximumLoss()) {
      return new Verdict(
          false,
          format(
              "%.3f bits per byte lose %.3f against the full model's %.3f, over the %.3f allowed"
                  + " (gate.maximumLoss)",
              ofCandidate, ofCandidate - full, full, settings.maximumLoss()),
          figures);
    }
    if (active.isEmpty()) {
      return new Verdict(
          true,
          format("%.3f bits per byte against the full model's %.3f", ofCandidate, full),
          figures);
    }
    double ofActive = weighted(MoeModel.load(checkpoint, active.get()), scored, weights);
    figures.put("active", ofActive);
    boolean gains = ofCandidate <= ofActive - minimumGain;
    return new Verdict(
        gains,
        format(
            "%.3f bits per byte %s the active snapshot's %.3f%s; the full model has %.3f",
            ofCandidate,
            gains ? "against" : "do not gain enough on",
            ofActive,
            gains ? "" : " (gate.minimumGain)",
            full),
        figures);
  }

  private List<Reference> references() throws IOException {
    if (references == null) {
      MoeModel full = MoeModel.load(checkpoint);
      List<Reference> scored = new ArrayList<>();
      for (Path file : settings.texts()) {
        byte[] text = tail(file, settings.bytesPerText());
        SelectionCounts counts = new SelectionCounts(checkpoint.blocks());
        Score score = Evaluation.score(full, text, counts, done -> {});
        scored.add(
            new Reference(
                file.getFileName().toString(), text, score.bitsPerByte(), counts.frequencies()));
      }
      references = List.copyOf(scored);
    }
    return references;
  }

  private static double weighted(MoeModel model, List<Reference> texts, double[] weights) {
    double sum = 0;
    for (int text = 0; text < weights.length; text++) {
      if (weights[text] > 0) {
        Score score =
            Evaluation.score(model, texts.get(text).text(), ForwardObserver.NONE, done -> {});
        sum += weights[text] * score.bitsPerByte();
      }
    }
    return sum;
  }

  private static double[] significant(double[] weights) {
    double[] kept = Arrays.stream(weights).map(w -> w < NEGLIGIBLE ? 0 : w).toArray();
    double total = Arrays.stream(kept).sum();
    return total == 0 ? weights : Arrays.stream(kept).map(w -> w / total).toArray();
  }

  private static byte[] tail(Path file, int bytes) throws IOException {
    byte[] text = Files.readAllBytes(file);
    if (text.length == 0) {
      throw new IOException(file + ": empty; give the gate held-out text");
    }
    return text.length <= bytes ? text : Arrays.copyOfRange(text, text.length - bytes, text.length);
  }

  private static String format(String pattern, Object... arguments) {
    return String.format(Locale.ROOT, pattern, arguments);
  }

  /** Counts how often each expert of each block is selected. */
  private static final class SelectionCounts implements ForwardObserver {

    private final List<long[]> counts = new ArrayList<>();

    SelectionCounts(List<MoeBlock> blocks) {
      for (MoeBlock block : blocks) {
        counts.add(new long[block.experts()]);
      }
    }

    @Override
    public void routed(Routing routing) {
      long[] ofLayer = counts.get(routing.layer());
      for (int pick = 0; pick < routing.tokens() * routing.topK(); pick++) {
        ofLayer[routing.selected()[pick]]++;
      }
    }

    List<double[]> frequencies() {
      return counts.stream()
          .map(
              ofLayer -> {
                double total = Arrays.stream(ofLayer).sum();
                return Arrays.stream(ofLayer).mapToDouble(count -> count / total).toArray();
              })
          .toList();
    }
  }
}

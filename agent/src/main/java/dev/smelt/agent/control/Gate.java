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
import dev.smelt.store.files.Digests;
import dev.smelt.store.snapshot.Manifest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
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
 * is compared with. A snapshot is scored once, too: its scores on all texts are among the figures
 * that its manifest keeps, so that what it would lose on any later traffic is known without running
 * it. Not safe for concurrent use.
 */
final class Gate {

  /** A weight under this is rather error than traffic. */
  private static final double NEGLIGIBLE = 0.02;

  /** One held-out text and how the full model does and routes on it. */
  private record Reference(String name, byte[] text, double full, List<double[]> frequency) {}

  /**
   * All texts.
   *
   * @param digest tells them from others, so that scores on them can be kept
   */
  private record References(List<Reference> texts, String digest) {}

  /**
   * What the gate found.
   *
   * @param passed whether the candidate may serve
   * @param reason in words, with the figures
   * @param figures by name: bits per byte {@code full}, {@code candidate}, {@code active} where one
   *     serves, {@code weights} and the candidate's {@code scores} by text, {@code texts} which
   *     tells the texts from others; {@code outputLoss} and {@code activeOutputLoss}, shares of the
   *     experts' output energy on live traffic, where they can be told
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

  private static final String TEXTS = "texts";
  private static final String SCORES = "scores";

  private final Checkpoint checkpoint;
  private final OutputLoss outputLoss;
  private final GateSettings settings;
  private final Function<Manifest, TensorSource> tensors;
  private final Map<String, double[]> scoredHere = new HashMap<>();
  private @Nullable References references;

  /**
   * @param tensors the experts of a snapshot
   */
  Gate(Checkpoint checkpoint, GateSettings settings, Function<Manifest, TensorSource> tensors) {
    this.checkpoint = checkpoint;
    this.outputLoss = new OutputLoss(Compute.cpu(), checkpoint);
    this.settings = settings;
    this.tensors = tensors;
  }

  /**
   * Judges a candidate.
   *
   * @param candidate its experts under the names of the compact form
   * @param active what serves now
   * @param traffic the live traffic
   * @param moments of it, where they are known
   * @param minimumGain the least bits per byte that it must gain over what serves; minus infinity
   *     where it need not be as good
   * @throws IOException when a text cannot be read
   */
  Verdict judge(
      TensorSource candidate,
      Manifest active,
      Shape traffic,
      Optional<Function<MoeBlock, BlockMoments>> moments,
      double minimumGain)
      throws IOException {
    Map<String, Object> figures = new LinkedHashMap<>();
    if (moments.isPresent()) {
      outputLoss.of(candidate, moments.get()).ifPresent(loss -> figures.put(OUTPUT_LOSS, loss));
      if (!active.fullModel()) {
        outputLoss
            .of(tensors.apply(active), moments.get())
            .ifPresent(loss -> figures.put(ACTIVE_OUTPUT_LOSS, loss));
      }
    }
    return settings.texts().isEmpty()
        ? withoutText(figures, minimumGain)
        : onText(score(candidate), active, traffic, figures, minimumGain);
  }

  /**
   * Judges an earlier snapshot that might serve again; it must gain {@code gate.recallGain}.
   *
   * @throws IOException when a text cannot be read
   */
  Verdict judgeAgain(Manifest earlier, Manifest active, Shape traffic) throws IOException {
    return settings.texts().isEmpty()
        ? withoutText(new LinkedHashMap<>(), 0)
        : onText(scores(earlier), active, traffic, new LinkedHashMap<>(), settings.recallGain());
  }

  /**
   * How much less an earlier snapshot would lose on some traffic than the active one, without
   * running either: from the scores that they had when they were judged.
   *
   * @return by id, bits per byte; empty if the active snapshot was not scored on these texts, and
   *     without those that were not
   * @throws IOException when a text cannot be read
   */
  Map<String, Double> gains(List<Manifest> earlier, Manifest active, Shape traffic)
      throws IOException {
    Optional<double[]> ofActive = settings.texts().isEmpty() ? Optional.empty() : known(active);
    if (ofActive.isEmpty()) {
      return Map.of();
    }
    double[] weights = weights(traffic);
    double now = weighted(ofActive.get(), weights);
    Map<String, Double> gains = new LinkedHashMap<>();
    for (Manifest snapshot : earlier) {
      known(snapshot)
          .ifPresent(scores -> gains.put(snapshot.id(), now - weighted(scores, weights)));
    }
    return gains;
  }

  /** The least bits per byte that an earlier snapshot must gain to serve again. */
  double recallGain() {
    return settings.recallGain();
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
      double[] candidate,
      Manifest active,
      Shape traffic,
      Map<String, Object> figures,
      double minimumGain)
      throws IOException {
    References known = references();
    double[] weights = weights(traffic);
    double full = weighted(fullScores(known), weights);
    double ofCandidate = weighted(candidate, weights);
    figures.put("full", full);
    figures.put("candidate", ofCandidate);
    Map<String, Double> explaining = byText(known, weights);
    explaining.values().removeIf(weight -> weight == 0);
    figures.put("weights", explaining);
    figures.put(TEXTS, known.digest());
    figures.put(SCORES, byText(known, candidate));
    if (ofCandidate > full + settings.maximumLoss()) {
      return new Verdict(
          false,
          format(
              "%.3f bits per byte lose %.3f against the full model's %.3f, over the %.3f allowed"
                  + " (gate.maximumLoss)",
              ofCandidate, ofCandidate - full, full, settings.maximumLoss()),
          figures);
    }
    if (active.fullModel()) {
      return new Verdict(
          true,
          format("%.3f bits per byte against the full model's %.3f", ofCandidate, full),
          figures);
    }
    double ofActive = weighted(scores(active), weights);
    figures.put("active", ofActive);
    boolean gains = ofCandidate <= ofActive - minimumGain;
    return new Verdict(
        gains,
        format(
            "%.3f bits per byte %s the active snapshot's %.3f%s; the full model has %.3f",
            ofCandidate,
            gains ? "against" : "do not gain enough on",
            ofActive,
            gains ? "" : format(" (%.3f wanted)", minimumGain),
            full),
        figures);
  }

  private References references() throws IOException {
    if (references == null) {
      MoeModel full = MoeModel.load(checkpoint);
      List<Reference> scored = new ArrayList<>();
      MessageDigest digest = Digests.sha256();
      for (Path file : settings.texts()) {
        byte[] text = tail(file, settings.bytesPerText());
        String name = file.getFileName().toString();
        SelectionCounts counts = new SelectionCounts(checkpoint.blocks());
        Score score = Evaluation.score(full, text, counts, done -> {});
        scored.add(new Reference(name, text, score.bitsPerByte(), counts.frequencies()));
        digest.update(name.getBytes(StandardCharsets.UTF_8));
        digest.update(Digests.sha256().digest(text));
      }
      references = new References(List.copyOf(scored), Digests.text(digest));
    }
    return references;
  }

  /** How much of some traffic each text explains. */
  private double[] weights(Shape traffic) throws IOException {
    return significant(
        TextWeights.estimate(
            checkpoint.blocks().stream()
                .map(block -> traffic.frequency().get(block.name()))
                .toList(),
            references().texts().stream().map(Reference::frequency).toList()));
  }

  /** Bits per byte on each text. */
  private double[] score(TensorSource experts) throws IOException {
    MoeModel model = MoeModel.load(checkpoint, experts);
    return references().texts().stream()
        .mapToDouble(
            text ->
                Evaluation.score(model, text.text(), ForwardObserver.NONE, done -> {})
                    .bitsPerByte())
        .toArray();
  }

  /** The scores of a snapshot; it runs only if it was never scored on these texts. */
  private double[] scores(Manifest snapshot) throws IOException {
    Optional<double[]> known = known(snapshot);
    if (known.isPresent()) {
      return known.get();
    }
    double[] scores = score(tensors.apply(snapshot));
    scoredHere.put(snapshot.id(), scores);
    return scores;
  }

  /** The scores that a snapshot had when it was judged. */
  private Optional<double[]> known(Manifest snapshot) throws IOException {
    References known = references();
    if (snapshot.fullModel()) {
      return Optional.of(fullScores(known));
    }
    if (snapshot.gate().path(TEXTS).asText().equals(known.digest())) {
      return Optional.of(
          known.texts().stream()
              .mapToDouble(text -> snapshot.gate().path(SCORES).path(text.name()).asDouble())
              .toArray());
    }
    return Optional.ofNullable(scoredHere.get(snapshot.id()));
  }

  private static double[] fullScores(References known) {
    return known.texts().stream().mapToDouble(Reference::full).toArray();
  }

  private static Map<String, Double> byText(References known, double[] values) {
    Map<String, Double> byText = new LinkedHashMap<>();
    for (int text = 0; text < values.length; text++) {
      byText.put(known.texts().get(text).name(), values[text]);
    }
    return byText;
  }

  private static double weighted(double[] scores, double[] weights) {
    double sum = 0;
    for (int text = 0; text < weights.length; text++) {
      sum += weights[text] * scores[text];
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

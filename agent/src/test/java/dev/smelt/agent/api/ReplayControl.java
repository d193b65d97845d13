package dev.smelt.agent.api;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.control.BlockTraffic;
import dev.smelt.agent.control.DriftPoint;
import dev.smelt.agent.control.Evidence;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.LoopState;
import dev.smelt.agent.control.LoopStatus;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.control.Signal;
import dev.smelt.agent.control.Trigger;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A model whose traffic, drift, re-merges and snapshots are simulated: what a browser sees of it is
 * what it would see of a real one. Frequencies are sampled from seeded distributions per domain,
 * the drift is computed from them, and the loop goes through the states of the real one.
 */
final class ReplayControl implements ModelControl {

  /** How large the model is. */
  record Shape(String model, int blocks, int experts, int topK, long expertBytes) {}

  static final Shape BYTE_MOE = new Shape("byte-moe", 4, 16, 2, 12_582_912);
  static final Shape LARGE = new Shape("qwen3-30b-a3b", 48, 128, 8, 57_982_058_496L);

  static final double THRESHOLD = 0.12;
  private static final int CONSECUTIVE = 3;
  private static final Duration WINDOW = Duration.ofSeconds(10);
  private static final double KEPT = Math.pow(0.5, 10.0 / 60);
  private static final DateTimeFormatter ID =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Shape shape;
  private final LiveEvents events;
  private final ScheduledExecutorService timer;
  private final Duration step;
  private final Random random = new Random(20_260_801);
  private final Deque<DriftPoint> drift = new ArrayDeque<>();
  private final Deque<Journal.Entry> journal = new ArrayDeque<>();
  private final List<ObjectNode> snapshots = new ArrayList<>();
  private final double[][] profile;
  private final String base;
  private double[][] baseline = new double[0][];
  private double tokens;
  private double requests;
  private double rate = 4_200;
  private String domain = "prose";
  private LoopState state;
  private Mode mode = Mode.AUTO;
  private Optional<String> active = Optional.empty();
  private Optional<String> previous = Optional.empty();
  private Optional<String> served = Optional.empty();
  private Optional<LoopStatus.Progress> progress = Optional.empty();
  private Optional<Instant> lastRemerge = Optional.empty();
  private int breached;
  private int remerges;
  private String decision = "evidence: 0 of 20,000 tokens";
  private Instant now;
  private boolean telling;

  ReplayControl(
      Shape shape,
      LiveEvents events,
      ScheduledExecutorService timer,
      Duration step,
      Instant start) {
    this.shape = shape;
    this.events = events;
    this.timer = timer;
    this.step = step;
    this.now = start;
    this.profile = new double[shape.blocks()][shape.experts()];
    this.state = new LoopState.Observing(start);
    ObjectNode base = manifest(id());
    base.put("trigger", "start").put("strategy", "none").put("bytes", 0);
    base.putObject("plan");
    base.putObject("gate");
    base.putObject("tensors");
    snapshots.add(base);
    this.base = base.path("id").asText();
    this.active = Optional.of(this.base);
    this.served = this.active;
  }

  /** Lives through a past of three domains, unseen by watchers, up to {@code end}. */
  synchronized ReplayControl withPast(Instant end) {
    Duration whole = Duration.between(now, end);
    Instant toHeaders = now.plus(whole.multipliedBy(4).dividedBy(10));
    Instant toProse = now.plus(whole.multipliedBy(7).dividedBy(10));
    while (now.plus(WINDOW).isBefore(end)) {
      domain = now.isBefore(toHeaders) ? "prose" : now.isBefore(toProse) ? "headers" : "prose";
      window();
      if (wantsRemerge()) {
        remergeAtOnce(compressed() ? Trigger.DRIFT : Trigger.FIRST);
      }
    }
    telling = true;
    events.state(status());
    events.traffic(model(), traffic());
    return this;
  }

  /** Other traffic from now on. */
  synchronized void shiftTo(String other) {
    domain = other;
  }

  synchronized void mode(Mode other) {
    mode = other;
    tellState();
  }

  /** Closes a window now and lets the policy decide. */
  void tick() {
    Trigger wanted = null;
    synchronized (this) {
      window();
      if (telling && wantsRemerge() && state instanceof LoopState.Observing) {
        wanted = Trigger.DRIFT;
        if (mode == Mode.APPROVE) {
          state = new LoopState.AwaitingApproval(now, Trigger.DRIFT, decision);
          write(Journal.Kind.STATE, "waits for a person: " + decision, Map.of());
          tellState();
          wanted = null;
        } else if (mode == Mode.OBSERVE) {
          wanted = null;
        }
      }
    }
    if (wanted != null) {
      work(wanted, decision);
    }
  }

  private boolean wantsRemerge() {
    boolean cool =
        lastRemerge.isEmpty() || lastRemerge.get().plus(Duration.ofMinutes(2)).isBefore(now);
    return cool && tokens > 20_000 && (!compressed() || breached >= CONSECUTIVE);
  }

  private boolean compressed() {
    return !active.equals(Optional.of(base));
  }

  private void window() {
    now = now.plus(WINDOW);
    rate = Math.max(900, rate * (1 + 0.06 * random.nextGaussian()) * 0.97 + 4_200 * 0.03);
    long windowTokens = Math.round(rate * 10);
    long windowRequests = Math.max(1, windowTokens / 640);
    tokens = tokens * KEPT + windowTokens;
    requests = requests * KEPT + windowRequests;
    List<DriftPoint.Layer> layers = new ArrayList<>();
    double sum = 0;
    for (int block = 0; block < shape.blocks(); block++) {
      double[] sample = sample(block, windowRequests);
      double share = Math.max(1 - KEPT, windowTokens / tokens);
      for (int expert = 0; expert < sample.length; expert++) {
        profile[block][expert] = profile[block][expert] * (1 - share) + sample[expert] * share;
      }
      if (compressed()) {
        double distance = distance(profile[block], baseline[block]);
        sum += distance * distance;
        layers.add(
            new DriftPoint.Layer(
                name(block), distance, THRESHOLD * 1.15, distance > THRESHOLD * 1.15));
      }
    }
    if (compressed()) {
      double value = Math.sqrt(sum / shape.blocks());
      boolean over = value > THRESHOLD;
      breached = over ? breached + 1 : 0;
      DriftPoint point =
          new DriftPoint(now, value, THRESHOLD, over, windowTokens, windowRequests, layers);
      drift.addLast(point);
      if (drift.size() > 5_000) {
        drift.removeFirst();
      }
      decide(
          String.format(
              Locale.ROOT,
              "drift %.3f %s %.3f; evidence %d of %d windows",
              value,
              over ? "over" : "under",
              THRESHOLD,
              breached,
              CONSECUTIVE),
          Map.of("drift", value, "threshold", THRESHOLD, "breachedWindows", breached));
      if (telling) {
        events.drift(model(), point);
      }
    } else {
      decide(
          String.format(Locale.ROOT, "evidence: %,.0f of 20,000 tokens", tokens),
          Map.of("profileTokens", Math.rint(tokens)));
    }
    if (telling) {
      events.traffic(model(), traffic());
      tellState();
    }
  }

  private void decide(String message, Map<String, Object> figures) {
    boolean worthTelling = breached > 0 || decision.contains("over") || drift.size() % 30 == 1;
    decision = message;
    if (worthTelling) {
      write(Journal.Kind.DECISION, "nothing to do: " + message, figures);
    }
  }

  private void remergeAtOnce(Trigger trigger) {
    lastRemerge = Optional.of(now);
    write(Journal.Kind.STATE, "re-merge because " + decision, Map.of());
    ObjectNode manifest = publish(trigger);
    settle(manifest.path("id").asText());
    remerges++;
  }

  private ObjectNode publish(Trigger trigger) {
    baseline = Arrays.stream(profile).map(double[]::clone).toArray(double[][]::new);
    ObjectNode manifest = manifest(id());
    ObjectNode gate = manifest.putObject("gate");
    double full = domain.equals("prose") ? 1.612 : 1.287;
    double candidate = full + 0.05 + 0.05 * random.nextDouble();
    gate.put("full", full).put("candidate", candidate);
    String message =
        String.format(
            Locale.ROOT,
            "passed: %.3f bits per byte against the full model's %.3f",
            candidate,
            full);
    if (compressed()) {
      gate.put("active", full + 0.31);
      message =
          String.format(
              Locale.ROOT,
              "passed: %.3f bits per byte against the active snapshot's %.3f; the full model has"
                  + " %.3f",
              candidate,
              full + 0.31,
              full);
    }
    gate.putObject("weights").put(domain + ".txt", 0.93).put("json.txt", 0.07);
    manifest.put("trigger", trigger.name().toLowerCase(Locale.ROOT)).put("strategy", "m-smoe");
    snapshots.add(manifest);
    write(Journal.Kind.GATE, message, Map.of("full", full, "candidate", candidate));
    return manifest;
  }

  private String id() {
    return ID.format(now) + "-" + String.format(Locale.ROOT, "%016x", random.nextLong());
  }

  private void settle(String id) {
    String from = active.orElseThrow();
    previous = active;
    active = Optional.of(id);
    served = active;
    breached = 0;
    write(
        Journal.Kind.ACTIVATION,
        "engine serves " + id + " in place of " + from,
        Map.of("from", from, "to", id));
  }

  /** The steps of a re-merge, one every {@code step}. */
  private CompletionStage<Outcome> work(Trigger trigger, String reason) {
    CompletableFuture<Outcome> done = new CompletableFuture<>();
    synchronized (this) {
      lastRemerge = Optional.of(now);
      moveTo(new LoopState.Planning(now, trigger, reason));
    }
    later(1, () -> moveTo(new LoopState.Compressing(now, trigger, reason)));
    for (int block = 0; block < shape.blocks(); block++) {
      int layer = block;
      if (shape.blocks() <= 8 || block % 8 == 0) {
        later(
            1 + (layer + 1.0) / (shape.blocks() + 1),
            () -> {
              progress =
                  Optional.of(
                      new LoopStatus.Progress("merging " + name(layer), layer + 1, shape.blocks()));
              tellState();
            });
      }
    }
    later(
        2,
        () -> {
          progress = Optional.empty();
          moveTo(new LoopState.Gating(now, trigger, reason));
        });
    later(3, () -> moveTo(new LoopState.Publishing(now, trigger, reason)));
    later(
        4,
        () -> {
          ObjectNode manifest = publish(trigger);
          remerges++;
          activateLater(manifest.path("id").asText(), reason, done);
        });
    return done;
  }

  private void activateLater(String id, String reason, CompletableFuture<Outcome> done) {
    moveTo(new LoopState.Activating(now, active.orElseThrow(), id, reason));
    later(
        1,
        () -> {
          String from = active.orElseThrow();
          settle(id);
          moveTo(new LoopState.Canary(now, from, id, now.plusSeconds(30)));
          done.complete(new Outcome.Done(id + " serves"));
        });
    later(3, () -> moveTo(new LoopState.Observing(now)));
  }

  private void moveTo(LoopState next) {
    state = next;
    write(Journal.Kind.STATE, nameOf(next), Map.of());
    tellState();
  }

  private void later(double steps, Runnable run) {
    timer.schedule(
        () -> {
          synchronized (this) {
            run.run();
          }
        },
        Math.round(step.toMillis() * steps),
        TimeUnit.MILLISECONDS);
  }

  private void tellState() {
    if (telling) {
      events.state(status());
    }
  }

  private void write(Journal.Kind kind, String message, Map<String, Object> figures) {
    Journal.Entry entry = new Journal.Entry(now, kind, message, figures);
    journal.addFirst(entry);
    if (journal.size() > 1_000) {
      journal.removeLast();
    }
    if (telling) {
      events.journal(model(), entry);
    }
  }

  @Override
  public String model() {
    return shape.model();
  }

  @Override
  public LoopState state() {
    return status().state();
  }

  @Override
  public synchronized LoopStatus status() {
    return new LoopStatus(
        shape.model(),
        state,
        mode,
        active,
        previous,
        served,
        Optional.ofNullable(drift.peekLast())
            .map(point -> new Evidence.Drift(point.value(), point.threshold())),
        breached,
        tokens,
        decision,
        progress,
        remerges,
        lastRemerge,
        shape.expertBytes(),
        compressed() ? shape.expertBytes() * 3 / 4 : shape.expertBytes());
  }

  @Override
  public synchronized List<BlockTraffic> traffic() {
    if (tokens == 0) {
      return List.of();
    }
    return IntStream.range(0, shape.blocks())
        .mapToObj(
            block ->
                new BlockTraffic(
                    name(block),
                    shape.topK(),
                    tokens,
                    requests,
                    boxed(profile[block]),
                    compressed() ? boxed(baseline[block]) : List.of()))
        .toList();
  }

  @Override
  public synchronized List<DriftPoint> drift(int most) {
    return drift.stream().skip(Math.max(0, drift.size() - most)).toList();
  }

  @Override
  public synchronized List<Journal.Entry> journal(int most) {
    return journal.stream().limit(most).toList();
  }

  @Override
  public synchronized CompletionStage<Outcome> remerge(Request request) {
    if (!(state instanceof LoopState.Observing)) {
      return refused("a re-merge waits for the state observing; this is " + nameOf(state));
    }
    said(request, "re-merge now");
    return work(Trigger.HAND, request.why());
  }

  @Override
  public synchronized CompletionStage<Outcome> approve(Request request) {
    if (!(state instanceof LoopState.AwaitingApproval proposed)) {
      return refused("nothing waits for approval");
    }
    said(request, "approved");
    return work(proposed.trigger(), proposed.reason());
  }

  @Override
  public synchronized CompletionStage<Outcome> reject(Request request) {
    if (!(state instanceof LoopState.AwaitingApproval)) {
      return refused("nothing waits for approval");
    }
    said(request, "rejected");
    lastRemerge = Optional.of(now);
    moveTo(new LoopState.Observing(now));
    return done("rejected");
  }

  @Override
  public synchronized CompletionStage<Outcome> pause(Request request) {
    if (!(state instanceof LoopState.Observing)) {
      return refused("only an observing loop can be paused; this is " + nameOf(state));
    }
    said(request, "paused");
    moveTo(new LoopState.Paused(now, request.who(), request.why()));
    return done("paused");
  }

  @Override
  public synchronized CompletionStage<Outcome> resume(Request request) {
    if (!(state instanceof LoopState.Paused)) {
      return refused("the loop is not paused");
    }
    said(request, "resumed");
    moveTo(new LoopState.Observing(now));
    return done("resumed");
  }

  @Override
  public synchronized void signal(Signal signal) {
    write(Journal.Kind.CANARY, signal.name() + " is " + signal.value(), Map.of());
  }

  @Override
  public synchronized CompletionStage<Outcome> activate(String snapshot, Request request) {
    if (snapshots.stream().noneMatch(manifest -> manifest.path("id").asText().equals(snapshot))) {
      return refused("no snapshot is called '" + snapshot + "'");
    }
    said(request, "activate " + snapshot);
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    activateLater(snapshot, request.why(), outcome);
    return outcome;
  }

  @Override
  public synchronized CompletionStage<Outcome> rollback(
      Optional<String> snapshot, Request request) {
    Optional<String> target = snapshot.or(() -> previous);
    return target.isEmpty()
        ? refused("there is no earlier snapshot")
        : activate(target.get(), request);
  }

  private void said(Request request, String what) {
    write(
        Journal.Kind.OPERATOR,
        request.who() + ": " + what + " (" + request.why() + ")",
        Map.of("who", request.who(), "why", request.why()));
  }

  private static CompletionStage<Outcome> refused(String message) {
    return CompletableFuture.completedFuture(new Outcome.Refused(message));
  }

  private static CompletionStage<Outcome> done(String message) {
    return CompletableFuture.completedFuture(new Outcome.Done(message));
  }

  private static String nameOf(LoopState state) {
    return ApiJson.text(state).replaceAll(".*\"state\":\"([a-z-]+)\".*", "$1");
  }

  /** The snapshots as the store tells them, newest first. */
  synchronized List<ObjectNode> manifests() {
    List<ObjectNode> newest = new ArrayList<>(snapshots);
    newest.sort(Comparator.comparing((ObjectNode node) -> node.path("id").asText()).reversed());
    return newest;
  }

  synchronized Map<String, String> refs() {
    Map<String, String> refs = new java.util.TreeMap<>();
    refs.put("base", base);
    active.ifPresent(id -> refs.put("active", id));
    previous.ifPresent(id -> refs.put("previous", id));
    return refs;
  }

  private ObjectNode manifest(String id) {
    ObjectNode manifest = JSON.createObjectNode();
    manifest.put("id", id).put("version", 1).put("model", shape.model());
    active.ifPresent(parent -> manifest.put("parent", parent));
    manifest.put("createdAt", now.toString()).put("publisher", "smelt");
    manifest.put("checkpointDigest", "sha256:" + "0".repeat(64));
    ObjectNode plan = manifest.putObject("plan");
    plan.put("strategy", "m-smoe").put("similarity", "co-activation").put("budget", "exact");
    plan.put("averageGroups", shape.experts() * 0.75);
    ArrayNode layers = plan.putArray("layers");
    ObjectNode tensors = JSON.createObjectNode();
    for (int block = 0; block < shape.blocks(); block++) {
      layer(layers.addObject(), block, tensors);
    }
    manifest.putObject("baseline");
    manifest.put("bytes", shape.expertBytes() * 3 / 4 + random.nextInt(100_000));
    manifest.set("tensors", tensors);
    return manifest;
  }

  private void layer(ObjectNode entry, int block, ObjectNode tensors) {
    int groups = shape.experts() * 3 / 4 + (block % 3 - 1) * shape.experts() / 16;
    double[] frequency = profile[block];
    List<Integer> byUse =
        IntStream.range(0, shape.experts())
            .boxed()
            .sorted(Comparator.comparingDouble(expert -> -frequency[expert]))
            .toList();
    int[] labels = new int[shape.experts()];
    for (int rank = 0; rank < byUse.size(); rank++) {
      labels[byUse.get(rank)] =
          rank < groups ? rank : (byUse.get(rank) * 7 + block) % Math.max(1, groups / 2);
    }
    entry.put("block", name(block)).put("experts", shape.experts());
    byUse.subList(0, groups).forEach(entry.putArray("dominant")::add);
    Arrays.stream(labels).forEach(entry.putArray("labels")::add);
    Arrays.stream(frequency).forEach(entry.putArray("frequency")::add);
    for (int group = 0; group < groups; group++) {
      for (String role : List.of("gate", "up", "down")) {
        ObjectNode tensor =
            tensors.putObject(name(block) + ".groups." + group + "." + role + ".weight");
        tensor.put("dtype", "BF16");
        tensor.putArray("shape").add(256).add(128);
        int of = group;
        String members =
            IntStream.range(0, labels.length)
                .filter(expert -> labels[expert] == of)
                .mapToObj(expert -> expert + ":" + Math.round(frequency[expert] * 50))
                .collect(Collectors.joining(","));
        long hash = 1_000_003L * (block + name(block) + role + members).hashCode();
        tensor.put("digest", "sha256:" + String.format(Locale.ROOT, "%064x", hash));
        tensor.put("bytes", 65_536);
      }
    }
  }

  private String name(int block) {
    return "model.layers." + block + ".block_sparse_moe";
  }

  private double[] sample(int block, long windowRequests) {
    double[] of = distribution(domain, block);
    double[] sample = new double[of.length];
    double sum = 0;
    for (int expert = 0; expert < of.length; expert++) {
      double noise = random.nextGaussian() * Math.sqrt(of[expert] / windowRequests / 12);
      sample[expert] = Math.max(1e-5, of[expert] + noise);
      sum += sample[expert];
    }
    for (int expert = 0; expert < of.length; expert++) {
      sample[expert] /= sum;
    }
    return sample;
  }

  private double[] distribution(String of, int block) {
    Random common = new Random(31L * block + 7);
    Random own = new Random(31L * of.hashCode() + block);
    double[] weights = new double[shape.experts()];
    double sum = 0;
    for (int expert = 0; expert < weights.length; expert++) {
      weights[expert] = Math.exp(0.55 * common.nextGaussian() + 0.6 * own.nextGaussian());
      sum += weights[expert];
    }
    for (int expert = 0; expert < weights.length; expert++) {
      weights[expert] /= sum;
    }
    return weights;
  }

  private static double distance(double[] left, double[] right) {
    double divergence = 0;
    for (int expert = 0; expert < left.length; expert++) {
      double middle = (left[expert] + right[expert]) / 2;
      divergence += part(left[expert], middle) / 2 + part(right[expert], middle) / 2;
    }
    return Math.sqrt(Math.max(0, divergence));
  }

  private static double part(double share, double middle) {
    return share <= 0 ? 0 : share * Math.log(share / middle) / Math.log(2);
  }

  private static List<Double> boxed(double[] values) {
    return Arrays.stream(values).map(value -> Math.round(value * 1e6) / 1e6).boxed().toList();
  }
}

package dev.smelt.agent;

import dev.smelt.agent.api.AgentApi;
import dev.smelt.agent.api.HealthChecks;
import dev.smelt.agent.api.HealthChecks.Finding;
import dev.smelt.agent.api.LiveEvents;
import dev.smelt.agent.api.ManagementApi;
import dev.smelt.agent.api.Metrics;
import dev.smelt.agent.api.StoreMount;
import dev.smelt.agent.broker.EmbeddedBroker;
import dev.smelt.agent.config.EngineSettings.Swap;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.SmeltConfig;
import dev.smelt.agent.control.DriftPoint;
import dev.smelt.agent.control.EngineActivator;
import dev.smelt.agent.control.Fence;
import dev.smelt.agent.control.LedModel;
import dev.smelt.agent.control.LoopState;
import dev.smelt.agent.control.LoopStatus;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.control.ModelLoop;
import dev.smelt.agent.election.Election;
import dev.smelt.agent.election.FencedActivator;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.agent.swap.LivePlace;
import dev.smelt.agent.tap.Combiner;
import dev.smelt.agent.tap.CombinerSettings;
import dev.smelt.agent.tap.EngineDialect;
import dev.smelt.agent.tap.IngestTap;
import dev.smelt.agent.tap.ProxySettings;
import dev.smelt.agent.tap.ProxyTap;
import dev.smelt.agent.tap.TapStatus;
import dev.smelt.agent.tap.TappedModel;
import dev.smelt.agent.tap.UsageProducer;
import dev.smelt.agent.traffic.TrafficMonitor;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.topology.Topics;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The whole agent in this process: proxy taps, broker where none is configured, streams, control
 * loops, store and API. Of several agents with one Kafka, one data folder and the same models, one
 * runs streams and loops, the others only tap.
 *
 * <p>Failure semantics: {@link #start} either returns with everything running or closes what it had
 * started and throws with a message that names the part. {@link #close} ends in the opposite order;
 * engines go on serving what they serve.
 */
public final class Agent implements AutoCloseable {

  private static final Logger LOGGER = LoggerFactory.getLogger(Agent.class);
  private static final Duration STEP_LIMIT = Duration.ofSeconds(30);

  /** As other agents show it. */
  private static final String NAME = hostName() + "-" + ProcessHandle.current().pid();

  private final SmeltConfig config;
  private final Clock clock = Clock.systemUTC();
  private final Deque<AutoCloseable> started = new ArrayDeque<>();
  private final Map<String, ServedModel> models = new LinkedHashMap<>();
  private volatile Optional<TrafficMonitor> traffic = Optional.empty();
  private volatile Optional<Election> election = Optional.empty();
  private final HealthChecks health = new HealthChecks();
  private final Metrics metrics = new Metrics(health, clock);
  private final LiveEvents events = new LiveEvents(metrics, clock);
  private final SnapshotStore store;
  private URI api = URI.create("http://127.0.0.1");
  private URI management = URI.create("http://127.0.0.1");

  private Agent(SmeltConfig config) {
    this.config = config;
    this.store = SnapshotStore.open(config.data().resolve("store"), clock);
  }

  /**
   * Starts an agent.
   *
   * @throws IOException if a folder cannot be used
   * @throws RuntimeException if a checkpoint is missing or damaged, Kafka does not answer, or a
   *     port is busy; the message names it
   */
  public static Agent start(SmeltConfig config) throws IOException {
    Agent agent = new Agent(config);
    try {
      agent.startParts();
      return agent;
    } catch (IOException | RuntimeException e) {
      agent.close();
      throw e;
    }
  }

  /** Where the API and the dashboard are. */
  public URI api() {
    return api;
  }

  /** Where health and metrics are. */
  public URI management() {
    return management;
  }

  /** Where clients of a model send their requests. */
  public URI proxy(String model) {
    return models.get(model).address();
  }

  /** The loop of a model. */
  public ModelControl control(String model) {
    return models.get(model).control();
  }

  /** The store of all models. */
  public SnapshotStore store() {
    return store;
  }

  @Override
  public void close() {
    closeAll(started);
  }

  private static void closeAll(Deque<AutoCloseable> parts) {
    while (!parts.isEmpty()) {
      AutoCloseable part = parts.pop();
      try {
        part.close();
      } catch (Exception e) {
        LOGGER.atWarn().setCause(e).log("a part of the agent did not close cleanly");
      }
    }
  }

  private void startParts() throws IOException {
    FreeSpace.require(config.data(), FreeSpace.LEAST_TO_START_BYTES);
    closing(store);
    closing(metrics);
    if (config.management().otlp().enabled()) {
      metrics.send(config.management().otlp());
    }
    Map<ModelSettings, Checkpoint> checkpoints = new LinkedHashMap<>();
    for (ModelSettings model : config.models()) {
      checkpoints.put(model, closing(Checkpoint.open(model.checkpoint())));
      EngineReach.require(model.engine());
    }
    Vertx vertx = Vertx.vertx(new VertxOptions().setPreferNativeTransport(true));
    closing(() -> await("vertx", vertx.close()));
    String kafka = kafka();
    TrafficMonitor.createTopics(kafka, config.kafka());
    metrics.kafkaLag(() -> traffic.map(TrafficMonitor::lag).orElse(0.0));
    metrics.storeBytes(this::storedBytes);
    health.register("stream", this::streamHealth);
    health.register("leader", this::leaderHealth);
    UsageProducer usage =
        closing(
            UsageProducer.connect(
                TrafficMonitor.client(kafka, config.kafka()),
                Topics.ROUTING,
                clock,
                metrics.registry()));
    IngestTap ingest = closing(new IngestTap(vertx, metrics.registry()));
    for (Map.Entry<ModelSettings, Checkpoint> model : checkpoints.entrySet()) {
      models.put(
          model.getKey().name(),
          startModel(vertx, model.getKey(), model.getValue(), usage, ingest));
    }
    List<ModelControl> controls =
        models.values().stream().<ModelControl>map(ServedModel::control).toList();
    AgentApi agentApi =
        new AgentApi(
            vertx,
            config.api(),
            controls,
            events,
            health,
            metrics,
            List.of(new StoreMount(vertx, config.api(), store, controls), ingest::mount));
    api =
        URI.create(
            "%s://%s:%d"
                .formatted(
                    config.api().tls() == null ? "http" : "https",
                    config.api().host(),
                    await("api", agentApi.start())));
    closing(() -> await("api", agentApi.close()));
    lead(kafka);
    ManagementApi managementApi = new ManagementApi(vertx, config.management(), health, metrics);
    management = address(config.management().host(), await("management", managementApi.start()));
    closing(() -> await("management", managementApi.close()));
  }

  /** Bytes of all blobs that a snapshot of any model names, each counted once. */
  private long storedBytes() {
    Map<String, Long> blobs = new HashMap<>();
    for (String model : store.models()) {
      for (Manifest snapshot : store.snapshots(model)) {
        snapshot.tensors().values().forEach(tensor -> blobs.put(tensor.digest(), tensor.bytes()));
      }
    }
    return blobs.values().stream().mapToLong(Long::longValue).sum();
  }

  private String kafka() {
    return config.kafka().embedded()
        ? closing(EmbeddedBroker.start(config.data().resolve("kafka"))).bootstrapServers()
        : config.kafka().bootstrapServers();
  }

  /** An agent with a broker of its own is alone; others elect one of them. */
  private void lead(String kafka) throws IOException {
    if (config.kafka().embedded()) {
      closing(new Leading(kafka, Fence.OPEN, config.data().resolve("streams")));
      return;
    }
    Path streams = config.data().resolve("streams").resolve(NAME);
    election =
        Optional.of(
            closing(
                Election.join(
                    TrafficMonitor.client(kafka, config.kafka()),
                    config.streams().applicationId(),
                    NAME,
                    config.data(),
                    clock,
                    fence -> new Leading(kafka, fence, streams))));
  }

  private String leader() {
    return election.flatMap(Election::leader).orElse("nobody yet");
  }

  private Finding leaderHealth() {
    if (election.isEmpty() || election.get().leads()) {
      return new Finding.Well("this agent acts");
    }
    return election
        .get()
        .failure()
        .<Finding>map(reason -> new Finding.Ill("elected, but cannot act: " + reason))
        .orElseGet(() -> new Finding.Well("standing by; " + leader() + " acts"));
  }

  private Finding streamHealth() {
    if (traffic.isEmpty()) {
      return election.isPresent()
          ? new Finding.Well("the agent that acts counts")
          : new Finding.Ill("not counting yet; see the log if this stays");
    }
    return traffic.get().running()
        ? new Finding.Well("counting")
        : new Finding.Ill("not counting yet; see the log if this stays");
  }

  /** The stream and the loops, while this agent acts. */
  private final class Leading implements AutoCloseable {

    private final Deque<AutoCloseable> parts = new ArrayDeque<>();

    Leading(String kafka, Fence fence, Path streams) throws IOException {
      try {
        TrafficMonitor monitor =
            TrafficMonitor.start(
                kafka, config.kafka(), config.streams(), streams, Agent.this::drifted);
        parts.push(monitor);
        for (ServedModel model : models.values()) {
          start(model, monitor, fence);
        }
        traffic = Optional.of(monitor);
      } catch (IOException | RuntimeException e) {
        close();
        throw e;
      }
    }

    private void start(ServedModel model, TrafficMonitor monitor, Fence fence) throws IOException {
      Path folder = folder(model.settings());
      EngineActivator activator =
          new EngineActivator(
              SwapDrivers.of(model.settings().engine(), model.live()),
              store,
              model.checkpoint(),
              model.settings().engine().format(),
              folder.resolve("served"),
              clock);
      ModelLoop loop =
          new ModelLoop(
              model.settings(),
              model.checkpoint(),
              store,
              monitor.of(model.settings().name()),
              model.moments(),
              new FencedActivator(activator, fence, folder),
              model::figures,
              fence,
              folder,
              clock,
              () -> events.state(model.control().status()),
              entry -> events.journal(model.settings().name(), entry));
      parts.push(loop);
      model.control().lead(loop);
      parts.push(model.control()::standBy);
      loop.start();
    }

    @Override
    public void close() {
      traffic = Optional.empty();
      closeAll(parts);
    }
  }

  private ServedModel startModel(
      Vertx vertx,
      ModelSettings model,
      Checkpoint checkpoint,
      UsageProducer usage,
      IngestTap ingest)
      throws IOException {
    LiveMoments live =
        LiveMoments.open(
            momentsFolder(model),
            model.name(),
            checkpoint.blocks(),
            config.streams().halfLife(),
            clock);
    metrics.moments(model.name(), () -> live.tokens(LiveMoments.Span.ALL));
    ingest.takeMoments(model.name(), live);
    LedModel control = new LedModel(model, checkpoint, store, this::leader, clock);
    metrics.watch(control);
    metrics.storeSnapshots(model.name(), () -> store.snapshots(model.name()).size());
    health.register("engine " + model.name(), () -> engineHealth(control));

    TappedModel tapped = TappedModel.of(model.name(), checkpoint);
    Combiner combiner =
        new Combiner(
            tapped,
            CombinerSettings.defaults(),
            model.engine().urls().get(0) + " through " + NAME,
            clock,
            usage);
    ingest.take(tapped, combiner, control::servedSnapshot);
    ProxyTap proxy =
        new ProxyTap(
            vertx,
            proxySettings(model),
            tapped,
            control::servedSnapshot,
            combiner,
            clock,
            metrics.registry());
    Optional<LivePlace> place =
        model.engine().swap() == Swap.REPLACE
            ? Optional.of(closing(followLivePlace(model, proxy)))
            : Optional.empty();
    int port = await("proxy of " + model.name(), proxy.listen());
    closing(() -> await("proxy", proxy.close()));
    health.register("tap " + model.name(), () -> tapHealth(proxy.status()));
    return new ServedModel(
        model, checkpoint, live, control, proxy, place, address(model.proxy().host(), port));
  }

  private LivePlace followLivePlace(ModelSettings model, ProxyTap proxy) throws IOException {
    List<URI> places = List.of(model.engine().urls().get(0), model.engine().blueGreen().other());
    return LivePlace.follow(folder(model).resolve("live"), NAME, places, proxy.engines());
  }

  private Path folder(ModelSettings model) {
    return config.data().resolve("models").resolve(model.name());
  }

  /** Each agent keeps what is posted to it. */
  private Path momentsFolder(ModelSettings model) {
    Path all = folder(model).resolve("moments");
    return config.kafka().embedded() ? all : all.resolve(hostName() + "-" + model.proxy().port());
  }

  private void drifted(Drift drift) {
    ServedModel model = models.get(drift.model());
    if (model == null || !(drift instanceof ModelDrift)) {
      return;
    }
    LedModel loop = model.control();
    List<DriftPoint> newest = loop.drift(1);
    if (!newest.isEmpty()) {
      events.drift(drift.model(), newest.get(0));
    }
    events.traffic(drift.model(), loop.traffic());
    events.state(loop.status());
  }

  private static Finding engineHealth(ModelControl model) {
    LoopStatus status = model.status();
    if (status.state() instanceof LoopState.Degraded degraded) {
      return new Finding.Ill(degraded.reason());
    }
    return new Finding.Well(
        status.state() instanceof LoopState.Standby
            ? status.decision()
            : "serves " + status.served().orElse("nothing known yet"));
  }

  private static Finding tapHealth(TapStatus status) {
    return status.state() instanceof TapStatus.Resting resting
        ? new Finding.Ill(resting.description())
        : new Finding.Well(status.state().description());
  }

  private static ProxySettings proxySettings(ModelSettings model) {
    return ProxySettings.of(
        model.proxy().host(),
        model.proxy().port(),
        model.engine().urls(),
        switch (model.engine().dialect()) {
          case SGLANG -> EngineDialect.SGLANG;
          case VLLM -> EngineDialect.VLLM;
        },
        model.proxy().share());
  }

  private static String hostName() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException nameless) {
      return "localhost";
    }
  }

  private static URI address(String host, int port) {
    return URI.create("http://" + host + ":" + port);
  }

  private <T extends AutoCloseable> T closing(T part) {
    started.push(part);
    return part;
  }

  private static <T> T await(String part, Future<T> future) {
    try {
      return future
          .toCompletionStage()
          .toCompletableFuture()
          .get(STEP_LIMIT.toSeconds(), TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw new IllegalStateException(
          e.getCause().getMessage() == null ? part + " failed" : e.getCause().getMessage(), e);
    } catch (TimeoutException e) {
      throw new IllegalStateException(part + " did not answer within " + STEP_LIMIT, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(part + " was interrupted", e);
    }
  }
}

package dev.smelt.agent.tap;

import dev.smelt.agent.config.Listening;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.json.JsonObject;
import io.vertx.httpproxy.Body;
import io.vertx.httpproxy.HttpProxy;
import io.vertx.httpproxy.ProxyContext;
import io.vertx.httpproxy.ProxyInterceptor;
import io.vertx.httpproxy.ProxyOptions;
import io.vertx.httpproxy.ProxyResponse;
import java.net.URI;
import java.time.Clock;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * A reverse proxy in front of an OpenAI-compatible engine. Everything passes untouched, except that
 * on a share of the completion requests the engine is asked for routed experts, which are read and
 * cut out of the answer again.
 *
 * <p>Failure semantics: nothing behind the proxy can fail a request. Where the engine refuses to be
 * asked, the request is sent again as the client wrote it; where an answer cannot be read, it
 * passes as it is; decisions that cannot be combined in time are dropped. Each has a {@link
 * TapFault} in the metrics, and after several in a row the tap rests for a while. A request fails
 * only where the engine does not answer (502 with the reason) or where it asks for a websocket
 * (501).
 */
public final class ProxyTap {

  private static final String LEASE = "smelt.lease";

  /** Further ones would only wait for each other: serving a request takes a fraction of an ms. */
  private static final int MOST_LOOPS = 8;

  /** As much as a socket hands over at once, so that a body is not cut into pieces anew. */
  private static final int CHUNK_BYTES = 64 << 10;

  /** Vert.x lets event loops share a free port under any negative number of their own. */
  private static final AtomicInteger FREE_PORT = new AtomicInteger();

  private final Vertx vertx;
  private final ProxySettings settings;
  private final Engines engines;
  private final TapHealth health;
  private final TapIntake intake;
  private final ProxyInterceptor tapping;
  private final Timer requests;
  private final ProxyTraffic.Counter traffic = new ProxyTraffic.Counter();
  private Optional<String> deployment = Optional.empty();

  /**
   * @param servedSnapshot the id of the snapshot that the engine serves at the moment, empty for
   *     the uncompressed model
   * @param combiner takes the decisions; the proxy keeps it ticking and flushes it when it closes
   */
  public ProxyTap(
      Vertx vertx,
      ProxySettings settings,
      TappedModel model,
      Supplier<String> servedSnapshot,
      Combiner combiner,
      Clock clock,
      MeterRegistry metrics) {
    this.vertx = vertx;
    this.settings = settings;
    engines = new Engines(settings.engines());
    health =
        new TapHealth(model.name(), settings.faultsBeforeRest(), settings.rest(), clock, metrics);
    intake = new TapIntake(model, combiner, health, settings, metrics);
    Tags tags = Tags.of("model", model.name());
    requests = Timer.builder("smelt_proxy_requests").tags(tags).register(metrics);
    metrics.gauge("smelt_proxy_in_flight", tags, engines, Engines::inFlight);
    tapping = new TapInterceptor(settings, health, intake::offer, traffic::scored, servedSnapshot);
  }

  /**
   * Starts to listen, on several event loops, each with its own connections to the engine: a
   * request stays on one thread.
   *
   * @return the port, or a failure that names the address and what to do
   */
  public Future<Integer> listen() {
    int loops = Math.min(MOST_LOOPS, Runtime.getRuntime().availableProcessors());
    int port = settings.port() > 0 ? settings.port() : -FREE_PORT.incrementAndGet();
    AtomicInteger listening = new AtomicInteger();
    return vertx
        .deployVerticle(
            () ->
                context ->
                    serve(port, (settings.connections() + loops - 1) / loops)
                        .onSuccess(server -> listening.set(server.actualPort())),
            new DeploymentOptions().setInstances(loops))
        .map(
            id -> {
              deployment = Optional.of(id);
              return listening.get();
            })
        .recover(
            failure ->
                Future.failedFuture(
                    Listening.failed("proxy", settings.host(), settings.port(), failure)));
  }

  private Future<HttpServer> serve(int port, int connections) {
    HttpClient client =
        vertx.createHttpClient(
            new HttpClientOptions()
                .setConnectTimeout((int) settings.connectTimeout().toMillis())
                .setMaxChunkSize(CHUNK_BYTES),
            new PoolOptions().setHttp1MaxSize(connections));
    HttpProxy proxy =
        HttpProxy.reverseProxy(new ProxyOptions().setSupportWebSocket(false), client)
            .origin(context -> connect(client, context))
            .addInterceptor(new Routing())
            .addInterceptor(tapping);
    return vertx
        .createHttpServer(
            new HttpServerOptions()
                .setHost(settings.host())
                .setPort(port)
                .setMaxChunkSize(CHUNK_BYTES))
        .requestHandler(request -> accept(request, proxy))
        .listen();
  }

  /** Stops to listen, lets the decisions that wait be combined, and flushes the combiner. */
  public Future<Void> close() {
    return deployment
        .map(vertx::undeploy)
        .orElse(Future.succeededFuture())
        .eventually(
            () ->
                vertx.executeBlocking(
                    () -> {
                      intake.close();
                      return null;
                    }));
  }

  public TapStatus status() {
    return health.status();
  }

  /** What went through so far. */
  public ProxyTraffic traffic() {
    return traffic.read();
  }

  /** The replicas behind the proxy, which a swap may exchange. */
  public Engines engines() {
    return engines;
  }

  private void accept(HttpServerRequest request, HttpProxy proxy) {
    if (request.headers().contains(HttpHeaders.UPGRADE, "websocket", true)) {
      request
          .response()
          .setStatusCode(501)
          .putHeader(HttpHeaders.CONTENT_TYPE, "application/json")
          .end(error("websockets are not passed on; connect to the engine directly"));
      return;
    }
    announceUnknownLength(request);
    long begin = System.nanoTime();
    request.response().bodyEndHandler(end -> answered(request, System.nanoTime() - begin));
    proxy.handle(request);
  }

  private void answered(HttpServerRequest request, long nanos) {
    requests.record(nanos, TimeUnit.NANOSECONDS);
    if (request.method().equals(HttpMethod.POST)) {
      traffic.answered(request.response().getStatusCode(), nanos);
    }
  }

  /**
   * An HTTP/2 request may have a body of unknown length without saying so in a header; the engine
   * speaks HTTP/1.1, where it must.
   */
  private static void announceUnknownLength(HttpServerRequest request) {
    boolean mayHaveBody =
        !request.method().equals(HttpMethod.GET) && !request.method().equals(HttpMethod.HEAD);
    if (request.version() == HttpVersion.HTTP_2
        && mayHaveBody
        && !request.headers().contains(HttpHeaders.CONTENT_LENGTH)) {
      request.headers().set(HttpHeaders.TRANSFER_ENCODING, "chunked");
    }
  }

  private static Buffer error(String reason) {
    return new JsonObject()
        .put("error", new JsonObject().put("message", "smelt: " + reason).put("type", "proxy"))
        .toBuffer();
  }

  private Future<HttpClientRequest> connect(HttpClient client, ProxyContext context) {
    URI engine = context.get(LEASE, Engines.Lease.class).engine();
    boolean tls = engine.getScheme().equals("https");
    int port = engine.getPort() >= 0 ? engine.getPort() : tls ? 443 : 80;
    return client.request(new RequestOptions().setHost(engine.getHost()).setPort(port).setSsl(tls));
  }

  /** Chooses the replica, and says so where it does not answer. */
  private final class Routing implements ProxyInterceptor {

    @Override
    public Future<ProxyResponse> handleProxyRequest(ProxyContext context) {
      Engines.Lease lease = engines.lease();
      context.set(LEASE, lease);
      context.request().proxiedRequest().response().closeHandler(closed -> lease.release());
      String prefix = lease.engine().getRawPath();
      if (prefix != null && prefix.length() > 1) {
        context.request().setURI(prefix + context.request().getURI());
      }
      return context
          .sendRequest()
          .recover(failure -> Future.succeededFuture(unanswered(context, lease, failure)));
    }

    @Override
    public Future<Void> handleProxyResponse(ProxyContext context) {
      return context
          .sendResponse()
          .onComplete(done -> context.get(LEASE, Engines.Lease.class).release());
    }

    private ProxyResponse unanswered(ProxyContext context, Engines.Lease lease, Throwable failure) {
      Buffer reason =
          error("%s does not answer: %s".formatted(lease.engine(), failure.getMessage()));
      return context
          .request()
          .release()
          .response()
          .setStatusCode(502)
          .setBody(Body.body(Body.body(reason).stream(), reason.length(), "application/json"));
    }
  }
}

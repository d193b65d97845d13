package dev.smelt.store.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.http.Caller.Role;
import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SignedManifest;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.StoreJson;
import dev.smelt.store.snapshot.StoredTensor;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.Route;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.BodyHandler;
import io.vertx.ext.web.handler.HttpException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * The store's part of the HTTP API, described by {@value #DOCUMENT}. Work on the disk happens on a
 * bounded pool of its own.
 */
public final class StoreRoutes {

  /** Resource that holds the OpenAPI document. */
  public static final String DOCUMENT = "/dev/smelt/store/http/openapi.json";

  /** Media type of a manifest as it is stored, byte for byte. */
  static final String STORED_MANIFEST = "application/vnd.smelt.manifest+json";

  static final String SIGNATURE_HEADER = "Smelt-Signature";
  private static final long REF_BODY_BYTES = 64 << 10;
  private static final int WORKERS = 8;

  private final Vertx vertx;
  private final Router router;
  private final SnapshotStore store;
  private final ActiveRef active;
  private final AccessControl access;
  private final StoreLimits limits;
  private final WorkerExecutor workers;
  private final AtomicInteger uploads = new AtomicInteger();
  private final AtomicInteger subscribers = new AtomicInteger();

  private StoreRoutes(
      Vertx vertx,
      Router router,
      SnapshotStore store,
      ActiveRef active,
      AccessControl access,
      StoreLimits limits) {
    this.vertx = vertx;
    this.router = router;
    this.store = store;
    this.active = active;
    this.access = access;
    this.limits = limits;
    this.workers = vertx.createSharedWorkerExecutor("smelt-store", WORKERS, 10, TimeUnit.MINUTES);
  }

  /**
   * Adds the routes to a router.
   *
   * @param active moves the ref that engines follow
   */
  public static void mount(
      Vertx vertx,
      Router router,
      SnapshotStore store,
      ActiveRef active,
      AccessControl access,
      StoreLimits limits) {
    new StoreRoutes(vertx, router, store, active, access, limits).mount();
  }

  private void mount() {
    // Called within a handler, so that a body is read only after the caller was let through.
    BodyHandler small = BodyHandler.create(false).setBodyLimit(REF_BODY_BYTES);
    BodyHandler large = BodyHandler.create(false).setBodyLimit(limits.manifestBytes());
    String model = "/v1/models/:model";
    on(HttpMethod.GET, "/v1/store/openapi.json", Role.VIEWER).handler(this::document);
    on(HttpMethod.GET, model + "/snapshots", Role.VIEWER).handler(this::list);
    on(HttpMethod.POST, model + "/snapshots", Role.OPERATOR)
        .handler(context -> large.handle(context))
        .handler(this::publish);
    on(HttpMethod.GET, model + "/snapshots/:id", Role.VIEWER).handler(this::show);
    on(HttpMethod.GET, model + "/snapshots/:id/tensors/:tensor", Role.VIEWER).handler(this::tensor);
    on(HttpMethod.GET, model + "/blobs/:digest", Role.VIEWER).handler(this::blob);
    on(HttpMethod.PUT, model + "/blobs/:digest", Role.OPERATOR).handler(this::upload);
    on(HttpMethod.GET, model + "/refs", Role.VIEWER).handler(this::refs);
    on(HttpMethod.GET, model + "/refs/:name", Role.VIEWER).handler(this::ref);
    on(HttpMethod.PUT, model + "/refs/:name", Role.OPERATOR)
        .handler(context -> small.handle(context))
        .handler(this::moveRef);
    on(HttpMethod.POST, model + "/rollback", Role.OPERATOR)
        .handler(context -> small.handle(context))
        .handler(this::rollback);
    on(HttpMethod.GET, model + "/diff", Role.VIEWER).handler(this::diff);
    on(HttpMethod.GET, model + "/log", Role.VIEWER).handler(this::log);
    on(HttpMethod.GET, model + "/events", Role.VIEWER).handler(this::events);
  }

  private Route on(HttpMethod method, String path, Role role) {
    return router
        .route(method, path)
        .handler(StoreRoutes::secure)
        .handler(access.require(role))
        .failureHandler(StoreRoutes::failed);
  }

  private static void secure(RoutingContext context) {
    context
        .response()
        .putHeader("X-Content-Type-Options", "nosniff")
        .putHeader("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        .putHeader("Referrer-Policy", "no-referrer");
    context.next();
  }

  private static void failed(RoutingContext context) {
    Throwable failure = context.failure();
    if (failure != null) {
      Problem.of(failure).send(context);
    } else {
      String detail =
          context.statusCode() == 413 ? "the body is longer than the limit" : "not acceptable";
      Problem.of(context.statusCode(), detail).send(context);
    }
  }

  /** Runs work that may block and hands its result to the event loop. */
  private <T> void blocking(RoutingContext context, Callable<T> work, Handler<T> then) {
    workers
        .executeBlocking(work, false)
        .onSuccess(
            result -> {
              try {
                then.handle(result);
              } catch (RuntimeException e) {
                context.fail(e);
              }
            })
        .onFailure(context::fail);
  }

  private static void json(RoutingContext context, int status, ObjectNode body) {
    context
        .response()
        .setStatusCode(status)
        .putHeader("Content-Type", "application/json")
        .putHeader("Cache-Control", "no-store")
        .end(body.toString());
  }

  private void document(RoutingContext context) {
    blocking(
        context,
        StoreRoutes::openApi,
        bytes ->
            context
                .response()
                .putHeader("Content-Type", "application/json")
                .end(Buffer.buffer(bytes)));
  }

  static byte[] openApi() throws IOException {
    try (InputStream in = StoreRoutes.class.getResourceAsStream(DOCUMENT)) {
      if (in == null) {
        throw new IllegalStateException(DOCUMENT + " is not packaged");
      }
      return in.readAllBytes();
    }
  }

  private void list(RoutingContext context) {
    String model = context.pathParam("model");
    int limit = limit(context);
    blocking(
        context,
        () -> {
          List<Manifest> all = store.snapshots(model);
          ObjectNode body = StoreJson.newObject();
          ArrayNode items = body.putArray("snapshots");
          for (int i = all.size() - 1; i >= Math.max(0, all.size() - limit); i--) {
            ObjectNode item = StoreJson.manifest(all.get(i));
            item.remove(List.of("tensors", "plan", "baseline"));
            item.put("tensorCount", all.get(i).tensors().size());
            items.add(item);
          }
          body.put("total", all.size());
          return body;
        },
        body -> json(context, 200, body));
  }

  private void publish(RoutingContext context) {
    String model = context.pathParam("model");
    byte[] bytes = body(context);
    String publisher = AccessControl.caller(context).name();
    blocking(
        context,
        () -> {
          ObjectNode node = StoreJson.object(bytes);
          ManifestDraft draft = StoreJson.draft(node, publisher);
          Map<String, StoredTensor> tensors = StoreJson.tensors(node.path("tensors"));
          try (Publication publication = store.begin(model)) {
            tensors.forEach(publication::reuse);
            return publication.commit(draft);
          }
        },
        manifest -> {
          context
              .response()
              .putHeader("Location", "/v1/models/" + model + "/snapshots/" + manifest.id());
          json(context, 201, StoreJson.manifest(manifest));
        });
  }

  private void show(RoutingContext context) {
    String model = context.pathParam("model");
    String id = context.pathParam("id");
    if (STORED_MANIFEST.equals(context.request().getHeader("Accept"))) {
      blocking(
          context, () -> store.signedManifest(model, id), signed -> sendStored(context, signed));
    } else {
      blocking(
          context,
          () -> StoreJson.manifest(store.manifest(model, id)),
          body -> json(context, 200, body));
    }
  }

  private static void sendStored(RoutingContext context, SignedManifest signed) {
    HttpServerResponse response = context.response();
    signed.signature().ifPresent(text -> response.putHeader(SIGNATURE_HEADER, text));
    response.putHeader("Content-Type", STORED_MANIFEST).end(Buffer.buffer(signed.bytes()));
  }

  private void tensor(RoutingContext context) {
    String model = context.pathParam("model");
    String id = context.pathParam("id");
    String name = context.pathParam("tensor");
    blocking(
        context,
        () -> {
          StoredTensor tensor = store.manifest(model, id).tensors().get(name);
          if (tensor == null) {
            throw new HttpException(404, "snapshot " + id + " has no such tensor");
          }
          return new Content(store.blob(tensor.digest()), tensor.bytes(), tensor);
        },
        content -> {
          context
              .response()
              .putHeader("Smelt-DType", content.tensor().dtype().name())
              .putHeader("Smelt-Shape", content.tensor().shape().toString());
          send(context, content.file(), content.bytes(), content.tensor().digest());
        });
  }

  private record Content(Path file, long bytes, StoredTensor tensor) {}

  private void blob(RoutingContext context) {
    String digest = context.pathParam("digest");
    blocking(
        context,
        () -> {
          Path file = store.blob(digest);
          return Map.entry(file, Files.size(file));
        },
        blob -> send(context, blob.getKey(), blob.getValue(), digest));
  }

  /** Sends a blob or a range of it from the page cache, without copying it through the process. */
  private static void send(RoutingContext context, Path file, long length, String digest) {
    String tag = "\"" + digest + "\"";
    HttpServerResponse response =
        context
            .response()
            .putHeader("Content-Type", "application/octet-stream")
            .putHeader("ETag", tag)
            .putHeader("Accept-Ranges", "bytes")
            .putHeader("Cache-Control", "private, max-age=31536000, immutable");
    if (tag.equals(context.request().getHeader("If-None-Match"))) {
      response.setStatusCode(304).end();
      return;
    }
    String header = context.request().getHeader("Range");
    String condition = context.request().getHeader("If-Range");
    ByteRange range =
        header == null || condition != null && !condition.equals(tag)
            ? new ByteRange.Whole()
            : ByteRange.of(header, length);
    if (range instanceof ByteRange.Unsatisfiable) {
      response.putHeader("Content-Range", "bytes */" + length);
      Problem.of(416, "the blob has " + length + " bytes").send(context);
    } else if (range instanceof ByteRange.Part part) {
      response
          .setStatusCode(206)
          .putHeader("Content-Range", "bytes " + part.first() + "-" + part.last() + "/" + length)
          .sendFile(file.toString(), part.first(), part.length())
          .onFailure(context::fail);
    } else {
      response.sendFile(file.toString(), 0, length).onFailure(context::fail);
    }
  }

  private void upload(RoutingContext context) {
    String digest = context.pathParam("digest");
    context.request().pause();
    if (uploads.incrementAndGet() > limits.uploads()) {
      uploads.decrementAndGet();
      refuseUpload(context, 503, "too many uploads at once; try again later");
      return;
    }
    long stated = statedLength(context);
    if (stated > limits.blobBytes()) {
      uploads.decrementAndGet();
      refuseUpload(
          context, 413, "the blob is longer than the limit of " + limits.blobBytes() + " bytes");
      return;
    }
    new BlobUpload(context.request(), workers, limits.blobBytes())
        .into(store, digest)
        .onComplete(
            received -> {
              uploads.decrementAndGet();
              if (received.succeeded()) {
                json(context, 201, StoreJson.newObject().put("digest", received.result()));
              } else {
                Problem problem = Problem.of(received.cause());
                refuseUpload(context, problem.status(), problem.detail());
              }
            });
  }

  private static long statedLength(RoutingContext context) {
    String header = context.request().getHeader("Content-Length");
    return header == null ? 0 : Long.parseLong(header);
  }

  /** What is left of a refused body is not read: the connection ends with the answer. */
  private static void refuseUpload(RoutingContext context, int status, String detail) {
    context.response().putHeader("Connection", "close");
    Problem.of(status, detail).send(context);
    context.request().connection().close();
  }

  private void refs(RoutingContext context) {
    String model = context.pathParam("model");
    blocking(
        context,
        () -> {
          ObjectNode body = StoreJson.newObject();
          ArrayNode items = body.putArray("refs");
          store.refs(model).forEach(ref -> items.add(ref(ref)));
          return body;
        },
        body -> json(context, 200, body));
  }

  private void ref(RoutingContext context) {
    String model = context.pathParam("model");
    String name = context.pathParam("name");
    blocking(
        context,
        () ->
            ref(
                store
                    .ref(model, name)
                    .orElseThrow(
                        () -> new HttpException(404, "model " + model + " has no ref " + name))),
        body -> json(context, 200, body));
  }

  private static ObjectNode ref(Ref ref) {
    ObjectNode node = StoreJson.newObject();
    node.put("name", ref.name());
    node.put("snapshot", ref.snapshot());
    ref.replaced().ifPresent(replaced -> node.put("replaced", replaced));
    node.put("sequence", ref.sequence());
    node.put("at", ref.at().toString());
    return node;
  }

  private void moveRef(RoutingContext context) {
    String model = context.pathParam("model");
    String name = context.pathParam("name");
    byte[] bytes = body(context);
    blocking(
        context,
        () -> {
          ObjectNode body = StoreJson.object(bytes);
          if (!body.has("expected")) {
            throw new HttpException(
                422,
                "'expected' is missing; give the snapshot that the ref points to now, or null");
          }
          Optional<String> expected = StoreJson.optionalText(body, "expected");
          Reason reason = reason(context, body);
          if (body.path("snapshot").isNull()) {
            return store.removeRef(model, name, StoreJson.text(body, "expected"), reason);
          }
          String target = StoreJson.text(body, "snapshot");
          return name.equals(Ref.ACTIVE)
              ? active.move(model, expected, target, reason)
              : store.moveRef(model, name, expected, target, reason);
        },
        update -> sendUpdate(context, update));
  }

  private void rollback(RoutingContext context) {
    String model = context.pathParam("model");
    byte[] bytes = body(context);
    blocking(
        context,
        () -> {
          ObjectNode body = StoreJson.object(bytes);
          Optional<String> to = StoreJson.optionalText(body, "snapshot");
          return active.rollback(model, to, reason(context, body));
        },
        update -> sendUpdate(context, update));
  }

  private static Reason reason(RoutingContext context, ObjectNode body) {
    return new Reason(
        AccessControl.caller(context).name(),
        StoreJson.text(body, "reason"),
        Optional.ofNullable(context.request().getHeader("Idempotency-Key")));
  }

  private static void sendUpdate(RoutingContext context, RefUpdate update) {
    if (update instanceof RefUpdate.Moved moved) {
      json(context, 200, StoreJson.entry(moved.entry()));
    } else if (update instanceof RefUpdate.Conflict conflict) {
      ObjectNode members = StoreJson.newObject();
      members.put("actual", conflict.actual().orElse(null));
      Problem problem =
          Problem.of(409, "the ref points elsewhere than expected; look at it and decide again");
      new Problem(problem.status(), problem.title(), problem.detail(), members).send(context);
    } else if (update instanceof RefUpdate.Unknown unknown) {
      Problem.of(
              500,
              "it is not known whether the move will last: " + unknown.cause() + "; look again")
          .send(context);
    }
  }

  private void diff(RoutingContext context) {
    String model = context.pathParam("model");
    String from = parameter(context, "from");
    String to = parameter(context, "to");
    blocking(
        context,
        () -> StoreJson.diff(store.diff(model, from, to)),
        body -> json(context, 200, body));
  }

  private void log(RoutingContext context) {
    String model = context.pathParam("model");
    long after = number(context.request().getParam("after"), 0, Long.MAX_VALUE, 0);
    int limit = limit(context);
    blocking(
        context,
        () -> {
          ObjectNode body = StoreJson.newObject();
          ArrayNode entries = body.putArray("entries");
          store.log(model).stream()
              .filter(entry -> entry.sequence() > after)
              .limit(limit)
              .forEach(entry -> entries.add(StoreJson.entry(entry)));
          return body;
        },
        body -> json(context, 200, body));
  }

  private void events(RoutingContext context) {
    String model = context.pathParam("model");
    String seen = context.request().getHeader("Last-Event-ID");
    String asked = seen != null ? seen : context.request().getParam("after");
    long after = number(asked, 0, Long.MAX_VALUE, -1);
    if (subscribers.incrementAndGet() > limits.subscribers()) {
      subscribers.decrementAndGet();
      Problem.of(503, "too many event streams; try again later").send(context);
      return;
    }
    workers
        .executeBlocking(() -> store.log(model), false)
        .onSuccess(
            log -> {
              long start = after >= 0 ? after : newest(log);
              new EventStream(vertx, workers, store, model, start, context.response())
                  .start(subscribers::decrementAndGet);
            })
        .onFailure(
            failure -> {
              subscribers.decrementAndGet();
              context.fail(failure);
            });
  }

  private static long newest(List<LogEntry> log) {
    return log.isEmpty() ? 0 : log.get(log.size() - 1).sequence();
  }

  private int limit(RoutingContext context) {
    return (int) number(context.request().getParam("limit"), 1, limits.page(), limits.page());
  }

  private static long number(@Nullable String text, long least, long most, long absent) {
    if (text == null) {
      return absent;
    }
    try {
      long value = Long.parseLong(text);
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Falls through to the same answer as a number out of range.
    }
    throw new HttpException(400, "a number from " + least + " to " + most + " is expected");
  }

  private static String parameter(RoutingContext context, String name) {
    String value = context.request().getParam(name);
    if (value == null) {
      throw new HttpException(400, "the parameter '" + name + "' is missing");
    }
    return value;
  }

  private static byte[] body(RoutingContext context) {
    Buffer body = context.body().buffer();
    return body == null ? new byte[0] : body.getBytes();
  }
}

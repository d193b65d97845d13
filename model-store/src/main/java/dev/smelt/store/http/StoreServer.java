package dev.smelt.store.http;

import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.ext.web.Router;

/** The store's API on a port of its own. */
public final class StoreServer {

  private final HttpServer server;

  private StoreServer(HttpServer server) {
    this.server = server;
  }

  /**
   * Starts to listen.
   *
   * @return fails if the port is taken
   * @throws IllegalArgumentException if the address may not be exposed like that; see {@link
   *     Listen}
   */
  public static Future<StoreServer> start(
      Vertx vertx, SnapshotStore store, Listen listen, AccessControl access) {
    return start(vertx, store, listen, access, StoreLimits.DEFAULT);
  }

  static Future<StoreServer> start(
      Vertx vertx, SnapshotStore store, Listen listen, AccessControl access, StoreLimits limits) {
    HttpServerOptions options = listen.options(access);
    Router router = Router.router(vertx);
    StoreRoutes.mount(vertx, router, store, ActiveRef.of(store), access, limits);
    router.errorHandler(404, context -> Problem.of(404, "no such resource").send(context));
    router.errorHandler(405, context -> Problem.of(405, "not this method").send(context));
    return vertx.createHttpServer(options).requestHandler(router).listen().map(StoreServer::new);
  }

  /** The port that is listened on. */
  public int port() {
    return server.actualPort();
  }

  public Future<Void> close() {
    return server.close();
  }
}

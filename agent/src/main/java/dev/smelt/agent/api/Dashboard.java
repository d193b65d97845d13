package dev.smelt.agent.api;

import io.vertx.core.WorkerExecutor;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

/** The files of the dashboard, from the class path. They hold no data and need no token. */
final class Dashboard {

  private static final Pattern FILE =
      Pattern.compile("/(?:[a-z0-9][a-z0-9-]{0,30}/){0,3}[A-Za-z0-9][A-Za-z0-9.-]{0,60}");

  private final WorkerExecutor reading;
  private final Map<String, Asset> assets = new ConcurrentHashMap<>();

  Dashboard(WorkerExecutor reading) {
    this.reading = reading;
  }

  void mount(Router router) {
    router.get().handler(this::serve);
  }

  private void serve(RoutingContext request) {
    String path = request.normalizedPath();
    String file = path.equals("/") ? "/index.html" : path;
    if (!FILE.matcher(file).matches()) {
      request.next();
      return;
    }
    reading
        .executeBlocking(() -> asset(file), false)
        .onSuccess(asset -> asset.ifPresentOrElse(found -> send(request, found), request::next))
        .onFailure(request::fail);
  }

  private Optional<Asset> asset(String file) throws IOException {
    Asset known = assets.get(file);
    if (known != null) {
      return Optional.of(known);
    }
    try (InputStream stream = Dashboard.class.getResourceAsStream("/dashboard" + file)) {
      if (stream == null) {
        return Optional.empty();
      }
      Asset asset = Asset.of(file, stream.readAllBytes());
      assets.put(file, asset);
      return Optional.of(asset);
    }
  }

  private static void send(RoutingContext request, Asset asset) {
    HttpServerResponse response =
        request
            .response()
            .putHeader("ETag", asset.tag())
            .putHeader("Cache-Control", "no-cache")
            .putHeader("Vary", "Accept-Encoding");
    if (asset.tag().equals(request.request().getHeader("If-None-Match"))) {
      response.setStatusCode(304).end();
      return;
    }
    response.putHeader("Content-Type", asset.contentType());
    String accepted = request.request().getHeader("Accept-Encoding");
    if (accepted != null && accepted.contains("gzip")) {
      response.putHeader("Content-Encoding", "gzip").end(asset.compressed());
    } else {
      response.end(asset.plain());
    }
  }
}

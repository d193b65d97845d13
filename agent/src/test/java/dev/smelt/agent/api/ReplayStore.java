package dev.smelt.agent.api;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** The snapshots of {@link ReplayControl}s under the addresses of the store. */
final class ReplayStore implements Consumer<Router> {

  private final List<ReplayControl> models;

  ReplayStore(List<ReplayControl> models) {
    this.models = models;
  }

  @Override
  public void accept(Router router) {
    for (ReplayControl model : models) {
      String base = "/v1/models/" + model.model();
      router
          .get(base + "/snapshots")
          .handler(request -> send(request, Map.of("snapshots", summaries(model))));
      router
          .get(base + "/snapshots/:id")
          .handler(
              request ->
                  model.manifests().stream()
                      .filter(manifest -> isNamed(manifest, request.pathParam("id")))
                      .findFirst()
                      .ifPresentOrElse(found -> send(request, found), request::next));
      router.get(base + "/refs").handler(request -> send(request, Map.of("refs", model.refs())));
    }
  }

  private static List<ObjectNode> summaries(ReplayControl model) {
    return model.manifests().stream()
        .map(manifest -> manifest.deepCopy().remove(List.of("tensors", "plan", "baseline")))
        .toList();
  }

  private static boolean isNamed(ObjectNode manifest, String id) {
    return manifest.path("id").asText().equals(id);
  }

  private static void send(RoutingContext request, Object body) {
    request
        .response()
        .putHeader("Content-Type", "application/json")
        .end(Buffer.buffer(ApiJson.bytes(body)));
  }
}

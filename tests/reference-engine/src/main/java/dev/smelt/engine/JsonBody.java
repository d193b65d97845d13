package dev.smelt.engine;

import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.Json;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.RoutingContext;

/** A request's body as JSON. */
final class JsonBody {

  private JsonBody() {}

  /** The object that the body is; an empty one where there is no body. */
  static JsonObject of(RoutingContext context) {
    Buffer body = context.body().buffer();
    if (body == null || body.length() == 0) {
      return new JsonObject();
    }
    if (Json.decodeValue(body) instanceof JsonObject object) {
      return object;
    }
    throw RequestException.status(400, "the body has to be a JSON object");
  }
}

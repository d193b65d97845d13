package dev.smelt.agent.api;

import io.vertx.ext.web.RoutingContext;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Why a request was not served, as RFC 9457 has it.
 *
 * @param status the HTTP status
 * @param kind the last part of the problem's type, {@code urn:smelt:problem:KIND}
 * @param title the same for all problems of the kind
 * @param detail what happened this time and what to do about it
 */
record Problem(int status, String kind, String title, String detail) {

  static Problem invalid(String detail) {
    return new Problem(400, "invalid-request", "The request cannot be understood", detail);
  }

  static Problem unauthenticated() {
    return new Problem(
        401,
        "no-token",
        "A token is needed",
        "send the header 'Authorization: Bearer TOKEN' with a token of the setting api.tokens");
  }

  static Problem forbidden(String detail) {
    return new Problem(403, "forbidden", "Not allowed", detail);
  }

  static Problem unknown(String detail) {
    return new Problem(404, "not-found", "There is no such thing", detail);
  }

  static Problem refused(String detail) {
    return new Problem(409, "refused", "Refused; nothing was changed", detail);
  }

  static Problem uncertain(String detail) {
    return new Problem(502, "outcome-unknown", "It is not known what the engine serves", detail);
  }

  static Problem overloaded(String detail) {
    return new Problem(503, "overloaded", "Too many at once", detail);
  }

  static Problem internal() {
    return new Problem(
        500, "internal", "The agent failed", "the agent's log has the cause; try again later");
  }

  void send(RoutingContext context) {
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("type", "urn:smelt:problem:" + kind);
    body.put("title", title);
    body.put("status", status);
    body.put("detail", detail);
    body.put("instance", context.request().path());
    context
        .response()
        .setStatusCode(status)
        .putHeader("Content-Type", "application/problem+json")
        .end(io.vertx.core.buffer.Buffer.buffer(ApiJson.bytes(body)));
  }
}

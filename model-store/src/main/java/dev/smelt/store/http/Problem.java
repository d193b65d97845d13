package dev.smelt.store.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.snapshot.StoreException;
import dev.smelt.store.snapshot.StoreJson;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.HttpException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An error as a problem document (RFC 9457).
 *
 * @param status of HTTP
 * @param title the status in words
 * @param detail one line for a person
 * @param members further members, or an empty object
 */
public record Problem(int status, String title, String detail, ObjectNode members) {

  /** Media type of problem documents. */
  public static final String MEDIA_TYPE = "application/problem+json";

  private static final Logger LOG = LoggerFactory.getLogger(Problem.class);

  public static Problem of(int status, String detail) {
    return new Problem(
        status, HttpResponseStatus.valueOf(status).reasonPhrase(), detail, StoreJson.newObject());
  }

  /** What an exception means to a caller; the unexpected is logged and not shown. */
  public static Problem of(Throwable failure) {
    if (failure instanceof StoreException refused) {
      return of(status(refused), String.valueOf(refused.getMessage()));
    }
    if (failure instanceof HttpException http) {
      return of(
          http.getStatusCode(),
          http.getPayload() == null ? "the request is not acceptable" : http.getPayload());
    }
    LOG.atError().setCause(failure).log("A request failed unexpectedly");
    return of(500, "an unexpected failure; the server's log has the details");
  }

  private static int status(StoreException refused) {
    if (refused instanceof StoreException.InvalidName) {
      return 400;
    }
    if (refused instanceof StoreException.NotFound) {
      return 404;
    }
    if (refused instanceof StoreException.Rejected) {
      return 422;
    }
    return refused instanceof StoreException.Failed ? 507 : 500;
  }

  /** Ends the response with this problem, or resets it if it has begun. */
  public void send(RoutingContext context) {
    HttpServerResponse response = context.response();
    if (response.ended() || response.closed()) {
      return;
    }
    if (response.headWritten()) {
      response.reset();
      return;
    }
    ObjectNode node = StoreJson.newObject();
    node.put("type", "about:blank");
    node.put("title", title);
    node.put("status", status);
    node.put("detail", detail);
    node.setAll(members);
    response
        .setStatusCode(status)
        .putHeader("Content-Type", MEDIA_TYPE)
        .putHeader("Cache-Control", "no-store")
        .end(node.toString());
  }
}

package dev.smelt.agent.api;

import dev.smelt.store.http.Problem;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.HostAndPort;
import io.vertx.ext.web.RoutingContext;
import java.util.Set;

/**
 * Keeps other web sites from using a person's browser against the agent: no foreign names for a
 * loopback address (DNS rebinding), no requests from foreign pages, no foreign content in ours.
 */
final class BrowserGuard {

  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]", "::1");

  private static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
          + " connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none';"
          + " form-action 'none'; frame-ancestors 'none'";

  private final boolean loopbackOnly;

  BrowserGuard(boolean loopbackOnly) {
    this.loopbackOnly = loopbackOnly;
  }

  void check(RoutingContext context) {
    context
        .response()
        .putHeader("Content-Security-Policy", POLICY)
        .putHeader("X-Content-Type-Options", "nosniff")
        .putHeader("Referrer-Policy", "no-referrer")
        .putHeader("Cross-Origin-Opener-Policy", "same-origin")
        .putHeader("Cross-Origin-Resource-Policy", "same-origin");
    HostAndPort authority = context.request().authority();
    if (authority == null) {
      Problem.of(400, "the request has no valid Host header").send(context);
    } else if (loopbackOnly && !LOOPBACK.contains(authority.host())) {
      Problem.of(
              421,
              "this agent answers on this machine only; use http://127.0.0.1 or http://localhost")
          .send(context);
    } else if (fromForeignPage(context.request(), authority)) {
      Problem.of(403, "requests from pages of other sites are not served").send(context);
    } else {
      context.next();
    }
  }

  private static boolean fromForeignPage(HttpServerRequest request, HostAndPort authority) {
    String origin = request.getHeader("Origin");
    if (origin == null) {
      return false;
    }
    String own = authority.toString();
    return !origin.equals("http://" + own) && !origin.equals("https://" + own);
  }
}

package dev.smelt.agent.api;

import dev.smelt.agent.config.ApiSettings.Role;
import dev.smelt.agent.config.ApiSettings.Token;
import io.vertx.core.http.HttpMethod;
import io.vertx.ext.web.RoutingContext;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Who calls and what they may do. Without tokens everybody who reaches the port is an operator,
 * which the settings allow on loopback only.
 */
final class Access {

  /** Who calls. */
  record Caller(String name, Role role) {
    boolean operates() {
      return role == Role.OPERATOR;
    }
  }

  private static final Caller LOCAL = new Caller("local", Role.OPERATOR);
  private static final String SCHEME = "Bearer ";
  private static final int LONGEST = 4096;
  private static final String KEY = "smelt.caller";

  private final List<Known> tokens;

  Access(List<Token> tokens) {
    this.tokens =
        tokens.stream()
            .map(token -> new Known(digest(token.secret()), new Caller(token.name(), token.role())))
            .toList();
  }

  /** Lets known callers through; everything but reading needs an operator. */
  void check(RoutingContext context) {
    Caller caller = caller(context.request().getHeader("Authorization"));
    if (caller == null) {
      context.response().putHeader("WWW-Authenticate", "Bearer realm=\"smelt\"");
      Problem.unauthenticated().send(context);
      return;
    }
    if (!reads(context.request().method()) && !caller.operates()) {
      Problem.forbidden(
              "'" + caller.name() + "' is a viewer; this needs a token with role operator")
          .send(context);
      return;
    }
    context.put(KEY, caller);
    context.next();
  }

  boolean tokensRequired() {
    return !tokens.isEmpty();
  }

  static Caller of(RoutingContext context) {
    return context.get(KEY);
  }

  private static boolean reads(HttpMethod method) {
    return method.equals(HttpMethod.GET) || method.equals(HttpMethod.HEAD);
  }

  /** Compares with every token, whichever matches, so that the time taken tells nothing. */
  private @Nullable Caller caller(@Nullable String authorization) {
    if (tokens.isEmpty()) {
      return LOCAL;
    }
    if (authorization == null
        || authorization.length() > LONGEST
        || !authorization.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
      return null;
    }
    byte[] offered = digest(authorization.substring(SCHEME.length()).trim());
    Caller found = null;
    for (Known known : tokens) {
      if (MessageDigest.isEqual(known.digest(), offered)) {
        found = known.caller();
      }
    }
    return found;
  }

  private static byte[] digest(String secret) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(secret.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @SuppressWarnings("ArrayRecordComponent")
  private record Known(byte[] digest, Caller caller) {}
}

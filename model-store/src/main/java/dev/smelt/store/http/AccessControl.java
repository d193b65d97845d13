package dev.smelt.store.http;

import dev.smelt.store.files.Digests;
import io.vertx.core.Handler;
import io.vertx.ext.web.RoutingContext;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Decides who may call what, by bearer tokens (RFC 6750).
 *
 * <p>Without tokens everybody on this machine may do everything; requests that name another host
 * are refused then, so that no web page can reach the API by giving its own name a loopback
 * address.
 */
public final class AccessControl {

  private static final String CALLER = "smelt.caller";
  private static final String SCHEME = "bearer ";
  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]", "::1");

  private static final class Known {
    private final byte[] digest;
    private final Caller caller;

    Known(String secret, Caller caller) {
      this.digest = sha256(secret);
      this.caller = caller;
    }

    boolean matches(byte[] presented) {
      return MessageDigest.isEqual(digest, presented);
    }
  }

  private final List<Known> known = new ArrayList<>();

  private AccessControl(Map<String, Caller> tokens) {
    tokens.forEach((secret, caller) -> known.add(new Known(secret, caller)));
  }

  /** Everybody on this machine may do everything. */
  public static AccessControl local() {
    return new AccessControl(Map.of());
  }

  /**
   * Only holders of these tokens may call.
   *
   * @param tokens secret to holder
   */
  public static AccessControl tokens(Map<String, Caller> tokens) {
    if (tokens.isEmpty()) {
      throw new IllegalArgumentException("no token; use local()");
    }
    return new AccessControl(tokens);
  }

  /** Whether calls need a token. */
  public boolean needsToken() {
    return !known.isEmpty();
  }

  /** Lets callers pass who may do what the role says; others get a problem document. */
  public Handler<RoutingContext> require(Caller.Role role) {
    return context -> {
      Optional<Caller> caller = needsToken() ? holder(context) : neighbour(context);
      if (caller.isEmpty()) {
        context.response().putHeader("WWW-Authenticate", "Bearer");
        Problem.of(
                needsToken() ? 401 : 403,
                needsToken()
                    ? "a valid bearer token is needed"
                    : "without tokens only requests to a loopback host name are answered")
            .send(context);
      } else if (!caller.get().role().covers(role)) {
        Problem.of(403, "the token of " + caller.get().name() + " may only read").send(context);
      } else {
        context.put(CALLER, caller.get());
        context.next();
      }
    };
  }

  /** Who calls; only behind {@link #require}. */
  public static Caller caller(RoutingContext context) {
    Caller caller = context.get(CALLER);
    if (caller == null) {
      throw new IllegalStateException("the route is not behind access control");
    }
    return caller;
  }

  private static Optional<Caller> neighbour(RoutingContext context) {
    return context.request().authority() != null
            && LOOPBACK.contains(context.request().authority().host().toLowerCase(Locale.ROOT))
        ? Optional.of(Caller.LOCAL)
        : Optional.empty();
  }

  private Optional<Caller> holder(RoutingContext context) {
    String header = context.request().getHeader("Authorization");
    if (header == null || !header.toLowerCase(Locale.ROOT).startsWith(SCHEME)) {
      return Optional.empty();
    }
    byte[] presented = sha256(header.substring(SCHEME.length()).strip());
    @Nullable Caller match = null;
    for (Known candidate : known) {
      // No early exit: the time must not tell which token is nearly right.
      if (candidate.matches(presented)) {
        match = candidate.caller;
      }
    }
    return Optional.ofNullable(match);
  }

  private static byte[] sha256(String secret) {
    return Digests.sha256().digest(secret.getBytes(StandardCharsets.UTF_8));
  }
}

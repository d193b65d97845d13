package dev.smelt.agent.tap;

import java.net.URI;
import java.time.Duration;
import java.util.List;

/**
 * The proxy in front of the engine.
 *
 * @param host address to listen on
 * @param port port to listen on, 0 for any free one
 * @param engines base addresses of the engine's replicas, at least one; a request goes to the one
 *     with the fewest in flight
 * @param dialect how the engine is asked for routed experts
 * @param share share of the completion requests whose decisions are read, from 0 (none) to 1
 * @param knownPrefix tokens at the start of every prompt (a system prompt) whose routing is not
 *     asked for; saves SGLang stalls on long prefixes, 0 for none
 * @param maxRequestBytes larger requests pass without being read
 * @param maxAnswerBytes larger answers pass without being read
 * @param connectTimeout how long to wait for a connection to the engine
 * @param connections connections to each replica at most
 * @param faultsBeforeRest answers in a row without usable decisions after which the tap rests
 * @param rest how long the tap rests before it tries again
 * @param queueAnswers answers that may wait to be decoded; further ones are dropped
 * @param queueBytes bytes of answers that may wait to be decoded; further ones are dropped
 */
public record ProxySettings(
    String host,
    int port,
    List<URI> engines,
    EngineDialect dialect,
    double share,
    int knownPrefix,
    int maxRequestBytes,
    int maxAnswerBytes,
    Duration connectTimeout,
    int connections,
    int faultsBeforeRest,
    Duration rest,
    int queueAnswers,
    long queueBytes) {

  public ProxySettings {
    engines = List.copyOf(engines);
    require(!engines.isEmpty(), "proxy.engines must name at least one engine", "");
    for (URI engine : engines) {
      String scheme = String.valueOf(engine.getScheme());
      require(
          (scheme.equals("http") || scheme.equals("https")) && engine.getHost() != null,
          "proxy.engines must hold addresses such as http://127.0.0.1:8001: ",
          engine);
    }
    require(port >= 0 && port <= 65535, "proxy.port must be 0 to 65535: ", port);
    require(share >= 0 && share <= 1, "proxy.share must be 0 to 1: ", share);
    require(knownPrefix >= 0, "proxy.knownPrefix must not be negative: ", knownPrefix);
    require(maxRequestBytes > 0, "proxy.maxRequestBytes must be positive: ", maxRequestBytes);
    require(maxAnswerBytes > 0, "proxy.maxAnswerBytes must be positive: ", maxAnswerBytes);
    require(
        connectTimeout.toMillis() > 0, "proxy.connectTimeout must be positive: ", connectTimeout);
    require(connections > 0, "proxy.connections must be positive: ", connections);
    require(faultsBeforeRest > 0, "proxy.faultsBeforeRest must be positive: ", faultsBeforeRest);
    require(!rest.isNegative(), "proxy.rest must not be negative: ", rest);
    require(queueAnswers > 0, "proxy.queueAnswers must be positive: ", queueAnswers);
    require(queueBytes > 0, "proxy.queueBytes must be positive: ", queueBytes);
  }

  /** A proxy on port 8000 of the loopback address that reads a tenth of the requests. */
  public static ProxySettings defaults(URI engine) {
    return of("127.0.0.1", 8000, List.of(engine), EngineDialect.AUTO, 0.1);
  }

  /** A proxy with the limits that nobody needs to change. */
  public static ProxySettings of(
      String host, int port, List<URI> engines, EngineDialect dialect, double share) {
    return new ProxySettings(
        host,
        port,
        engines,
        dialect,
        share,
        0,
        4 << 20,
        32 << 20,
        Duration.ofSeconds(5),
        1024,
        3,
        Duration.ofSeconds(60),
        1024,
        64L << 20);
  }

  /** The same with another share. */
  public ProxySettings withShare(double other) {
    return new ProxySettings(
        host,
        port,
        engines,
        dialect,
        other,
        knownPrefix,
        maxRequestBytes,
        maxAnswerBytes,
        connectTimeout,
        connections,
        faultsBeforeRest,
        rest,
        queueAnswers,
        queueBytes);
  }

  private static void require(boolean holds, String message, Object value) {
    if (!holds) {
      throw new IllegalArgumentException(message + value);
    }
  }
}

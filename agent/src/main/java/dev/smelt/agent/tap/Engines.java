package dev.smelt.agent.tap;

import java.net.URI;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The replicas that requests go to. They can be exchanged while requests are in flight; those
 * finish where they began.
 */
public final class Engines {

  private final Map<URI, AtomicInteger> inFlight = new ConcurrentHashMap<>();
  private volatile List<URI> current;

  public Engines(List<URI> engines) {
    current = requireAny(engines);
  }

  /** The replicas that new requests go to. */
  public List<URI> current() {
    return current;
  }

  /** Sends all new requests to these replicas. */
  public void shift(List<URI> engines) {
    current = requireAny(engines);
  }

  /** Requests that a replica has not answered completely yet. */
  public int inFlight(URI engine) {
    AtomicInteger count = inFlight.get(engine);
    return count == null ? 0 : count.get();
  }

  /** Requests that replicas have not answered completely yet to which no new ones go. */
  public int inFlightElsewhere() {
    List<URI> used = current;
    return inFlight.entrySet().stream()
        .filter(replica -> !used.contains(replica.getKey()))
        .mapToInt(replica -> replica.getValue().get())
        .sum();
  }

  int inFlight() {
    return inFlight.values().stream().mapToInt(AtomicInteger::get).sum();
  }

  /** Picks the replica with the fewest requests in flight for one more. */
  Lease lease() {
    List<URI> candidates = current;
    URI engine =
        candidates.size() == 1
            ? candidates.get(0)
            : candidates.stream().min(Comparator.comparingInt(this::inFlight)).orElseThrow();
    AtomicInteger count = inFlight.computeIfAbsent(engine, any -> new AtomicInteger());
    count.incrementAndGet();
    return new Lease(engine, count);
  }

  private static List<URI> requireAny(List<URI> engines) {
    if (engines.isEmpty()) {
      throw new IllegalArgumentException("no engine to send requests to");
    }
    return List.copyOf(engines);
  }

  /** One request at a replica, until it is released. */
  static final class Lease {
    private final URI engine;
    private final AtomicInteger count;
    private boolean released;

    private Lease(URI engine, AtomicInteger count) {
      this.engine = engine;
      this.count = count;
    }

    URI engine() {
      return engine;
    }

    void release() {
      if (!released) {
        released = true;
        count.decrementAndGet();
      }
    }
  }
}

package dev.smelt.agent.simulation;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** When the things that the loop relies on are away; seeded. */
final class Outages {

  /** What can be away, how often in a year, and for how long at most. */
  enum Part {
    /** No window closes and no baseline is taken. */
    KAFKA(12, Duration.ofHours(6)),
    /** No swap is answered and requests fail. */
    ENGINE(12, Duration.ofHours(1)),
    /** No blob can be read or written. */
    STORE(6, Duration.ofHours(3)),
    /** The agent itself is down and comes back. */
    AGENT(24, Duration.ofHours(2));

    private final int aYear;
    private final Duration longest;

    Part(int aYear, Duration longest) {
      this.aYear = aYear;
      this.longest = longest;
    }
  }

  private record Span(Instant from, Instant until) {}

  private static final long YEAR_DAYS = 365;

  private final Map<Part, List<Span>> spans;

  private Outages(Map<Part, List<Span>> spans) {
    this.spans = spans;
  }

  static Outages none() {
    return new Outages(Map.of());
  }

  static Outages of(long seed, Instant begin, Duration length) {
    Map<Part, List<Span>> spans = new EnumMap<>(Part.class);
    SplittableRandom random = new SplittableRandom(seed);
    for (Part part : Part.values()) {
      List<Span> ofPart = new ArrayList<>();
      long count = Math.max(1, Math.round((double) part.aYear * length.toDays() / YEAR_DAYS));
      for (int outage = 0; outage < count; outage++) {
        Instant from = begin.plusSeconds((long) (random.nextDouble() * length.toSeconds()));
        long seconds = (long) (random.nextDouble() * part.longest.toSeconds());
        ofPart.add(new Span(from, from.plusSeconds(seconds)));
      }
      spans.put(part, ofPart);
    }
    return new Outages(spans);
  }

  boolean away(Part part, Instant at) {
    return spans.getOrDefault(part, List.of()).stream()
        .anyMatch(span -> !at.isBefore(span.from()) && at.isBefore(span.until()));
  }
}

package dev.smelt.agent.control;

import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.agent.statistics.LiveMoments.Span;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The second moments of a model's traffic, for strategies that need them. Hooks may post none, or
 * be slower than the router decisions: a re-merge waits a little for moments that are on their way,
 * and goes on without them otherwise.
 */
final class MomentsSupply {

  private static final Duration ON_THEIR_WAY = Duration.ofSeconds(30);
  private static final Duration NEXT_LOOK = Duration.ofSeconds(1);

  private final LiveMoments live;
  private final CompressionSettings settings;
  private final Duration longestWait;
  private final Clock clock;
  private @Nullable Instant wantedSince;

  /**
   * @param longestWait how long a re-merge waits for moments that are on their way
   */
  MomentsSupply(LiveMoments live, CompressionSettings settings, Duration longestWait, Clock clock) {
    this.live = live;
    this.settings = settings;
    this.longestWait = longestWait;
    this.clock = clock;
  }

  /** The traffic has begun to change. */
  void turn() {
    live.turn();
  }

  /** A re-merge that had better wait for moments becomes another look. */
  Decision orWait(Decision decision) {
    if (!(decision instanceof Decision.Remerge wanted)
        || !settings.strategies().contains(Strategy.SMELT.toString())) {
      wantedSince = null;
      return decision;
    }
    Instant now = clock.instant();
    double tokens = live.tokens(wanted.trigger() == Trigger.DRIFT ? Span.SINCE_TURN : Span.ALL);
    if (wantedSince == null) {
      wantedSince = now;
    }
    if (tokens >= settings.minimumMoments()
        || live.newest().isBefore(now.minus(ON_THEIR_WAY))
        || wantedSince.isBefore(now.minus(longestWait))) {
      wantedSince = null;
      return decision;
    }
    return new Decision.CheckAgain(
        NEXT_LOOK,
        String.format(
            Locale.ROOT,
            "%s; waits for second moments: %,.0f of %,d tokens",
            wanted.reason(),
            tokens,
            settings.minimumMoments()));
  }

  /**
   * The moments of the traffic at this moment, if they are of tokens enough.
   *
   * @param sinceShift whether those of the traffic since it began to change are wanted; the others
   *     do where these are too few
   */
  Optional<LiveMoments.Frozen> freeze(boolean sinceShift) {
    if (sinceShift && live.tokens(Span.SINCE_TURN) >= settings.minimumMoments()) {
      return Optional.of(live.freeze(Span.SINCE_TURN));
    }
    return live.tokens(Span.ALL) >= settings.minimumMoments()
        ? Optional.of(live.freeze(Span.ALL))
        : Optional.empty();
  }

  /** Why there are none. */
  String lacking() {
    return String.format(
        Locale.ROOT,
        "there are second moments of %,.0f tokens and %,d are needed"
            + " (compression.minimumMoments); an engine-side hook posts them",
        live.tokens(Span.ALL),
        settings.minimumMoments());
  }
}

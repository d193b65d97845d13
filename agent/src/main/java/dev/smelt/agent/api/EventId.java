package dev.smelt.agent.api;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The place of an event, which a watcher sends back as {@code Last-Event-ID}.
 *
 * @param millis when it happened, in milliseconds since 1970
 * @param sequence counts the events of a run from 1; 0 for one told again from the journal's file
 * @param run when the agent started, in milliseconds since 1970
 */
record EventId(long millis, long sequence, long run) {

  private static final Pattern FORM = Pattern.compile("(\\d{1,18})-(\\d{1,18})-(\\d{1,18})");

  /** Reads an id; one that is not ours counts as none. */
  static Optional<EventId> parse(@Nullable String text) {
    Matcher matcher = FORM.matcher(text == null ? "" : text);
    return matcher.matches()
        ? Optional.of(
            new EventId(
                Long.parseLong(matcher.group(1)),
                Long.parseLong(matcher.group(2)),
                Long.parseLong(matcher.group(3))))
        : Optional.empty();
  }

  @Override
  public String toString() {
    return millis + "-" + sequence + "-" + run;
  }
}

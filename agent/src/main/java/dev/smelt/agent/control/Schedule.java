package dev.smelt.agent.control;

import com.cronutils.model.time.ExecutionTime;
import dev.smelt.agent.config.ScheduleSettings;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.Optional;

/** The times that a re-merge is due at, as configured. */
final class Schedule {

  /** As many missed times as are counted; beyond it they are many. */
  private static final int MOST_COUNTED = 1_000;

  private final Optional<ExecutionTime> times;
  private final ZoneId zone;

  Schedule(ScheduleSettings settings) {
    times =
        settings.set()
            ? Optional.of(ExecutionTime.forCron(settings.expression()))
            : Optional.empty();
    zone = settings.zoneId();
  }

  boolean set() {
    return times.isPresent();
  }

  /**
   * What has fallen due.
   *
   * @param after times up to here are done with
   */
  Optional<Evidence.Due> due(Instant after, Instant now) {
    Optional<Evidence.Due> due = Optional.empty();
    Optional<ZonedDateTime> next = next(after.atZone(zone));
    for (int count = 0; count < MOST_COUNTED; count++) {
      if (next.isEmpty() || next.get().toInstant().isAfter(now)) {
        break;
      }
      due = Optional.of(new Evidence.Due(next.get(), count));
      next = next(next.get());
    }
    return due;
  }

  private Optional<ZonedDateTime> next(ZonedDateTime after) {
    return times.flatMap(cron -> cron.nextExecution(after));
  }
}

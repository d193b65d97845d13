package dev.smelt.agent.config;

import com.cronutils.model.Cron;
import com.cronutils.model.CronType;
import com.cronutils.model.definition.CronDefinitionBuilder;
import com.cronutils.parser.CronParser;
import java.time.DateTimeException;
import java.time.ZoneId;

/**
 * When to re-merge whether or not traffic has drifted.
 *
 * @param cron minute, hour, day of month, month and day of week, as crontab takes them, such as
 *     {@code 0 3 * * *} for three in the morning; empty (the default) for never. What falls due
 *     while the agent is down or paused is made up for once
 * @param zone the time zone that these are meant in, such as {@code Europe/Berlin}; {@code UTC} by
 *     default, where no hour is skipped or comes twice
 */
public record ScheduleSettings(String cron, String zone) {

  static final ScheduleSettings NEVER = new ScheduleSettings(null, null);

  public ScheduleSettings {
    cron = Settings.orElse(cron, "").trim();
    zone = Settings.orElse(zone, "UTC").trim();
    if (!cron.isEmpty()) {
      parsed(cron);
    }
    parsedZone(zone);
  }

  /** Whether anything is scheduled. */
  public boolean set() {
    return !cron.isEmpty();
  }

  /** The expression, where one {@linkplain #set is set}. */
  public Cron expression() {
    return parsed(cron);
  }

  public ZoneId zoneId() {
    return parsedZone(zone);
  }

  private static Cron parsed(String cron) {
    try {
      return new CronParser(CronDefinitionBuilder.instanceDefinitionFor(CronType.UNIX)).parse(cron);
    } catch (IllegalArgumentException e) {
      throw new InvalidSetting(
          "cron", "'" + cron + "' is no cron expression (" + e.getMessage() + "); use 0 3 * * *");
    }
  }

  private static ZoneId parsedZone(String zone) {
    try {
      return ZoneId.of(zone);
    } catch (DateTimeException e) {
      throw new InvalidSetting("zone", "'" + zone + "' is no time zone; use UTC or Europe/Berlin");
    }
  }
}

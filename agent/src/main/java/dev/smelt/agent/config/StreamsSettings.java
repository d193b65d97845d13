package dev.smelt.agent.config;

import java.time.Duration;

/**
 * How routing records become windows, profile and drift.
 *
 * @param applicationId the Kafka Streams application id; of several agents with the same id, models
 *     and {@code data} folder Kafka elects one that acts, the others only tap
 * @param window the length of a tumbling window; 10 s by default
 * @param grace how long a window waits for late records; 5 s by default
 * @param halfLife after how long past traffic counts half in the profile; 5 min by default
 * @param drift how sure it must be of drift
 */
public record StreamsSettings(
    String applicationId,
    Duration window,
    Duration grace,
    Duration halfLife,
    DriftDetection drift) {

  static final StreamsSettings DEFAULT = new StreamsSettings(null, null, null, null, null);

  public StreamsSettings {
    applicationId = Settings.orElse(applicationId, "smelt");
    window = Settings.positive("window", Settings.orElse(window, Duration.ofSeconds(10)));
    grace = Settings.notNegative("grace", Settings.orElse(grace, Duration.ofSeconds(5)));
    drift = Settings.orElse(drift, DriftDetection.DEFAULT);
    halfLife = Settings.positive("halfLife", Settings.orElse(halfLife, Duration.ofMinutes(5)));
  }
}

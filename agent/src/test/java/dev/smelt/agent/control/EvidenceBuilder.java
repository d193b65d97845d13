package dev.smelt.agent.control;

import java.time.Instant;
import java.time.ZonedDateTime;
import java.util.Optional;

/** Evidence of 2,000 tokens on a compressed model that does not drift, unless a test says so. */
final class EvidenceBuilder {

  private final Instant now;
  private double profileTokens = 2_000;
  private boolean compressed = true;
  private boolean turnedDown;
  private Optional<Evidence.Drift> drift = Optional.of(new Evidence.Drift(0.0, 0.12));
  private int breachedWindows;
  private boolean fading;
  private Optional<Evidence.Earlier> earlier = Optional.empty();
  private Optional<Instant> lastRemerge = Optional.empty();
  private Optional<Instant> lastRecall = Optional.empty();
  private int remergesToday;
  private int inVain;
  private Optional<Evidence.Due> due = Optional.empty();

  EvidenceBuilder(Instant now) {
    this.now = now;
  }

  EvidenceBuilder tokens(double tokens) {
    profileTokens = tokens;
    return this;
  }

  EvidenceBuilder fullModel() {
    compressed = false;
    return this;
  }

  EvidenceBuilder noBaseline() {
    drift = Optional.empty();
    return this;
  }

  EvidenceBuilder drift(double value, int windows) {
    drift = Optional.of(new Evidence.Drift(value, 0.12));
    breachedWindows = windows;
    return this;
  }

  EvidenceBuilder turnedDown() {
    turnedDown = true;
    return this;
  }

  EvidenceBuilder fading() {
    fading = true;
    return this;
  }

  EvidenceBuilder earlier(Evidence.Earlier snapshot) {
    earlier = Optional.of(snapshot);
    return this;
  }

  EvidenceBuilder remerged(Instant at) {
    lastRemerge = Optional.of(at);
    return this;
  }

  EvidenceBuilder recalled(Instant at) {
    lastRecall = Optional.of(at);
    return this;
  }

  EvidenceBuilder remergesToday(int count) {
    remergesToday = count;
    return this;
  }

  EvidenceBuilder inVain(int remerges) {
    inVain = remerges;
    return this;
  }

  EvidenceBuilder due(ZonedDateTime at, int missed) {
    due = Optional.of(new Evidence.Due(at, missed));
    return this;
  }

  Evidence build() {
    return new Evidence(
        now,
        profileTokens,
        compressed,
        turnedDown,
        drift,
        breachedWindows,
        fading,
        earlier,
        lastRemerge,
        lastRecall,
        remergesToday,
        inVain,
        due);
  }
}

package dev.smelt.agent.api;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * What must hold for the agent to be ready, by name. Parts register themselves while the agent is
 * composed; a check reads what its part knows already and never asks the network.
 */
public final class HealthChecks {

  /** What a check found. */
  public sealed interface Finding {

    /** All is well. */
    record Well(String detail) implements Finding {}

    /**
     * Something is missing.
     *
     * @param reason what, and what to do about it
     */
    record Ill(String reason) implements Finding {}

    static Finding well(String detail) {
      return new Well(detail);
    }

    static Finding ill(String reason) {
      return new Ill(reason);
    }
  }

  /**
   * One check and what it found.
   *
   * @param name as in {@code kafka} or {@code engine http://127.0.0.1:8001}
   * @param ready whether all is well
   * @param detail in words
   */
  public record Result(String name, boolean ready, String detail) {}

  private final Map<String, Supplier<Finding>> checks = new LinkedHashMap<>();

  /** Adds a check; one of the same name is replaced. */
  public synchronized void register(String name, Supplier<Finding> check) {
    checks.put(name, check);
  }

  /** Runs all checks; one that throws is ill. */
  public synchronized List<Result> results() {
    return checks.entrySet().stream()
        .map(check -> result(check.getKey(), check.getValue()))
        .toList();
  }

  private static Result result(String name, Supplier<Finding> check) {
    Finding finding;
    try {
      finding = check.get();
    } catch (RuntimeException e) {
      finding = Finding.ill("the check itself failed: " + e);
    }
    return finding instanceof Finding.Well well
        ? new Result(name, true, well.detail())
        : new Result(name, false, ((Finding.Ill) finding).reason());
  }
}

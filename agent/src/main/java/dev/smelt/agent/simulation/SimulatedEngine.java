package dev.smelt.agent.simulation;

import dev.smelt.agent.control.Activator;
import dev.smelt.agent.control.ServingFigures;
import dev.smelt.store.snapshot.Manifest;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.function.ToIntFunction;

/** Serves what it is told to unless it is away. */
final class SimulatedEngine implements Activator {

  private static final Duration A_REQUEST = Duration.ofMillis(200);

  private final ToIntFunction<Manifest> load;
  private OptionalInt serving = OptionalInt.empty();
  private ServingFigures figures = ServingFigures.NONE;
  private boolean away;

  /**
   * @param load takes a snapshot's experts from the store, and gives the number that {@link Losses}
   *     knows it by
   */
  SimulatedEngine(ToIntFunction<Manifest> load) {
    this.load = load;
  }

  void away(boolean now) {
    away = now;
  }

  /** Answers requests, or fails to. */
  void answer(int requests) {
    figures =
        new ServingFigures(
            figures.requests() + requests,
            figures.failures() + (away ? requests : 0),
            figures.time().plus(A_REQUEST.multipliedBy(requests)));
  }

  @Override
  public Result activate(Manifest snapshot) {
    if (away) {
      return new Result.Unknown("the engine does not answer");
    }
    serving = OptionalInt.of(load.applyAsInt(snapshot));
    return new Result.Served();
  }

  ServingFigures figures() {
    return figures;
  }

  /** The number of what it serves; empty before the first activation. */
  OptionalInt serving() {
    return serving;
  }
}

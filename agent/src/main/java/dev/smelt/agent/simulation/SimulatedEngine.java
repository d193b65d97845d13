package dev.smelt.agent.simulation;

import dev.smelt.agent.control.Activator;
import dev.smelt.agent.control.ServingFigures;
import dev.smelt.store.snapshot.Manifest;
import java.time.Duration;
import java.util.Optional;

/** Serves what it is told to unless it is away. */
final class SimulatedEngine implements Activator {

  private static final Duration A_REQUEST = Duration.ofMillis(200);

  private Optional<Manifest> serving = Optional.empty();
  private ServingFigures figures = ServingFigures.NONE;
  private boolean away;

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
    serving = Optional.of(snapshot);
    return new Result.Served();
  }

  ServingFigures figures() {
    return figures;
  }

  /** What it serves; empty before the first activation. */
  Optional<Manifest> serving() {
    return serving;
  }
}

package dev.smelt.agent.api;

import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.ModelControl.Request;
import dev.smelt.store.http.ActiveRef;
import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.ext.web.handler.HttpException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;

/**
 * Moves the ref {@code active} by asking the loop of the model; without a loop it is just moved.
 */
final class LoopRef implements ActiveRef {

  private final SnapshotStore store;
  private final Map<String, ModelControl> models = new LinkedHashMap<>();

  LoopRef(SnapshotStore store, List<ModelControl> models) {
    this.store = store;
    models.forEach(model -> this.models.put(model.model(), model));
  }

  @Override
  public RefUpdate move(String model, Optional<String> expected, String target, Reason reason) {
    ModelControl control = models.get(model);
    if (control == null) {
      return ActiveRef.of(store).move(model, expected, target, reason);
    }
    Optional<String> actual = store.ref(model, Ref.ACTIVE).map(Ref::snapshot);
    return actual.equals(expected) || made(model, reason)
        ? update(model, control.activate(target, request(reason)))
        : new RefUpdate.Conflict(actual);
  }

  @Override
  public RefUpdate rollback(String model, Optional<String> to, Reason reason) {
    ModelControl control = models.get(model);
    return control == null
        ? store.rollback(model, to, reason)
        : update(model, control.rollback(to, request(reason)));
  }

  /** Whether this change was made before, under the same key. */
  private boolean made(String model, Reason reason) {
    return reason.key().isPresent()
        && store.log(model).stream().anyMatch(entry -> entry.reason().key().equals(reason.key()));
  }

  private RefUpdate update(String model, CompletionStage<Outcome> asked) {
    Outcome outcome;
    try {
      outcome = asked.toCompletableFuture().join();
    } catch (CompletionException e) {
      throw new IllegalStateException("the loop of " + model + " failed", e.getCause());
    }
    if (outcome instanceof Outcome.Refused refused) {
      throw new HttpException(409, refused.message());
    }
    return outcome instanceof Outcome.Unknown unknown
        ? new RefUpdate.Unknown(newestMove(model), unknown.message())
        : new RefUpdate.Moved(newestMove(model));
  }

  private LogEntry newestMove(String model) {
    return store.log(model).stream()
        .filter(entry -> entry.ref().equals(Ref.ACTIVE))
        .reduce((earlier, later) -> later)
        .orElseThrow(() -> new IllegalStateException("the log of " + model + " has no move"));
  }

  private static Request request(Reason reason) {
    return new Request(reason.who(), reason.why(), reason.key());
  }
}

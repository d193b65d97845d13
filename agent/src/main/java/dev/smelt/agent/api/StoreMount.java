package dev.smelt.agent.api;

import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.store.http.ActiveRef;
import dev.smelt.store.http.StoreLimits;
import dev.smelt.store.http.StoreRoutes;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Vertx;
import io.vertx.ext.web.Router;
import java.util.List;
import java.util.function.Consumer;

/**
 * The store's routes within the agent's API. Whoever moves the ref {@code active} through them asks
 * the loop, so that the engine serves the snapshot before the ref says so.
 */
public final class StoreMount implements Consumer<Router> {

  private final Vertx vertx;
  private final ApiSettings settings;
  private final SnapshotStore store;
  private final ActiveRef active;

  public StoreMount(
      Vertx vertx, ApiSettings settings, SnapshotStore store, List<ModelControl> models) {
    this.vertx = vertx;
    this.settings = settings;
    this.store = store;
    this.active = new LoopRef(store, models);
  }

  @Override
  public void accept(Router router) {
    StoreRoutes.mount(vertx, router, store, active, AgentApi.access(settings), StoreLimits.DEFAULT);
  }
}

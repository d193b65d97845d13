package dev.smelt.agent;

import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.control.LedModel;
import dev.smelt.agent.control.ServingFigures;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.agent.swap.LivePlace;
import dev.smelt.agent.tap.ProxyTap;
import dev.smelt.agent.tap.ProxyTraffic;
import dev.smelt.store.checkpoint.Checkpoint;
import java.net.URI;
import java.util.Optional;

/**
 * What an agent has of a model whether it acts or stands by.
 *
 * @param moments what was posted to this agent
 * @param control passes on to the loop while this agent acts
 * @param live which of two places serves, where the engine is replaced
 * @param address where clients send their requests
 */
record ServedModel(
    ModelSettings settings,
    Checkpoint checkpoint,
    LiveMoments moments,
    LedModel control,
    ProxyTap tap,
    Optional<LivePlace> live,
    URI address) {

  /** How the engine has served so far. */
  ServingFigures figures() {
    ProxyTraffic traffic = tap.traffic();
    return new ServingFigures(
        traffic.requests(),
        traffic.failures(),
        traffic.time(),
        traffic.scoredTokens(),
        traffic.logProbability());
  }
}

package dev.smelt.agent.config;

import java.nio.file.Path;

/**
 * One model to look after.
 *
 * @param name the name under which the store and the API know it
 * @param checkpoint the folder of the full model; everything is merged from it
 * @param engine the engine that serves it
 * @param proxy the tap in front of the engine
 * @param compression what to make of the experts
 * @param policy when to act
 * @param gate what a candidate must hold
 * @param canary how an activation is watched
 */
public record ModelSettings(
    String name,
    Path checkpoint,
    EngineSettings engine,
    ProxyTapSettings proxy,
    CompressionSettings compression,
    PolicySettings policy,
    GateSettings gate,
    CanarySettings canary) {

  public ModelSettings {
    Settings.require(
        name != null && name.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,127}"),
        "name",
        "use letters, digits, '.', '_' and '-', at most 128, starting with a letter or digit");
    Settings.require(checkpoint != null, "checkpoint", "name the folder of the full model");
    Settings.require(engine != null, "engine", "name the engine that serves the model");
    proxy = Settings.orElse(proxy, ProxyTapSettings.DEFAULT);
    compression = Settings.orElse(compression, CompressionSettings.DEFAULT);
    policy = Settings.orElse(policy, PolicySettings.DEFAULT);
    gate = Settings.orElse(gate, GateSettings.DEFAULT);
    canary = Settings.orElse(canary, CanarySettings.DEFAULT);
  }

  ModelSettings resolvedAgainst(Path folder) {
    return new ModelSettings(
        name,
        folder.resolve(checkpoint).normalize(),
        engine.resolvedAgainst(folder),
        proxy,
        compression,
        policy,
        gate.resolvedAgainst(folder),
        canary);
  }
}

package dev.smelt.agent;

import dev.smelt.agent.config.EngineSettings;
import dev.smelt.agent.config.EngineSettings.BlueGreen;
import dev.smelt.agent.swap.BlueGreenDriver;
import dev.smelt.agent.swap.BlueGreenSettings;
import dev.smelt.agent.swap.InPlaceDriver;
import dev.smelt.agent.swap.LivePlace;
import dev.smelt.agent.swap.ReplicasDriver;
import dev.smelt.agent.swap.StorePullDriver;
import dev.smelt.agent.swap.SwapDriver;
import dev.smelt.agent.swap.SwapSettings;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;

/** The driver that an engine's settings ask for. */
final class SwapDrivers {

  private SwapDrivers() {}

  /**
   * The driver of an engine.
   *
   * @param live which of two places serves; present where the engine is replaced
   * @throws IOException if the file of the engine's key cannot be read
   */
  static SwapDriver of(EngineSettings engine, Optional<LivePlace> live) throws IOException {
    SwapSettings settings = settings(engine);
    return switch (engine.swap()) {
      case PUSH -> inPlace(engine, settings);
      case REPLACE -> blueGreen(engine, settings, live.orElseThrow());
      case PULL -> replicas(engine, settings, StorePullDriver::new);
    };
  }

  private static SwapSettings settings(EngineSettings engine) throws IOException {
    SwapSettings settings = SwapSettings.defaults().withTimeout(engine.timeout());
    return engine.apiKeyFile() == null
        ? settings
        : settings.withApiKey(Files.readString(engine.apiKeyFile()).strip());
  }

  private static SwapDriver inPlace(EngineSettings engine, SwapSettings settings) {
    return switch (engine.dialect()) {
      case SGLANG -> replicas(engine, settings, InPlaceDriver::sglang);
      case VLLM -> replicas(engine, settings, InPlaceDriver::vllm);
    };
  }

  private static SwapDriver replicas(
      EngineSettings engine,
      SwapSettings settings,
      BiFunction<URI, SwapSettings, SwapDriver> driver) {
    Map<String, SwapDriver> replicas = new LinkedHashMap<>();
    engine.urls().forEach(url -> replicas.put(url.toString(), driver.apply(url, settings)));
    return new ReplicasDriver(replicas);
  }

  private static SwapDriver blueGreen(
      EngineSettings engine, SwapSettings settings, LivePlace live) {
    BlueGreen places = engine.blueGreen();
    BlueGreenDriver driver =
        new BlueGreenDriver(
            new BlueGreenSettings(
                engine.urls().get(0),
                places.other(),
                places.start(),
                places.stop(),
                places.healthPath(),
                places.healthTimeout(),
                places.drainTimeout(),
                places.commandTimeout()),
            settings,
            live);
    driver.adopt();
    return driver;
  }
}

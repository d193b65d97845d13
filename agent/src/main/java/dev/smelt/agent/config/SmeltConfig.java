package dev.smelt.agent.config;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Everything a person can set, as read from one YAML file.
 *
 * <p>Paths that are not absolute are taken from the folder of that file. Every component has a
 * default except {@code models}; constructors refuse what cannot work and name the setting.
 *
 * @param data the folder for the store, the embedded broker, stream state and exports
 * @param kafka which Kafka to use
 * @param streams how routing records become windows, profile and drift
 * @param api the address of the API and the dashboard
 * @param management the address of health and metrics
 * @param models the models to look after, at least one
 */
public record SmeltConfig(
    Path data,
    KafkaSettings kafka,
    StreamsSettings streams,
    ApiSettings api,
    ManagementSettings management,
    List<ModelSettings> models) {

  public SmeltConfig {
    data = Settings.orElse(data, Path.of("data"));
    kafka = Settings.orElse(kafka, KafkaSettings.EMBEDDED);
    streams = Settings.orElse(streams, StreamsSettings.DEFAULT);
    api = Settings.orElse(api, ApiSettings.DEFAULT);
    management = Settings.orElse(management, ManagementSettings.DEFAULT);
    Settings.require(
        models != null && !models.isEmpty(), "models", "name at least one model to look after");
    models = List.copyOf(models);
    Set<String> names = new HashSet<>();
    Set<Integer> ports = new HashSet<>();
    for (ModelSettings model : models) {
      Settings.require(
          names.add(model.name()), "models", "two models are called '" + model.name() + "'");
      int port = model.proxy().port();
      Settings.require(
          port == 0 || ports.add(port),
          "models",
          "two models have proxy.port "
              + port
              + "; clients tell models by port, give each its own");
    }
  }

  /** The same settings with relative paths taken from {@code folder}. */
  SmeltConfig resolvedAgainst(Path folder) {
    return new SmeltConfig(
        folder.resolve(data),
        kafka,
        streams,
        api.resolvedAgainst(folder),
        management,
        models.stream().map(model -> model.resolvedAgainst(folder)).toList());
  }
}

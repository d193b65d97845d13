package dev.smelt.agent.api;

import dev.smelt.agent.config.OtlpSettings;
import io.micrometer.registry.otlp.OtlpConfig;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Settings in the form that Micrometer takes. */
final class OtlpExport {

  private OtlpExport() {}

  static OtlpConfig config(OtlpSettings collector) {
    return new OtlpConfig() {
      @Override
      public @Nullable String get(String key) {
        return null;
      }

      @Override
      public String url() {
        return collector.url();
      }

      @Override
      public Duration step() {
        return collector.every();
      }

      @Override
      public Map<String, String> headers() {
        return collector.headers();
      }

      @Override
      public Map<String, String> resourceAttributes() {
        return Map.of("service.name", "smelt");
      }
    };
  }
}

package dev.smelt.agent.config;

import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What the constructors of the settings share: defaults and refusals that name the setting. */
final class Settings {

  private Settings() {}

  static <T> T orElse(@Nullable T value, T fallback) {
    return value == null ? fallback : value;
  }

  static void require(boolean holds, String setting, String remedy) {
    if (!holds) {
      throw new InvalidSetting(setting, remedy);
    }
  }

  static int port(String setting, int port) {
    require(
        port >= 0 && port <= 65_535,
        setting,
        String.format(Locale.ROOT, "%d is no port; use 0 to 65535", port));
    return port;
  }

  static double share(String setting, double value) {
    require(
        value >= 0 && value <= 1,
        setting,
        String.format(Locale.ROOT, "%s is no share; use 0 to 1", value));
    return value;
  }

  static Duration positive(String setting, Duration value) {
    require(
        !value.isNegative() && !value.isZero(), setting, "use a duration over zero, such as 10s");
    return value;
  }

  static Duration notNegative(String setting, Duration value) {
    require(!value.isNegative(), setting, "use a duration of zero or more, such as 10m");
    return value;
  }
}

package dev.smelt.ops;

import dev.smelt.agent.config.SmeltConfig;
import java.io.IOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Reads the settings off the records: their names, types and order by reflection, their defaults
 * from a configuration that says nothing about them, their documentation from the sources.
 */
final class Settings {

  private static final Path SOURCES = Path.of("../agent/src/main/java/dev/smelt/agent/config");
  private static final Set<String> REQUIRED =
      Set.of(
          "models[].name",
          "models[].checkpoint",
          "models[].engine.urls",
          "models[].engine.dialect");

  private final List<Setting> found = new ArrayList<>();

  private Settings() {}

  static List<Setting> of(SmeltConfig silent) throws Exception {
    Settings settings = new Settings();
    settings.walk("", SmeltConfig.class, silent);
    return settings.found;
  }

  private void walk(String prefix, Class<?> type, Object values) throws Exception {
    Map<String, String> documented = documentation(type);
    for (RecordComponent component : type.getRecordComponents()) {
      String path = prefix + component.getName();
      Object value = values == null ? null : component.getAccessor().invoke(values);
      Class<?> element = element(component.getGenericType());
      String what = documented.getOrDefault(component.getName(), "");
      boolean section = component.getType().isRecord() || path.equals("models");
      found.add(
          new Setting(
              path,
              kind(component.getGenericType()),
              section || REQUIRED.contains(path) ? "" : written(path, value),
              REQUIRED.contains(path),
              what,
              section));
      if (component.getType().isRecord()) {
        walk(path + ".", component.getType(), value);
      } else if (element != null && element.isRecord()) {
        List<?> list = value == null ? List.of() : (List<?>) value;
        walk(path + "[].", element, list.isEmpty() ? null : list.get(0));
      }
    }
  }

  private static Class<?> element(Type type) {
    return type instanceof ParameterizedType list
            && list.getRawType() == List.class
            && list.getActualTypeArguments()[0] instanceof Class<?> of
        ? of
        : null;
  }

  private static String kind(Type type) {
    Class<?> element = element(type);
    if (element != null) {
      return "list";
    }
    if (!(type instanceof Class<?> of)) {
      return "map";
    }
    if (of.isEnum()) {
      return Arrays.stream(of.getEnumConstants())
          .map(constant -> "`" + constant.toString().toLowerCase(Locale.ROOT) + "`")
          .collect(Collectors.joining(", "));
    }
    if (of.isRecord()) {
      return "section";
    }
    if (of == Duration.class || of == Path.class) {
      return of.getSimpleName().toLowerCase(Locale.ROOT);
    }
    return Number.class.isAssignableFrom(of) ? "number" : "text";
  }

  /** A default as it is written in the file. */
  private static String written(String path, Object value) {
    if (value == null) {
      return "";
    }
    if (path.equals("data")) {
      return ((Path) value).getFileName().toString();
    }
    if (value instanceof Duration duration) {
      return duration(duration);
    }
    if (value instanceof Double number) {
      return BigDecimal.valueOf(number).stripTrailingZeros().toPlainString();
    }
    if (value instanceof Enum<?> constant) {
      return constant.name().toLowerCase(Locale.ROOT);
    }
    if (value instanceof Map<?, ?> map) {
      return map.isEmpty() ? "{}" : map.toString();
    }
    return value.equals("") ? "\"\"" : value.toString();
  }

  private static String duration(Duration duration) {
    if (duration.toMillis() % 1000 != 0) {
      return duration.toMillis() + "ms";
    }
    long seconds = duration.toSeconds();
    if (seconds % 60 != 0) {
      return seconds + "s";
    }
    return seconds % 3600 == 0 ? seconds / 3600 + "h" : seconds / 60 + "m";
  }

  /** What the Javadoc of a record says about each of its components. */
  private static Map<String, String> documentation(Class<?> type) throws IOException {
    Class<?> file = type.getEnclosingClass() == null ? type : type.getEnclosingClass();
    String source = Files.readString(SOURCES.resolve(file.getSimpleName() + ".java"));
    int declared = source.indexOf("record " + type.getSimpleName() + "(");
    String comment =
        source
            .substring(source.lastIndexOf("/**", declared), declared)
            .replaceAll("(?s)\\*/.*", "")
            .replaceAll("(?m)^ *\\* ?", "");
    Matcher matcher = Pattern.compile("(?s)@param (\\w+) (.*?)(?=@param|\\z)").matcher(comment);
    return matcher
        .results()
        .collect(Collectors.toMap(found -> found.group(1), found -> plain(found.group(2))));
  }

  private static String plain(String javadoc) {
    String text = javadoc.replaceAll("\\s+", " ").strip();
    return text.replaceAll("\\{@code ([^}]*)}", "`$1`").replaceAll("\\{@link ([^}]*)}", "$1");
  }
}

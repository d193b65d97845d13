package dev.smelt.agent.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The YAML file of an agent. */
public final class ConfigFile {

  private static final long LARGEST = 1 << 20;

  private static final ObjectMapper YAML =
      YAMLMapper.builder()
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .addModule(new SimpleModule().addDeserializer(Duration.class, new Durations()))
          .build();

  private ConfigFile() {}

  /**
   * Reads and validates a file.
   *
   * @throws IOException when the file cannot be read
   * @throws IllegalArgumentException when it is no YAML or a setting cannot work; the message names
   *     the file and the setting
   */
  public static SmeltConfig read(Path file) throws IOException {
    if (Files.size(file) > LARGEST) {
      throw new IllegalArgumentException(file + ": over 1 MiB is no configuration file");
    }
    Path folder = file.toAbsolutePath().getParent();
    try {
      return parse(Files.readString(file)).resolvedAgainst(folder);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  /** Parses and validates YAML text; see {@link #read}. */
  static SmeltConfig parse(String yaml) {
    if (yaml.isBlank()) {
      throw new InvalidSetting("models", "the file is empty; name at least one model");
    }
    try {
      return YAML.readValue(yaml, SmeltConfig.class);
    } catch (UnrecognizedPropertyException e) {
      throw new IllegalArgumentException(
          path(e.getPath())
              + ": no such setting; the known ones are "
              + new TreeSet<>(e.getKnownPropertyIds()),
          e);
    } catch (JsonMappingException e) {
      throw new IllegalArgumentException(message(e), e);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("no YAML: " + e.getOriginalMessage(), e);
    }
  }

  private static String message(JsonMappingException failure) {
    String path = path(failure.getPath());
    for (Throwable cause = failure.getCause(); cause != null; cause = cause.getCause()) {
      if (cause instanceof InvalidSetting invalid) {
        return invalid.within(path).getMessage();
      }
    }
    Throwable cause = failure.getCause();
    String reason =
        cause instanceof IllegalArgumentException && cause.getMessage() != null
            ? cause.getMessage()
            : mistyped(failure).orElse(failure.getOriginalMessage());
    return path.isEmpty() ? reason : path + ": " + reason;
  }

  /** What may stand in place of a value that is of the wrong form, without names of classes. */
  private static Optional<String> mistyped(JsonMappingException failure) {
    if (!(failure instanceof InvalidFormatException wrong)) {
      return Optional.empty();
    }
    Class<?> wanted = MethodType.methodType(wrong.getTargetType()).wrap().returnType();
    String what;
    if (wanted.isEnum()) {
      what =
          "none of "
              + Stream.of(wanted.getEnumConstants())
                  .map(value -> YAML.convertValue(value, String.class).toLowerCase(Locale.ROOT))
                  .collect(Collectors.joining(", "));
    } else if (wanted == Boolean.class) {
      what = "neither true nor false";
    } else if (Number.class.isAssignableFrom(wanted)) {
      what = wanted == Double.class || wanted == Float.class ? "no number" : "no whole number";
    } else {
      return Optional.empty();
    }
    return Optional.of("'" + wrong.getValue() + "' is " + what);
  }

  private static String path(List<JsonMappingException.Reference> references) {
    StringBuilder path = new StringBuilder();
    for (JsonMappingException.Reference reference : references) {
      if (reference.getFieldName() == null) {
        path.append('[').append(reference.getIndex()).append(']');
      } else {
        path.append(path.length() == 0 ? "" : ".").append(reference.getFieldName());
      }
    }
    return path.toString();
  }
}

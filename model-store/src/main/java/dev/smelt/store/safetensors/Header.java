package dev.smelt.store.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The JSON header of a safetensors file, parsed strictly: whatever the format's description does
 * not allow is refused, and so is what its reference reader lets through (duplicate names, unknown
 * fields, names that look like paths, shapes whose product overflows).
 *
 * @param metadata the {@code __metadata__} map
 * @param tensors by name, in the order of their bytes
 */
record Header(Map<String, String> metadata, Map<String, TensorInfo> tensors) {

  static final int LONGEST = 100_000_000;
  static final int LONGEST_NAME = 1024;
  static final int HIGHEST_RANK = 64;
  private static final String METADATA = "__metadata__";

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(4)
                  .maxNumberLength(32)
                  .maxStringLength(LONGEST)
                  .maxNameLength(LONGEST_NAME)
                  .build())
          .build();

  /**
   * Parses and validates a header.
   *
   * @param file named in errors
   * @param bytes the header alone, without its length prefix
   * @param dataLength bytes that follow the header in the file
   */
  static Header parse(Path file, ByteBuffer bytes, long dataLength) {
    if (bytes.remaining() == 0 || bytes.get(bytes.position()) != '{') {
      throw new SafetensorsException(file, "the header does not start with '{'");
    }
    String text = text(file, bytes);
    int end = text.length();
    while (text.charAt(end - 1) == ' ') {
      end--;
    }
    if (text.charAt(end - 1) != '}') {
      throw new SafetensorsException(file, "the header does not end with '}' and spaces");
    }
    Map<String, String> metadata = new LinkedHashMap<>();
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    try (JsonParser parser = JSON.createParser(text)) {
      parser.nextToken();
      boolean metadataSeen = false;
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        parser.nextToken();
        if (name.equals(METADATA)) {
          if (metadataSeen) {
            throw new SafetensorsException(file, METADATA, "appears twice");
          }
          metadataSeen = true;
          readMetadata(file, parser, metadata);
        } else {
          checkName(file, name);
          if (tensors.put(name, readTensor(file, name, parser)) != null) {
            throw new SafetensorsException(file, name, "appears twice");
          }
        }
      }
      if (parser.nextToken() != null) {
        throw new SafetensorsException(file, "something follows the header's JSON object");
      }
    } catch (JsonProcessingException e) {
      throw new SafetensorsException(
          file, "the header is not valid JSON: " + firstLine(e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new SafetensorsException(file, "the header cannot be read", e);
    }
    return new Header(
        Collections.unmodifiableMap(metadata),
        Collections.unmodifiableMap(contiguous(file, tensors, dataLength)));
  }

  private static String text(Path file, ByteBuffer bytes) {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT)
          .decode(bytes.duplicate())
          .toString();
    } catch (CharacterCodingException e) {
      throw new SafetensorsException(file, "the header is not valid UTF-8", e);
    }
  }

  private static String firstLine(@Nullable String message) {
    if (message == null) {
      return "unreadable";
    }
    int end = message.indexOf('\n');
    return SafetensorsException.printable(end < 0 ? message : message.substring(0, end));
  }

  private static void readMetadata(Path file, JsonParser parser, Map<String, String> metadata)
      throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw new SafetensorsException(file, METADATA, "is not an object");
    }
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw new SafetensorsException(
            file,
            METADATA,
            "the value of '" + SafetensorsException.printable(key) + "' is no text");
      }
      if (metadata.put(key, parser.getText()) != null) {
        throw new SafetensorsException(
            file, METADATA, "'" + SafetensorsException.printable(key) + "' appears twice");
      }
    }
  }

  /** Refuses names that could be taken for paths or that a terminal would obey. */
  static void checkName(Path file, String name) {
    if (name.isEmpty()) {
      throw new SafetensorsException(file, "a tensor has an empty name");
    }
    if (name.length() > LONGEST_NAME) {
      throw new SafetensorsException(
          file, name, "the name is longer than " + LONGEST_NAME + " characters");
    }
    boolean unprintable =
        name.codePoints()
            .anyMatch(
                c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE);
    if (unprintable) {
      throw new SafetensorsException(file, name, "the name has control characters");
    }
    if (name.startsWith("/") || name.indexOf('\\') >= 0) {
      throw new SafetensorsException(file, name, "the name looks like a path");
    }
    for (String segment : name.split("/", -1)) {
      if (segment.equals("..") || segment.equals(".")) {
        throw new SafetensorsException(file, name, "the name looks like a path");
      }
    }
  }

  private static TensorInfo readTensor(Path file, String name, JsonParser parser)
      throws IOException {
    if (parser.currentToken() != JsonToken.START_OBJECT) {
      throw new SafetensorsException(file, name, "is not an object");
    }
    DType dtype = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String field = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (field) {
        case "dtype" -> {
          refuseSecond(file, name, field, dtype);
          if (value != JsonToken.VALUE_STRING) {
            throw new SafetensorsException(file, name, "dtype is no text");
          }
          String named = parser.getText();
          dtype =
              DType.named(named)
                  .orElseThrow(
                      () ->
                          new SafetensorsException(
                              file,
                              name,
                              "unknown dtype '" + SafetensorsException.printable(named) + "'"));
        }
        case "shape" -> {
          refuseSecond(file, name, field, shape);
          shape = readLongs(file, name, field, parser, HIGHEST_RANK);
        }
        case "data_offsets" -> {
          refuseSecond(file, name, field, offsets);
          offsets = readLongs(file, name, field, parser, 2);
        }
        default ->
            throw new SafetensorsException(
                file, name, "unknown field '" + SafetensorsException.printable(field) + "'");
      }
    }
    if (dtype == null || shape == null || offsets == null) {
      String missing = dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets";
      throw new SafetensorsException(file, name, "has no " + missing);
    }
    return tensor(file, name, dtype, shape, offsets);
  }

  private static TensorInfo tensor(
      Path file, String name, DType dtype, List<Long> shape, List<Long> offsets) {
    if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
      throw new SafetensorsException(
          file, name, "data_offsets " + offsets + " are not a begin and an end");
    }
    long stated = offsets.get(1) - offsets.get(0);
    long needed;
    try {
      needed = Shapes.bytes(dtype, shape);
    } catch (ArithmeticException e) {
      throw new SafetensorsException(file, name, "the size of shape " + shape + " overflows");
    }
    if (stated != needed) {
      throw new SafetensorsException(
          file,
          name,
          dtype + shape.toString() + " takes " + needed + " bytes, data_offsets give " + stated);
    }
    return new TensorInfo(name, dtype, shape, offsets.get(0), offsets.get(1));
  }

  private static void refuseSecond(
      Path file, String name, String field, @Nullable Object alreadyRead) {
    if (alreadyRead != null) {
      throw new SafetensorsException(file, name, field + " appears twice");
    }
  }

  private static List<Long> readLongs(
      Path file, String name, String field, JsonParser parser, int most) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw new SafetensorsException(file, name, field + " is not a list");
    }
    List<Long> values = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (values.size() == most) {
        throw new SafetensorsException(file, name, field + " has more than " + most + " numbers");
      }
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
        throw new SafetensorsException(file, name, field + " holds something else than integers");
      }
      String digits = parser.getText();
      if (digits.startsWith("-")) {
        throw new SafetensorsException(file, name, field + " holds a negative number");
      }
      JsonParser.NumberType type = parser.getNumberType();
      if (type != JsonParser.NumberType.INT && type != JsonParser.NumberType.LONG) {
        throw new SafetensorsException(
            file, name, field + " holds " + digits + ", larger than 63 bits");
      }
      values.add(parser.getLongValue());
    }
    return values;
  }

  private static Map<String, TensorInfo> contiguous(
      Path file, Map<String, TensorInfo> tensors, long dataLength) {
    List<TensorInfo> ordered = new ArrayList<>(tensors.values());
    ordered.sort(Comparator.comparingLong(TensorInfo::begin).thenComparingLong(TensorInfo::end));
    Map<String, TensorInfo> result = new LinkedHashMap<>(ordered.size() * 2);
    long at = 0;
    for (TensorInfo tensor : ordered) {
      if (tensor.begin() != at) {
        String problem = tensor.begin() > at ? "a hole before byte " : "an overlap at byte ";
        throw new SafetensorsException(file, tensor.name(), problem + tensor.begin());
      }
      at = tensor.end();
      if (at > dataLength) {
        throw new SafetensorsException(
            file,
            tensor.name(),
            "ends at data byte " + at + ", the file has only " + dataLength + "; is it truncated?");
      }
      result.put(tensor.name(), tensor);
    }
    if (at != dataLength) {
      throw new SafetensorsException(
          file, (dataLength - at) + " bytes follow the last tensor's data");
    }
    return result;
  }
}

package dev.smelt.store.snapshot;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.safetensors.DType;
import java.io.IOException;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The JSON forms of manifests, refs and log entries, on disk and over the wire. */
public final class StoreJson {

  private static final int DEEPEST = 64;

  private static final ObjectMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder()
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(DEEPEST).build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private StoreJson() {}

  /**
   * Parses one JSON object.
   *
   * @throws StoreException.Rejected if the bytes are something else
   */
  public static ObjectNode object(byte[] bytes) {
    try {
      if (JSON.readTree(bytes) instanceof ObjectNode object) {
        return object;
      }
      throw new StoreException.Rejected("the body is not a JSON object");
    } catch (JsonProcessingException e) {
      throw new StoreException.Rejected("the body is not valid JSON");
    } catch (IOException e) {
      throw new StoreException.Rejected("the body cannot be read");
    }
  }

  public static ObjectNode newObject() {
    return JSON.createObjectNode();
  }

  static byte[] bytes(JsonNode node) {
    try {
      return JSON.writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A manifest with its id, as it goes over the wire. */
  public static ObjectNode manifest(Manifest manifest) {
    ObjectNode node = JSON.createObjectNode();
    node.put("id", manifest.id());
    node.setAll(body(manifest));
    return node;
  }

  /** What stands in the file: everything but the id, which is made from these bytes. */
  static ObjectNode body(Manifest manifest) {
    ObjectNode node = JSON.createObjectNode();
    node.put("version", manifest.version());
    node.put("model", manifest.model());
    manifest.parent().ifPresent(parent -> node.put("parent", parent));
    node.put("createdAt", manifest.createdAt().toString());
    node.put("publisher", manifest.publisher());
    node.put("trigger", manifest.trigger());
    node.put("strategy", manifest.strategy());
    node.put("checkpointDigest", manifest.checkpointDigest());
    node.set("plan", manifest.plan());
    node.set("gate", manifest.gate());
    node.set("baseline", manifest.baseline());
    node.put("bytes", manifest.bytes());
    node.set("tensors", tensors(manifest.tensors()));
    return node;
  }

  private static ObjectNode tensors(Map<String, StoredTensor> tensors) {
    ObjectNode all = JSON.createObjectNode();
    tensors.forEach(
        (name, tensor) -> {
          ObjectNode one = all.putObject(name);
          one.put("dtype", tensor.dtype().name());
          ArrayNode shape = one.putArray("shape");
          tensor.shape().forEach(shape::add);
          one.put("digest", tensor.digest());
          one.put("bytes", tensor.bytes());
        });
    return all;
  }

  /**
   * Reads a manifest.
   *
   * @throws StoreException.Rejected if a part is missing or of the wrong type
   */
  public static Manifest manifest(String id, JsonNode node) {
    int version = node.path("version").asInt(0);
    if (version < 1 || version > Manifest.VERSION) {
      throw new StoreException.Rejected(
          "snapshot "
              + id
              + " has manifest version "
              + version
              + ", this software reads up to "
              + Manifest.VERSION);
    }
    return new Manifest(
        version,
        Names.snapshot(id),
        Names.model(text(node, "model")),
        optionalText(node, "parent").map(Names::snapshot),
        instant(node, "createdAt"),
        text(node, "publisher"),
        text(node, "trigger"),
        text(node, "strategy"),
        text(node, "checkpointDigest"),
        node.path("plan"),
        node.path("gate"),
        node.path("baseline"),
        tensors(node.path("tensors")),
        node.path("bytes").asLong());
  }

  /** Reads the tensors of a manifest. */
  public static Map<String, StoredTensor> tensors(JsonNode node) {
    Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    node.properties().forEach(entry -> tensors.put(entry.getKey(), tensor(entry.getValue())));
    return tensors;
  }

  private static StoredTensor tensor(JsonNode node) {
    String dtype = text(node, "dtype");
    List<Long> shape = new ArrayList<>();
    node.path("shape").forEach(size -> shape.add(size.asLong()));
    return new StoredTensor(
        DType.named(dtype)
            .orElseThrow(() -> new StoreException.Rejected("unknown dtype '" + dtype + "'")),
        shape,
        text(node, "digest"),
        node.path("bytes").asLong(-1));
  }

  /** What a publisher says about a snapshot, as it goes over the wire. */
  public static ManifestDraft draft(JsonNode node, String publisher) {
    return new ManifestDraft(
        optionalText(node, "parent").map(Names::snapshot),
        publisher,
        text(node, "trigger"),
        text(node, "strategy"),
        text(node, "checkpointDigest"),
        objectOrEmpty(node, "plan"),
        objectOrEmpty(node, "gate"),
        objectOrEmpty(node, "baseline"));
  }

  private static JsonNode objectOrEmpty(JsonNode node, String field) {
    JsonNode value = node.path(field);
    return value.isObject() ? value : JSON.createObjectNode();
  }

  /** A move of a ref. */
  public static ObjectNode entry(LogEntry entry) {
    ObjectNode node = JSON.createObjectNode();
    node.put("sequence", entry.sequence());
    node.put("at", entry.at().toString());
    node.put("ref", entry.ref());
    entry.from().ifPresent(from -> node.put("from", from));
    entry.to().ifPresent(to -> node.put("to", to));
    node.put("who", entry.reason().who());
    node.put("why", entry.reason().why());
    entry.reason().key().ifPresent(key -> node.put("key", key));
    return node;
  }

  /** Reads a move of a ref. */
  public static LogEntry entry(JsonNode node) {
    return new LogEntry(
        node.path("sequence").asLong(),
        instant(node, "at"),
        text(node, "ref"),
        optionalText(node, "from"),
        optionalText(node, "to"),
        new Reason(text(node, "who"), text(node, "why"), optionalText(node, "key")));
  }

  /** A comparison of snapshots. */
  public static ObjectNode diff(SnapshotDiff diff) {
    return JSON.valueToTree(diff);
  }

  private static Instant instant(JsonNode node, String field) {
    try {
      return Instant.parse(text(node, field));
    } catch (DateTimeParseException e) {
      throw new StoreException.Rejected("'" + field + "' is no instant");
    }
  }

  /**
   * A text that must be there.
   *
   * @throws StoreException.Rejected if it is not
   */
  public static String text(JsonNode node, String field) {
    return optionalText(node, field)
        .orElseThrow(() -> new StoreException.Rejected("'" + field + "' is missing"));
  }

  /** A text that may be there. */
  public static Optional<String> optionalText(JsonNode node, String field) {
    return node.path(field).isTextual()
        ? Optional.of(node.path(field).textValue())
        : Optional.empty();
  }
}

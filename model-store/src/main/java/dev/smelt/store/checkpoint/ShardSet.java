package dev.smelt.store.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/** The safetensors files of a folder: {@code model.safetensors}, or an index and its shards. */
final class ShardSet implements AutoCloseable {

  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  private static final ObjectMapper JSON = JsonMapper.builder().build();

  private final Map<String, SafetensorsFile> files = new TreeMap<>();
  private final Map<String, SafetensorsFile> fileOf = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

  private ShardSet() {}

  static ShardSet open(Path folder) {
    ShardSet set = new ShardSet();
    try {
      if (Files.exists(folder.resolve(INDEX))) {
        set.addIndexed(folder);
      } else if (Files.exists(folder.resolve(SINGLE))) {
        set.add(folder, SINGLE);
      } else {
        throw new CheckpointException(
            folder
                + ": holds neither "
                + SINGLE
                + " nor "
                + INDEX
                + "; is it a checkpoint folder?");
      }
      return set;
    } catch (RuntimeException e) {
      set.close();
      throw e;
    }
  }

  private void addIndexed(Path folder) {
    Path index = folder.resolve(INDEX);
    JsonNode weightMap = readJson(index).path("weight_map");
    if (!weightMap.isObject() || weightMap.isEmpty()) {
      throw new CheckpointException(index + ": has no weight_map");
    }
    weightMap
        .properties()
        .forEach(
            entry -> {
              String shard = entry.getValue().asText();
              checkShardName(index, shard);
              if (!files.containsKey(shard)) {
                if (!Files.exists(folder.resolve(shard))) {
                  throw new CheckpointException(
                      folder.resolve(shard) + ": is missing, " + INDEX + " names it");
                }
                add(folder, shard);
              }
            });
    weightMap
        .properties()
        .forEach(
            entry -> {
              SafetensorsFile named = files.get(entry.getValue().asText());
              if (fileOf.get(entry.getKey()) != named) {
                throw new CheckpointException(
                    index
                        + ": "
                        + entry.getKey()
                        + " is said to be in "
                        + entry.getValue().asText()
                        + ", it is not");
              }
            });
  }

  private static void checkShardName(Path index, String shard) {
    if (shard.isEmpty()
        || shard.contains("/")
        || shard.contains("\\")
        || shard.indexOf('\0') >= 0
        || shard.startsWith(".")
        || !shard.endsWith(".safetensors")) {
      throw new CheckpointException(
          index + ": names a shard '" + shard.replace('\0', '?') + "', which is no file name");
    }
  }

  private void add(Path folder, String name) {
    SafetensorsFile file = SafetensorsFile.open(folder.resolve(name));
    files.put(name, file);
    for (TensorInfo tensor : file.tensors().values()) {
      if (fileOf.putIfAbsent(tensor.name(), file) != null) {
        throw new CheckpointException(
            file.path() + ": " + tensor.name() + ": is in another shard too");
      }
      tensors.put(tensor.name(), tensor);
    }
  }

  static JsonNode readJson(Path file) {
    try {
      JsonNode node = JSON.readTree(file.toFile());
      if (!node.isObject()) {
        throw new CheckpointException(file + ": is not a JSON object");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new CheckpointException(file + ": is not valid JSON", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Map<String, SafetensorsFile> files() {
    return Collections.unmodifiableMap(files);
  }

  Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  SafetensorsFile fileOf(String tensor) {
    SafetensorsFile file = fileOf.get(tensor);
    if (file == null) {
      throw new CheckpointException(tensor + ": no such tensor in the checkpoint");
    }
    return file;
  }

  @Override
  public void close() {
    files.values().forEach(SafetensorsFile::close);
  }
}

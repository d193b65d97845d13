package dev.smelt.engine;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** The trained checkpoint and variants of it. */
final class Fixture {

  static final Path CHECKPOINT = Path.of(System.getProperty("smelt.fixtures")).resolve("byte-moe");

  private static final String WEIGHTS = "model.safetensors";
  private static final String CONFIG = "config.json";

  private Fixture() {}

  /** The same model with all down projections scaled, as an expanded export would be. */
  static Path scaled(Path folder, float factor) {
    try (SafetensorsFile original = SafetensorsFile.open(CHECKPOINT.resolve(WEIGHTS))) {
      Files.createDirectories(folder);
      Files.copy(CHECKPOINT.resolve(CONFIG), folder.resolve(CONFIG));
      Map<String, Tensor> replaced = new HashMap<>();
      original
          .tensors()
          .forEach(
              (name, info) -> {
                if (name.endsWith(".w2.weight")) {
                  float[] values = original.floats(name);
                  for (int i = 0; i < values.length; i++) {
                    values[i] *= factor;
                  }
                  replaced.put(name, Tensor.floats(name, info.dtype(), info.shape(), values));
                }
              });
      SafetensorsWriter.rewrite(original, replaced, folder.resolve(WEIGHTS));
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The same model in the compact form: every expert but the first two is merged with none. */
  static Path compact(Path folder) {
    try (Checkpoint checkpoint = Checkpoint.open(CHECKPOINT);
        SafetensorsFile original = SafetensorsFile.open(CHECKPOINT.resolve(WEIGHTS))) {
      List<Tensor> tensors = new ArrayList<>();
      for (String name : original.tensors().keySet()) {
        if (!name.contains(".experts.")) {
          tensors.add(Tensor.of(original, name));
        }
      }
      for (MoeBlock block : checkpoint.blocks()) {
        int[] map = IntStream.range(0, block.experts()).map(e -> Math.max(0, e - 1)).toArray();
        tensors.add(Tensor.ints(CompactNames.map(block.name()), List.of((long) map.length), map));
        for (int group = 0; group < block.experts() - 1; group++) {
          for (Role role : List.of(Role.GATE, Role.UP, Role.DOWN)) {
            tensors.add(
                Tensor.floats(
                    CompactNames.weight(block.name(), group, role),
                    DType.BF16,
                    block.shape(role),
                    checkpoint.expert(block, group + 1, role)));
          }
        }
      }
      ObjectNode config = checkpoint.config().deepCopy();
      config.putObject("smelt").put("format", "compact").put("version", 1);
      Files.createDirectories(folder);
      Files.writeString(folder.resolve(CONFIG), new ObjectMapper().writeValueAsString(config));
      SafetensorsWriter.write(folder.resolve(WEIGHTS), Map.of(), tensors);
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

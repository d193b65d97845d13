package dev.smelt.store.export;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.ExpertTensors;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorInfo;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Makes checkpoint folders from merged experts and their base checkpoint.
 *
 * <p>Failure semantics: the folder appears complete under its name or not at all; the base is only
 * read, files that do not change are shared with it by hard links.
 */
public final class Exporter {

  private static final String CONFIG = "config.json";
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final String EXPERTS = "smelt-experts.safetensors";
  private static final ObjectMapper JSON = new ObjectMapper();

  private Exporter() {}

  /**
   * Every original slot holds the merged expert that it leads to: the same names, shapes, types and
   * configuration as the base.
   *
   * @throws ExportException if the folder exists, the snapshot was made from another checkpoint, or
   *     an expert is masked
   */
  public static void expanded(
      SnapshotStore store, Manifest manifest, Checkpoint base, Path folder) {
    expanded(checked(store, manifest, base), base, folder);
  }

  /** As above, from merged experts that lie elsewhere. */
  public static void expanded(TensorSource merged, Checkpoint base, Path folder) {
    CompactExperts experts = new CompactExperts(merged);
    try (ExportFolder export = ExportFolder.begin(folder)) {
      Map<String, Tensor> replacements = new HashMap<>();
      for (MoeBlock block : base.blocks()) {
        int[] map = unmasked(experts, block);
        ExpertTensors.of(
                base,
                block,
                block.experts(),
                (expert, role) -> experts.weight(block, map[expert], role))
            .forEach(tensor -> replacements.put(tensor.name(), tensor));
      }
      for (SafetensorsFile shard : base.files().values()) {
        Map<String, Tensor> here = new HashMap<>(replacements);
        here.keySet().retainAll(shard.tensors().keySet());
        if (here.isEmpty()) {
          export.link(shard.path());
        } else {
          SafetensorsWriter.rewrite(
              shard, here, export.file(shard.path().getFileName().toString()));
        }
      }
      copyOthers(base, export, Set.of());
      export.finish();
    }
  }

  private static int[] unmasked(CompactExperts experts, MoeBlock block) {
    int[] map = experts.map(block);
    for (int expert = 0; expert < map.length; expert++) {
      if (map[expert] < 0) {
        throw new ExportException(
            block.name()
                + ": expert "
                + expert
                + " is masked, which the expanded form cannot express; export compact or uniform");
      }
    }
    return map;
  }

  /**
   * Merged experts once each, under the names of {@link CompactNames}, and the map from router
   * output to group.
   *
   * @throws ExportException if the folder exists or the snapshot was made from another checkpoint
   */
  public static void compact(SnapshotStore store, Manifest manifest, Checkpoint base, Path folder) {
    compact(checked(store, manifest, base), Map.of(), base, folder);
  }

  /**
   * As above, from merged experts that lie elsewhere.
   *
   * @param origin what else is known of the experts, kept beside the form's name in {@code
   *     config.json}
   */
  public static void compact(
      TensorSource merged, Map<String, String> origin, Checkpoint base, Path folder) {
    for (MoeBlock block : base.blocks()) {
      new CompactExperts(merged).map(block);
    }
    try (ExportFolder export = ExportFolder.begin(folder)) {
      Set<String> dropped = base.expertTensors().keySet();
      Map<String, String> index = new TreeMap<>();
      for (SafetensorsFile shard : base.files().values()) {
        String name = shard.path().getFileName().toString();
        List<Tensor> kept =
            shard.tensors().keySet().stream()
                .filter(tensor -> !dropped.contains(tensor))
                .map(tensor -> Tensor.of(shard, tensor))
                .toList();
        kept.forEach(tensor -> index.put(tensor.name(), name));
        if (kept.size() == shard.tensors().size()) {
          export.link(shard.path());
        } else if (!kept.isEmpty()) {
          SafetensorsWriter.write(export.file(name), shard.metadata(), kept);
        }
      }
      List<Tensor> experts = merged.tensors().keySet().stream().map(merged::tensor).toList();
      experts.forEach(tensor -> index.put(tensor.name(), EXPERTS));
      SafetensorsWriter.write(export.file(EXPERTS), Map.of("format", "pt"), experts);
      export.write(INDEX, index(index, experts, base, dropped));
      ObjectNode config = base.config().deepCopy();
      ObjectNode form = config.putObject("smelt").put("format", "compact").put("version", 1);
      origin.forEach(form::put);
      export.write(CONFIG, json(config));
      copyOthers(base, export, Set.of(CONFIG, INDEX));
      export.finish();
    }
  }

  private static byte[] index(
      Map<String, String> files, List<Tensor> added, Checkpoint base, Set<String> dropped) {
    long total = added.stream().mapToLong(Tensor::length).sum();
    for (TensorInfo tensor : base.tensors().values()) {
      total += dropped.contains(tensor.name()) ? 0 : tensor.bytes();
    }
    ObjectNode index = JSON.createObjectNode();
    index.putObject("metadata").put("total_size", total);
    ObjectNode map = index.putObject("weight_map");
    files.forEach(map::put);
    return json(index);
  }

  /**
   * The same smaller number of experts in every layer and a router of as many outputs: loads in any
   * engine of the architecture and saves its memory, but routes differently than the base. A
   * group's router row is that of its most used member, or of its first where no usage is known.
   *
   * @throws ExportException if the folder exists, the snapshot was made from another checkpoint, or
   *     layers have different numbers of groups
   */
  public static void uniform(SnapshotStore store, Manifest manifest, Checkpoint base, Path folder) {
    uniform(checked(store, manifest, base), manifest.baseline(), base, folder);
  }

  /**
   * As above, from merged experts that lie elsewhere.
   *
   * @param usage for each block an object with {@code counts}, one for each expert
   */
  public static void uniform(TensorSource merged, JsonNode usage, Checkpoint base, Path folder) {
    CompactExperts experts = new CompactExperts(merged);
    int groups = sameGroups(experts, base);
    try (ExportFolder export = ExportFolder.begin(folder)) {
      Map<String, Tensor> replacements = new LinkedHashMap<>();
      for (MoeBlock block : base.blocks()) {
        ExpertTensors.of(base, block, groups, (group, role) -> experts.weight(block, group, role))
            .forEach(tensor -> replacements.put(tensor.name(), tensor));
        int[] rows = leaders(experts.map(block), groups, usage.path(block.name()).path("counts"));
        List<String> routers = new ArrayList<>(block.routerExtras());
        routers.add(block.routerWeight());
        routers.forEach(name -> replacements.put(name, rows(base, name, rows)));
      }
      Set<String> dropped = new HashSet<>(base.expertTensors().keySet());
      dropped.removeAll(replacements.keySet());
      Map<String, String> index = new TreeMap<>();
      for (SafetensorsFile shard : base.files().values()) {
        writeUniform(shard, replacements, dropped, index, export);
      }
      if (Files.exists(base.directory().resolve(INDEX))) {
        export.write(INDEX, index(index, List.of(), base, dropped));
      }
      ObjectNode config = base.config().deepCopy();
      base.architecture().resize(config, groups);
      export.write(CONFIG, json(config));
      copyOthers(base, export, Set.of(CONFIG, INDEX));
      export.finish();
    }
  }

  private static void writeUniform(
      SafetensorsFile shard,
      Map<String, Tensor> replacements,
      Set<String> dropped,
      Map<String, String> index,
      ExportFolder export) {
    String file = shard.path().getFileName().toString();
    List<Tensor> tensors = new ArrayList<>();
    boolean changed = false;
    for (String name : shard.tensors().keySet()) {
      if (!dropped.contains(name)) {
        Tensor replacement = replacements.get(name);
        tensors.add(replacement == null ? Tensor.of(shard, name) : replacement);
        changed |= replacement != null;
        index.put(name, file);
      }
    }
    if (!changed && tensors.size() == shard.tensors().size()) {
      export.link(shard.path());
    } else if (!tensors.isEmpty()) {
      SafetensorsWriter.write(export.file(file), shard.metadata(), tensors);
    }
  }

  private static int sameGroups(CompactExperts experts, Checkpoint base) {
    MoeBlock first = base.blocks().get(0);
    int groups = experts.groups(first);
    base.untouched().stream()
        .filter(block -> block.experts() != groups)
        .findFirst()
        .ifPresent(
            block -> {
              throw new ExportException(
                  "%s stays as it is with %d experts, but the uniform form needs %d everywhere: %s"
                      .formatted(block.name(), block.experts(), groups, block.reason()));
            });
    for (MoeBlock block : base.blocks()) {
      if (experts.groups(block) != groups) {
        throw new ExportException(
            first.name()
                + " has "
                + groups
                + " groups and "
                + block.name()
                + " has "
                + experts.groups(block)
                + "; the uniform form needs the same number everywhere, plan with --budget uniform");
      }
    }
    return groups;
  }

  private static int[] leaders(int[] map, int groups, JsonNode counts) {
    int[] leaders = new int[groups];
    for (int group = 0; group < groups; group++) {
      int leader = -1;
      for (int expert = 0; expert < map.length; expert++) {
        if (map[expert] == group
            && (leader < 0 || counts.path(expert).asLong() > counts.path(leader).asLong())) {
          leader = expert;
        }
      }
      if (leader < 0) {
        throw new ExportException("no expert leads to group " + group);
      }
      leaders[group] = leader;
    }
    return leaders;
  }

  private static Tensor rows(Checkpoint base, String name, int[] rows) {
    TensorInfo info = base.tensors().get(name);
    int rowBytes = Math.toIntExact(info.bytes() / info.shape().get(0));
    List<Long> shape = new ArrayList<>(info.shape());
    shape.set(0, (long) rows.length);
    ByteBuffer selected = ByteBuffer.allocate(Math.multiplyExact(rowBytes, rows.length));
    for (int row : rows) {
      selected.put(base.bytes(name, (long) row * rowBytes, rowBytes));
    }
    return Tensor.raw(name, info.dtype(), shape, selected.array());
  }

  private static TensorSource checked(SnapshotStore store, Manifest manifest, Checkpoint base) {
    if (!manifest.checkpointDigest().equals(base.digest())) {
      throw new ExportException(
          base.directory()
              + ": is not the checkpoint that snapshot "
              + manifest.id()
              + " was made from ("
              + manifest.checkpointDigest()
              + ")");
    }
    if (manifest.fullModel()) {
      throw new ExportException(
          "snapshot " + manifest.id() + " stands for the full model; use " + base.directory());
    }
    store.check(manifest);
    return store.tensors(manifest);
  }

  /** Tokenizer, generation settings and whatever else lies beside the weights. */
  private static void copyOthers(Checkpoint base, ExportFolder export, Set<String> written) {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(base.directory())) {
      for (Path entry : entries) {
        String name = entry.getFileName().toString();
        if (Files.isRegularFile(entry)
            && !written.contains(name)
            && !base.files().containsKey(name)
            && !name.startsWith(".")
            && !name.equals(SINGLE)) {
          export.copy(entry);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] json(JsonNode node) {
    try {
      return (JSON.writerWithDefaultPrettyPrinter().writeValueAsString(node) + "\n")
          .getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}

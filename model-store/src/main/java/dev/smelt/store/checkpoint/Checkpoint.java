package dev.smelt.store.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.store.files.Digests;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint folder in Hugging Face layout: {@code config.json} and {@code model.safetensors}, or
 * an index and shards. A folder in the compact form opens as well; its experts then read as the
 * merged ones that they lead to. Safe for use by several threads.
 */
public final class Checkpoint implements TensorSource, AutoCloseable {

  private static final String CONFIG = "config.json";
  private static final long LARGEST_SLICE = 1L << 30;

  private final Path directory;
  private final JsonNode config;
  private final Architecture architecture;
  private final ShardSet shards;
  private final boolean compact;
  private final Blocks.Found found;
  private volatile @Nullable String digest;

  private Checkpoint(Path directory, JsonNode config, ShardSet shards) {
    this.directory = directory;
    this.config = config;
    this.shards = shards;
    this.architecture =
        Architecture.of(config)
            .orElseThrow(
                () ->
                    new CheckpointException(
                        directory
                            + ": unknown architecture, model_type is '"
                            + config.path("model_type").asText()
                            + "'; known are "
                            + Architecture.known()));
    this.compact = config.path("smelt").path("format").asText().equals("compact");
    Blocks search = new Blocks(directory, config, architecture, shards.tensors());
    this.found = compact ? search.compact() : search.full();
  }

  /**
   * Opens a folder, reads configuration and headers, and checks that every expert is there.
   *
   * @throws CheckpointException if the folder is incomplete, inconsistent or of an unknown
   *     architecture
   * @throws dev.smelt.store.safetensors.SafetensorsException if a file is malformed
   * @throws UncheckedIOException if the folder cannot be read
   */
  public static Checkpoint open(Path directory) {
    if (!Files.exists(directory)) {
      throw new UncheckedIOException(new NoSuchFileException(directory.toString()));
    }
    if (!Files.isDirectory(directory)) {
      throw new UncheckedIOException(new NotDirectoryException(directory.toString()));
    }
    Path configFile = directory.resolve(CONFIG);
    if (!Files.exists(configFile)) {
      throw new CheckpointException(directory + ": holds no " + CONFIG);
    }
    JsonNode config = ShardSet.readJson(configFile);
    ShardSet shards = ShardSet.open(directory);
    try {
      return new Checkpoint(directory, config, shards);
    } catch (RuntimeException e) {
      shards.close();
      throw e;
    }
  }

  public Path directory() {
    return directory;
  }

  /** The folder's own name. */
  public String name() {
    return directory.toAbsolutePath().normalize().getFileName().toString();
  }

  /** The parsed config.json. */
  public JsonNode config() {
    return config;
  }

  public Architecture architecture() {
    return architecture;
  }

  /** Whether the folder is in the compact form. */
  public boolean compact() {
    return compact;
  }

  /**
   * A stable identity, {@code sha256:} and 64 hexadecimal digits, over configuration, headers and
   * routers. It says which checkpoint this is; it does not prove that every weight is intact.
   */
  public String digest() {
    String known = digest;
    if (known == null) {
      known = computeDigest();
      digest = known;
    }
    return known;
  }

  private String computeDigest() {
    try {
      MessageDigest sha = Digests.sha256();
      sha.update(Files.readAllBytes(directory.resolve(CONFIG)));
      shards
          .files()
          .forEach(
              (name, file) -> {
                sha.update(name.getBytes(StandardCharsets.UTF_8));
                sha.update(file.headerBytes());
              });
      for (MoeBlock block : found.blocks()) {
        sha.update(
            bytes(
                block.routerWeight(),
                0,
                Math.toIntExact(shards.tensors().get(block.routerWeight()).bytes())));
      }
      return Digests.text(sha);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The Mixture-of-Experts blocks whose experts can be read, in layer order. Taps count layers by
   * this order, together with {@link #untouched}.
   */
  public List<MoeBlock> blocks() {
    return found.blocks();
  }

  /** The blocks whose experts can't be read, quantised ones for example, in layer order. */
  public List<UntouchedBlock> untouched() {
    return found.untouched();
  }

  /** The safetensors files by name. */
  public Map<String, SafetensorsFile> files() {
    return shards.files();
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return shards.tensors();
  }

  @Override
  public float[] floats(String tensor) {
    return shards.fileOf(tensor).floats(tensor);
  }

  @Override
  public int[] ints(String tensor) {
    return shards.fileOf(tensor).ints(tensor);
  }

  @Override
  public ByteBuffer bytes(String tensor, long offset, int length) {
    return shards.fileOf(tensor).bytes(tensor, offset, length);
  }

  /**
   * A weight of an expert in canonical orientation, row-major, whatever its layout on disk.
   *
   * @return {@code GATE} and {@code UP} [width, hidden], {@code DOWN} [hidden, width], biases as
   *     vectors
   * @throws CheckpointException in the compact form if the expert is masked
   */
  public float[] expert(MoeBlock block, int expert, Role role) {
    Objects.checkIndex(expert, block.experts());
    return compact ? merged(block, expert, role) : stored(block, expert, role);
  }

  private float[] merged(MoeBlock block, int expert, Role role) {
    CompactExperts experts = new CompactExperts(this);
    int group = experts.map(block)[expert];
    if (group < 0) {
      throw new CheckpointException(
          directory + ": " + block.name() + ": expert " + expert + " is masked");
    }
    return experts.weight(block, group, role);
  }

  private float[] stored(MoeBlock block, int expert, Role role) {
    ExpertTensor part = part(block, role);
    String tensor = part.name(block.name(), expert);
    int rows = role.rows(block.hidden(), block.width());
    int columns = role.columns(block.hidden(), block.width());
    int slabElements = Math.multiplyExact(part.slabRows(rows), columns);
    float[] slab = new float[slabElements];
    long first = part.fused() ? (long) expert * slabElements : 0;
    shards.fileOf(tensor).floats(tensor, first, slab, 0, slabElements);
    if (part.packing() == ExpertTensor.Packing.WHOLE
        && part.orientation() == ExpertTensor.Orientation.AS_IS) {
      return slab;
    }
    float[] canonical = new float[block.elements(role)];
    part.unpack(slab, rows, columns, canonical);
    return canonical;
  }

  /**
   * The bytes of an expert's weight where they lie on disk as {@link #expert} gives them: row-major
   * in canonical orientation, little-endian. Read-only, not copied.
   *
   * @return empty where rows are transposed, interleaved or factored, or the weight exceeds 1 GiB
   */
  public Optional<ByteBuffer> expertBytes(MoeBlock block, int expert, Role role) {
    Objects.checkIndex(expert, block.experts());
    if (compact) {
      return Optional.empty();
    }
    ExpertTensor part = part(block, role);
    String tensor = part.name(block.name(), expert);
    int size = shards.tensors().get(tensor).dtype().bytes();
    long rows = role.rows(block.hidden(), block.width());
    long columns = role.columns(block.hidden(), block.width());
    long length = rows * columns * size;
    if (!part.contiguous() || length > LARGEST_SLICE) {
      return Optional.empty();
    }
    long slab = part.fused() ? expert * part.slabRows((int) rows) * columns : 0;
    long first = slab + part.packing().slabRow(0, (int) rows) * columns;
    return Optional.of(bytes(tensor, first * size, (int) length));
  }

  /** Bytes of one expert of a block in its stored types. */
  public long expertBytes(MoeBlock block) {
    return block.roles().stream()
        .mapToLong(role -> (long) block.elements(role) * expertDType(block, role).bytes())
        .sum();
  }

  /** The type that an expert's weight is stored in. */
  public DType expertDType(MoeBlock block, Role role) {
    if (compact) {
      return new CompactExperts(this).dtype(block, 0, role);
    }
    return shards.tensors().get(part(block, role).name(block.name(), 0)).dtype();
  }

  private ExpertTensor part(MoeBlock block, Role role) {
    return architecture
        .tensor(role)
        .orElseThrow(
            () -> new IllegalArgumentException(block.name() + ": experts have no " + role));
  }

  /** Names of all tensors on disk that hold expert weights, in the full form. */
  public Map<String, MoeBlock> expertTensors() {
    Map<String, MoeBlock> names = new TreeMap<>();
    for (MoeBlock block : found.blocks()) {
      for (ExpertTensor part : architecture.tensors()) {
        for (int expert = 0; expert < (part.fused() ? 1 : block.experts()); expert++) {
          names.put(part.name(block.name(), expert), block);
        }
      }
    }
    return names;
  }

  /** Closes all files. Buffers handed out stay readable. */
  @Override
  public void close() {
    shards.close();
  }
}

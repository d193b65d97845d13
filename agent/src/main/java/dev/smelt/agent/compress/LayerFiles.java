package dev.smelt.agent.compress;

import dev.smelt.store.checkpoint.CheckpointException;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.files.Folders;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Keeps compressed experts in a working folder, one file per block, so that a compression that was
 * cut off goes on where it stopped.
 *
 * <p>Failure semantics: a block's file appears complete or not at all. A folder of another
 * compression is emptied first.
 */
public final class LayerFiles implements CompactSink, TensorSource, AutoCloseable {

  private static final String KEY = "key.txt";
  private static final String SUFFIX = ".safetensors";

  private final Path folder;
  private final Map<String, SafetensorsFile> byTensor = new TreeMap<>();
  private final Map<String, TensorInfo> infos = new TreeMap<>();
  private final Map<Path, SafetensorsFile> files = new TreeMap<>();

  private LayerFiles(Path folder) {
    this.folder = folder;
  }

  /**
   * Opens or creates a working folder.
   *
   * @param key what is compressed and how; blocks are reused only under the same key
   */
  public static LayerFiles open(Path folder, String key) throws IOException {
    Path keyFile = folder.resolve(KEY);
    if (!Files.exists(keyFile) || !Files.readString(keyFile).equals(key)) {
      Folders.delete(folder);
      Files.createDirectories(folder);
      Files.writeString(keyFile, key);
    }
    LayerFiles layers = new LayerFiles(folder);
    try (Stream<Path> found = Files.list(folder)) {
      found.filter(file -> file.toString().endsWith(SUFFIX)).sorted().forEach(layers::add);
    }
    return layers;
  }

  private void add(Path path) {
    SafetensorsFile file = SafetensorsFile.open(path);
    files.put(path, file);
    file.tensors()
        .forEach(
            (name, info) -> {
              byTensor.put(name, file);
              infos.put(name, info);
            });
  }

  @Override
  public boolean holds(MoeBlock block) {
    return byTensor.containsKey(CompactNames.map(block.name()));
  }

  @Override
  public void accept(MoeBlock block, List<Tensor> tensors) {
    Path path = folder.resolve(block.name() + SUFFIX);
    SafetensorsWriter.write(path, Map.of(), tensors);
    add(path);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(infos);
  }

  @Override
  public float[] floats(String tensor) {
    return file(tensor).floats(tensor);
  }

  @Override
  public int[] ints(String tensor) {
    return file(tensor).ints(tensor);
  }

  @Override
  public ByteBuffer bytes(String tensor, long offset, int length) {
    return file(tensor).bytes(tensor, offset, length);
  }

  private SafetensorsFile file(String tensor) {
    SafetensorsFile file = byTensor.get(tensor);
    if (file == null) {
      throw new CheckpointException(folder + ": " + tensor + ": no such tensor");
    }
    return file;
  }

  /** Closes the files and removes the folder: what they hold has been taken elsewhere. */
  public void remove() throws IOException {
    close();
    Folders.delete(folder);
  }

  @Override
  public void close() {
    files.values().forEach(SafetensorsFile::close);
    files.clear();
  }
}

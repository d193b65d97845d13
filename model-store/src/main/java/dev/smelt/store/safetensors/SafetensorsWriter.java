package dev.smelt.store.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Writes safetensors files.
 *
 * <p>Failure semantics: the file appears under its name complete and on stable storage, or not at
 * all; on a failure the temporary file beside it is removed and what stood there before is
 * untouched.
 */
public final class SafetensorsWriter {

  private static final int ALIGNMENT = 8;

  private SafetensorsWriter() {}

  /**
   * Writes tensors in the given order, data aligned to 8 bytes.
   *
   * @throws SafetensorsException if a name is refused by the reader or appears twice, or a tensor
   *     produces another number of bytes than its shape takes
   * @throws UncheckedIOException if the file cannot be written
   */
  public static void write(Path file, Map<String, String> metadata, List<Tensor> tensors) {
    Set<String> names = new HashSet<>();
    for (Tensor tensor : tensors) {
      Header.checkName(file, tensor.name());
      if (!names.add(tensor.name())) {
        throw new SafetensorsException(file, tensor.name(), "appears twice");
      }
    }
    write(file, ByteBuffer.wrap(header(metadata, tensors)), tensors);
  }

  /**
   * Writes a file again with some tensors replaced; the header stays as it is, byte for byte.
   *
   * @param replacements by name; each has the type and shape of the tensor it replaces
   * @throws SafetensorsException if a replacement does not fit the original
   */
  public static void rewrite(
      SafetensorsFile original, Map<String, Tensor> replacements, Path file) {
    for (Tensor replacement : replacements.values()) {
      TensorInfo replaced = original.tensor(replacement.name());
      if (replacement.dtype() != replaced.dtype()
          || !replacement.shape().equals(replaced.shape())) {
        throw new SafetensorsException(
            original.path(),
            replacement.name(),
            "cannot be replaced by " + replacement.dtype() + replacement.shape());
      }
    }
    List<Tensor> tensors =
        original.tensors().keySet().stream()
            .map(
                name -> {
                  Tensor replacement = replacements.get(name);
                  return replacement == null ? Tensor.of(original, name) : replacement;
                })
            .toList();
    write(file, original.headerBytes(), tensors);
  }

  private static void write(Path file, ByteBuffer header, List<Tensor> tensors) {
    Path target = file.toAbsolutePath();
    Path folder = target.getParent();
    Path temporary = folder.resolve("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
    boolean renamed = false;
    try {
      try (FileChannel channel =
          FileChannel.open(temporary, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW)) {
        ByteBuffer prefix = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        writeFully(channel, prefix.putLong(header.remaining()).flip());
        writeFully(channel, header);
        for (Tensor tensor : tensors) {
          long before = channel.position();
          tensor.bytes().writeTo(channel);
          long written = channel.position() - before;
          if (written != tensor.length()) {
            throw new SafetensorsException(
                file,
                tensor.name(),
                "produced " + written + " bytes, its shape takes " + tensor.length());
          }
        }
        channel.force(true);
      }
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      renamed = true;
      syncFolder(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (!renamed) {
        deleteQuietly(temporary);
      }
    }
  }

  private static void deleteQuietly(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException ignored) {
      // The failure that led here is the one to report.
    }
  }

  private static void syncFolder(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  private static byte[] header(Map<String, String> metadata, List<Tensor> tensors) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart("__metadata__");
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long at = 0;
      for (Tensor tensor : tensors) {
        json.writeObjectFieldStart(tensor.name());
        json.writeStringField("dtype", tensor.dtype().name());
        json.writeArrayFieldStart("shape");
        for (long size : tensor.shape()) {
          json.writeNumber(size);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("data_offsets");
        json.writeNumber(at);
        at = Math.addExact(at, tensor.length());
        json.writeNumber(at);
        json.writeEndArray();
        json.writeEndObject();
      }
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    int length = (bytes.size() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    byte[] padded = Arrays.copyOf(bytes.toByteArray(), length);
    Arrays.fill(padded, bytes.size(), length, (byte) ' ');
    return padded;
  }

  private static void writeFully(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}

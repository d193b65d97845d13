package dev.smelt.engine;

import dev.smelt.agent.inference.MoeModel;
import dev.smelt.store.checkpoint.Checkpoint;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * A set of weights that answers requests, never changed once it is there.
 *
 * @param folder it was loaded from
 * @param version name that answers carry
 * @param checksum {@code sha256:} and the digest of all its files of weights
 */
record ServedWeights(MoeModel model, Path folder, String version, String checksum) {

  /**
   * Loads a checkpoint in its original, expanded, uniform or compact form.
   *
   * @param version the folder's name if empty
   */
  static ServedWeights load(Path folder, Optional<String> version) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      return new ServedWeights(
          MoeModel.load(checkpoint),
          folder,
          version.orElseGet(checkpoint::name),
          checksum(checkpoint));
    }
  }

  private static String checksum(Checkpoint checkpoint) {
    try {
      MessageDigest sha = MessageDigest.getInstance("SHA-256");
      ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
      for (String name : checkpoint.files().keySet()) {
        sha.update(name.getBytes(StandardCharsets.UTF_8));
        try (FileChannel channel = FileChannel.open(checkpoint.directory().resolve(name))) {
          while (channel.read(buffer.clear()) >= 0) {
            sha.update(buffer.flip());
          }
        }
      }
      return "sha256:" + HexFormat.of().formatHex(sha.digest());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}

package dev.smelt.store.snapshot;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.store.checkpoint.CompactNames;
import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * An immutable compressed model: which blobs stand for its experts, and how they came about.
 *
 * @param version of the manifest's format
 * @param id time of creation and the start of the digest of the manifest file
 * @param model the model that it is a version of
 * @param parent the snapshot that it was made from
 * @param createdAt when it was published; never earlier than the model's snapshots before it
 * @param publisher who published it
 * @param trigger what led to it
 * @param strategy how experts were merged or pruned
 * @param checkpointDigest identity of the checkpoint that holds everything else
 * @param plan groups, merge weights and similarity for each block
 * @param gate figures of the quality check
 * @param baseline usage that it was made from, for each block
 * @param tensors by the names of {@link CompactNames}, in the order they were added
 * @param bytes of all distinct blobs
 */
public record Manifest(
    int version,
    String id,
    String model,
    Optional<String> parent,
    Instant createdAt,
    String publisher,
    String trigger,
    String strategy,
    String checkpointDigest,
    JsonNode plan,
    JsonNode gate,
    JsonNode baseline,
    Map<String, StoredTensor> tensors,
    long bytes) {

  /** The format that this version of the software writes. */
  public static final int VERSION = 1;

  /** Whether it replaces no expert: it stands for the full model. */
  public boolean fullModel() {
    return tensors.isEmpty();
  }

  public Manifest {
    tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
  }
}

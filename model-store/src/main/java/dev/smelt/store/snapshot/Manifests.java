package dev.smelt.store.snapshot;

import dev.smelt.store.files.Digests;
import dev.smelt.store.snapshot.StoreFiles.Placed;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * The manifests of all models. A manifest's id ends with the start of the digest of its file, so
 * that a changed file is noticed when it is read.
 */
final class Manifests {

  private static final String ENDING = ".json";
  private static final int DIGITS_IN_ID = 16;
  private static final DateTimeFormatter TIME_IN_ID =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

  private final StoreFiles files;
  private final Clock clock;
  private final ManifestKeys keys;

  Manifests(StoreFiles files, Clock clock, ManifestKeys keys) {
    this.files = files;
    this.clock = clock;
    this.keys = keys;
  }

  List<String> models() throws IOException {
    List<String> models = new ArrayList<>();
    if (Files.isDirectory(files.models())) {
      try (DirectoryStream<Path> folders = Files.newDirectoryStream(files.models())) {
        for (Path folder : folders) {
          models.add(folder.getFileName().toString());
        }
      }
    }
    models.sort(Comparator.naturalOrder());
    return models;
  }

  /** Ids of a model's snapshots, by the second of their creation. */
  List<String> ids(String model) throws IOException {
    List<String> ids = new ArrayList<>();
    Path folder = files.snapshots(model);
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, "*" + ENDING)) {
        for (Path entry : entries) {
          String name = entry.getFileName().toString();
          ids.add(name.substring(0, name.length() - ENDING.length()));
        }
      }
    }
    ids.sort(Comparator.naturalOrder());
    return ids;
  }

  boolean present(String model, String id) {
    return Files.isRegularFile(files.manifest(model, id), LinkOption.NOFOLLOW_LINKS);
  }

  Manifest read(String model, String id) throws IOException {
    Path file = files.manifest(model, id);
    SignedManifest signed = signed(model, id);
    checkSignature(model, id, signed);
    return parse(file, model, id, signed.bytes());
  }

  SignedManifest signed(String model, String id) throws IOException {
    Path file = files.manifest(model, id);
    byte[] bytes;
    try (var in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
      bytes = in.readAllBytes();
    } catch (NoSuchFileException e) {
      throw new StoreException.NotFound(
          "model " + model + " has no snapshot " + id + "; `smelt store ls` lists them");
    }
    if (!id.endsWith("-" + digits(bytes))) {
      throw new StoreException.Damaged(
          file + ": does not have the digest that its name ends with; restore it from a copy");
    }
    Path signature = files.signature(model, id);
    return new SignedManifest(
        bytes,
        Files.isRegularFile(signature, LinkOption.NOFOLLOW_LINKS)
            ? Optional.of(Files.readString(signature).strip())
            : Optional.empty());
  }

  /** Writes a manifest of another store; the caller holds the lock. */
  Manifest adopt(String model, String id, SignedManifest signed, Predicate<String> blobPresent)
      throws IOException {
    if (!Names.snapshot(id).endsWith("-" + digits(signed.bytes()))) {
      throw new StoreException.Rejected("the bytes are not the manifest of snapshot " + id);
    }
    checkSignature(model, id, signed);
    Manifest manifest = parse(files.manifest(model, id), model, id, signed.bytes());
    for (StoredTensor tensor : manifest.tensors().values()) {
      if (!blobPresent.test(tensor.digest())) {
        throw new StoreException.Rejected(
            "blob " + tensor.digest() + " is not in the store; send it first");
      }
    }
    if (signed.signature().isPresent()) {
      place(
          files.signature(model, id), signed.signature().get().getBytes(StandardCharsets.US_ASCII));
    }
    place(files.manifest(model, id), signed.bytes());
    return manifest;
  }

  private static Manifest parse(Path file, String model, String id, byte[] bytes) {
    try {
      Manifest manifest = StoreJson.manifest(id, StoreJson.object(bytes));
      if (!manifest.model().equals(model)) {
        throw new StoreException.Damaged(file + ": belongs to model " + manifest.model());
      }
      return manifest;
    } catch (StoreException.Rejected | StoreException.InvalidName e) {
      throw new StoreException.Damaged(file + ": " + e.getMessage(), e);
    }
  }

  private static String digits(byte[] bytes) {
    return Digests.hex(Digests.of(bytes)).substring(0, DIGITS_IN_ID);
  }

  private void checkSignature(String model, String id, SignedManifest signed) {
    if (!keys.checks()) {
      return;
    }
    if (signed.signature().isEmpty()) {
      throw new StoreException.Damaged(
          "snapshot " + id + " of " + model + " is not signed, and the configuration names keys");
    }
    byte[] signature;
    try {
      signature = Base64.getDecoder().decode(signed.signature().get());
    } catch (IllegalArgumentException e) {
      throw new StoreException.Damaged("the signature of snapshot " + id + " is no base64", e);
    }
    if (!keys.accepts(signed.bytes(), signature)) {
      throw new StoreException.Damaged(
          "snapshot " + id + " of " + model + " is signed by none of the configured keys");
    }
  }

  /** All snapshots of a model, oldest first. */
  List<Manifest> all(String model) throws IOException {
    List<Manifest> manifests = new ArrayList<>();
    for (String id : ids(model)) {
      manifests.add(read(model, id));
    }
    manifests.sort(Comparator.comparing(Manifest::createdAt).thenComparing(Manifest::id));
    return manifests;
  }

  /** Writes a manifest; the caller holds the lock and has all blobs on stable storage. */
  Manifest add(String model, ManifestDraft draft, Map<String, StoredTensor> tensors)
      throws IOException {
    if (draft.parent().isPresent() && !present(model, draft.parent().get())) {
      throw new StoreException.Rejected(
          "the parent " + draft.parent().get() + " is no snapshot of " + model);
    }
    long bytes =
        tensors.values().stream()
            .collect(
                Collectors.toMap(
                    StoredTensor::digest, StoredTensor::bytes, (first, second) -> first))
            .values()
            .stream()
            .mapToLong(Long::longValue)
            .sum();
    Instant createdAt = nextInstant(model);
    Manifest nameless =
        new Manifest(
            Manifest.VERSION,
            "",
            model,
            draft.parent(),
            createdAt,
            draft.publisher(),
            draft.trigger(),
            draft.strategy(),
            draft.checkpointDigest(),
            draft.plan(),
            draft.gate(),
            draft.baseline(),
            tensors,
            bytes);
    byte[] content = StoreJson.bytes(StoreJson.body(nameless));
    String id = TIME_IN_ID.format(createdAt) + "-" + digits(content);
    Optional<byte[]> signature = keys.sign(content);
    if (signature.isPresent()) {
      place(files.signature(model, id), Base64.getEncoder().encode(signature.get()));
    }
    place(files.manifest(model, id), content);
    return StoreJson.manifest(id, StoreJson.object(content));
  }

  private void place(Path file, byte[] content) throws IOException {
    if (files.replace(file, content) == Placed.PERHAPS) {
      throw new StoreException.UnknownOutcome(
          file + ": is there, but the disk could not make it durable",
          new IOException("folder could not be synced"));
    }
  }

  /** Now, or just after the model's last snapshot where the clock was set back. */
  private Instant nextInstant(String model) throws IOException {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    List<String> ids = ids(model);
    if (ids.isEmpty()) {
      return now;
    }
    String newestSecond = ids.get(ids.size() - 1).substring(0, 16);
    Instant next = now;
    for (String id : ids) {
      if (id.startsWith(newestSecond)) {
        Instant after = read(model, id).createdAt().plusMillis(1);
        next = after.isAfter(next) ? after : next;
      }
    }
    return next;
  }

  /** Removes a manifest; the caller holds the lock. */
  void remove(String model, String id) throws IOException {
    files.operations().delete(files.manifest(model, id));
    files.operations().syncFolder(files.snapshots(model));
    files.operations().delete(files.signature(model, id));
  }
}

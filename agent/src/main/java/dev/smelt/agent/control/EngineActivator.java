package dev.smelt.agent.control;

import dev.smelt.agent.config.EngineSettings.ExportFormat;
import dev.smelt.agent.swap.Serving;
import dev.smelt.agent.swap.SwapDriver;
import dev.smelt.agent.swap.SwapResult;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.files.Folders;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Exports a snapshot into a folder that the engine can load and swaps it in.
 *
 * <p>Failure semantics: an export appears whole or not at all; one that is there already is used
 * again, so that a rollback builds nothing. Exports that no ref names are removed once another
 * snapshot serves; after an unknown outcome nothing is removed.
 */
public final class EngineActivator implements Activator {

  /** Between two looks at what the engine says that it serves. */
  private static final Duration LOOKS = Duration.ofSeconds(5);

  private final SwapDriver driver;
  private final SnapshotStore store;
  private final Checkpoint base;
  private final ExportFormat format;
  private final Path folder;
  private final Clock clock;
  private Serving served;
  private Instant nextLook;

  /**
   * @param folder for the exports, as the engine's host sees it; its file system should be that of
   *     the checkpoint, so that unchanged files can be shared by hard links
   */
  public EngineActivator(
      SwapDriver driver,
      SnapshotStore store,
      Checkpoint base,
      ExportFormat format,
      Path folder,
      Clock clock) {
    this.driver = driver;
    this.store = store;
    this.base = base;
    this.format = format;
    this.folder = folder;
    this.clock = clock;
    this.served = fullModel();
    this.nextLook = Instant.MAX;
  }

  @Override
  public Result activate(Manifest snapshot) {
    Serving target =
        snapshot.fullModel() ? fullModel() : new Serving(snapshot.id(), exported(snapshot));
    SwapResult result = driver.swap(target, served);
    nextLook = clock.instant().plus(LOOKS);
    if (result instanceof SwapResult.Served) {
      served = target;
      removeUnused(snapshot);
      return new Result.Served();
    }
    return result instanceof SwapResult.Kept kept
        ? new Result.Kept(kept.reason())
        : new Result.Unknown(((SwapResult.Unknown) result).reason());
  }

  /** Asks the engine now and then, once it was swapped. */
  @Override
  public boolean disturbed() {
    Instant now = clock.instant();
    if (now.isBefore(nextLook)) {
      return false;
    }
    nextLook = now.plus(LOOKS);
    return driver.servesOther(served);
  }

  private Serving fullModel() {
    return new Serving("", base.directory().toAbsolutePath());
  }

  private Path exported(Manifest snapshot) {
    Path export = folder.resolve(name(snapshot.id()));
    if (!Files.exists(export)) {
      try {
        Files.createDirectories(folder);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      switch (format) {
        case EXPANDED -> Exporter.expanded(store, snapshot, base, export);
        case COMPACT -> Exporter.compact(store, snapshot, base, export);
      }
    }
    return export;
  }

  private String name(String snapshot) {
    return snapshot + "-" + format.name().toLowerCase(java.util.Locale.ROOT);
  }

  private void removeUnused(Manifest serving) {
    Set<String> used =
        store.refs(serving.model()).stream()
            .map(ref -> name(ref.snapshot()))
            .collect(Collectors.toSet());
    used.add(name(serving.id()));
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (Stream<Path> exports = Files.list(folder)) {
      List<Path> unused =
          exports.filter(export -> !used.contains(export.getFileName().toString())).toList();
      for (Path export : unused) {
        Folders.delete(export);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

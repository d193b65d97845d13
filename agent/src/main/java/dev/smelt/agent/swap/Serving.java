package dev.smelt.agent.swap;

import java.nio.file.Path;

/**
 * Weights that an engine can serve.
 *
 * @param snapshot id of the snapshot, empty for the uncompressed model
 * @param directory folder with the weights in a form that the engine loads, as the engine's host
 *     sees it
 */
public record Serving(String snapshot, Path directory) {

  /** The name under which the engine is told of these weights. */
  String version() {
    return snapshot.isEmpty() ? "base" : snapshot;
  }
}

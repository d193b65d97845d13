package dev.smelt.engine;

import dev.smelt.agent.inference.ModelConfig;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The weights in use. A request takes them once, at its start, and keeps them to its end; a swap
 * builds the new set beside the old one and exchanges one reference.
 *
 * <p>Failure semantics: a swap that fails for whatever reason leaves the weights in use untouched.
 */
final class Serving {

  private final AtomicReference<ServedWeights> current;

  Serving(ServedWeights first) {
    current = new AtomicReference<>(first);
  }

  ServedWeights current() {
    return current.get();
  }

  /**
   * Serves another folder from now on. Blocks while it loads.
   *
   * @param version name that answers then carry; the folder's name if empty
   * @throws RequestException if the folder's configuration is not that of the weights in use, which
   *     no engine can change in place
   */
  ServedWeights swap(Path folder, Optional<String> version) {
    ServedWeights next = ServedWeights.load(folder, version);
    ModelConfig needed = current().model().config();
    if (!next.model().config().equals(needed)) {
      throw RequestException.status(
          400,
          folder
              + ": its config.json differs from the model in use: "
              + next.model().config()
              + " instead of "
              + needed
              + "; start an engine on it");
    }
    current.set(next);
    return next;
  }
}

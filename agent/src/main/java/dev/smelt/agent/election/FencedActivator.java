package dev.smelt.agent.election;

import dev.smelt.agent.control.Activator;
import dev.smelt.agent.control.Fence;
import dev.smelt.store.snapshot.Manifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Swaps only while this agent leads.
 *
 * <p>Failure semantics: a swap takes too long to keep others from taking over meanwhile. A leader
 * that finds itself deposed after a swap, say because it stood still in the middle, leaves a mark;
 * whoever leads then takes what the engine serves as unknown and swaps anew.
 */
public final class FencedActivator implements Activator {

  private final Activator activator;
  private final Fence fence;
  private final Path mark;

  /**
   * @param folder of the model, shared by all agents
   */
  public FencedActivator(Activator activator, Fence fence, Path folder) {
    this.activator = activator;
    this.fence = fence;
    this.mark = folder.resolve("swapped-late");
  }

  @Override
  public Result activate(Manifest snapshot) {
    fence.guard(snapshot::id);
    Result result = activator.activate(snapshot);
    try {
      fence.guard(snapshot::id);
    } catch (Fence.Deposed deposed) {
      leaveMark(snapshot);
      throw deposed;
    }
    return result;
  }

  @Override
  public boolean disturbed() {
    try {
      return Files.deleteIfExists(mark) || activator.disturbed();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void leaveMark(Manifest snapshot) {
    try {
      Files.writeString(mark, snapshot.id());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

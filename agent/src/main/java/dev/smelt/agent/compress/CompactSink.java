package dev.smelt.agent.compress;

import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.util.List;

/** Takes the compressed experts of one block after the other, in layer order. */
@FunctionalInterface
public interface CompactSink {

  /**
   * @param tensors all tensors that stand for the block's experts, named as in the compact form;
   *     their bytes must be written before this returns
   */
  void accept(MoeBlock block, List<Tensor> tensors) throws IOException;

  /** Whether it has the block's tensors already, so that they need not be made. */
  default boolean holds(MoeBlock block) {
    return false;
  }

  /**
   * Whether it has the expert of one group already, so that it need not be made and is not among
   * the tensors of its block.
   */
  default boolean holds(MoeBlock block, int group) {
    return false;
  }
}

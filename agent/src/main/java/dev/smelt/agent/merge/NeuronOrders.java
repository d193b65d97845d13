package dev.smelt.agent.merge;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * In which orders the members of a block's groups put their hidden neurons before they are
 * averaged.
 *
 * @param byMember neuron i of the average takes neuron p(i) of the member; members that are not
 *     there keep their stored order
 */
public record NeuronOrders(Map<Integer, int[]> byMember) {

  /** All members keep their stored order. */
  public static final NeuronOrders STORED = new NeuronOrders(Map.of());

  public NeuronOrders {
    byMember = Map.copyOf(byMember);
  }

  int @Nullable [] of(int member) {
    return byMember.get(member);
  }
}

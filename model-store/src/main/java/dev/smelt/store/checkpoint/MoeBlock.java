package dev.smelt.store.checkpoint;

import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * One sparse Mixture-of-Experts block of a model.
 *
 * @param name prefix of its tensors, for example {@code model.layers.0.block_sparse_moe}
 * @param layer number of the transformer layer (in Switch Transformers: of the block in its stack)
 * @param experts number of routed experts, and of router outputs
 * @param topK experts picked for each token
 * @param hidden model width d
 * @param width expert width F
 * @param activation between an expert's matrices
 * @param scoring how router outputs become gate weights
 * @param normalizedTopK whether the picked gate weights are scaled to sum to 1
 * @param roles weights that each expert has
 * @param routerWeight name of the router matrix [experts, hidden]
 * @param routerExtras names of further router tensors [experts]: bias, score correction
 */
public record MoeBlock(
    String name,
    int layer,
    int experts,
    int topK,
    int hidden,
    int width,
    Activation activation,
    Architecture.Scoring scoring,
    boolean normalizedTopK,
    Set<Role> roles,
    String routerWeight,
    List<String> routerExtras) {

  public MoeBlock {
    roles = Set.copyOf(roles);
    routerExtras = List.copyOf(routerExtras);
  }

  MoeBlock withWidth(int other) {
    return new MoeBlock(
        name,
        layer,
        experts,
        topK,
        hidden,
        other,
        activation,
        scoring,
        normalizedTopK,
        roles,
        routerWeight,
        routerExtras);
  }

  /** Name of the router's bias, where it has one. */
  public Optional<String> routerBias() {
    return routerExtras.stream().filter(name -> name.endsWith("bias")).findFirst();
  }

  /** Elements of one weight of an expert. */
  public int elements(Role role) {
    return Math.multiplyExact(role.rows(hidden, width), role.columns(hidden, width));
  }

  /** Shape of one weight of an expert in canonical orientation. */
  public List<Long> shape(Role role) {
    long rows = role.rows(hidden, width);
    return role.bias() ? List.of(rows) : List.of(rows, (long) role.columns(hidden, width));
  }
}

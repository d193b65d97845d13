package dev.smelt.agent.inference;

/**
 * New tokens of one sequence in a forward pass.
 *
 * @param cache what the sequence has seen before
 * @param tokens the tokens that follow
 */
record Segment(KeyValueCache cache, int[] tokens) {}

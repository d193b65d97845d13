package dev.smelt.store.checkpoint;

/**
 * A sparse block whose experts can't be read as numbers: it is tapped like all others, but stays as
 * it is in whatever is made of the checkpoint.
 *
 * @param name prefix of its tensors
 * @param layer number of the transformer layer
 * @param position among all sparse blocks, in the order in which taps count them
 * @param experts number of router outputs
 * @param topK experts picked for each token
 * @param reason why, naming a tensor and the remedy
 */
public record UntouchedBlock(
    String name, int layer, int position, int experts, int topK, String reason) {}

package dev.smelt.agent.inference;

/**
 * What the router of one layer decided for the tokens of a forward pass. The arrays are only lent:
 * they are overwritten after the call that hands them over, and must not be written to.
 *
 * @param layer index of the block in the model
 * @param tokens number of tokens, in the order of the pass
 * @param topK picks for each token
 * @param experts number of router outputs
 * @param inputs what router and experts see, tokens x hidden
 * @param selected the picked router outputs, tokens x topK, best first; never a masked one
 * @param weights the gate weights of the picks, tokens x topK; they sum to 1 for each token
 * @param logits all router outputs before masking and softmax, tokens x experts
 */
public record Routing(
    int layer,
    int tokens,
    int topK,
    int experts,
    float[] inputs,
    int[] selected,
    float[] weights,
    float[] logits) {}

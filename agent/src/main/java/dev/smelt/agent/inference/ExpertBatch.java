package dev.smelt.agent.inference;

/**
 * What one expert calculated in a forward pass. The arrays are only lent: they are overwritten
 * after the call that hands them over, may be longer than stated, and must not be written to.
 *
 * @param layer index of the block in the model
 * @param expert number of the expert; in a merged model, of the group
 * @param count number of tokens that were routed to it
 * @param tokens which tokens of the pass they are, ascending
 * @param gates gate weight of each, both picks added up where two lead to the same group
 * @param inputs count x hidden
 * @param activations what enters the down projection, count x the expert's width
 * @param outputs before weighting by the gate, count x hidden
 */
public record ExpertBatch(
    int layer,
    int expert,
    int count,
    int[] tokens,
    float[] gates,
    float[] inputs,
    float[] activations,
    float[] outputs) {}

package dev.smelt.agent.control;

import java.util.List;

/**
 * The traffic of one MoE block.
 *
 * @param block the block's name in the checkpoint
 * @param topK experts a token
 * @param tokens decayed tokens in the profile
 * @param requests decayed requests in the profile
 * @param frequency activation frequency [experts], summing to 1
 * @param baseline the frequency that the active snapshot was built from [experts]; empty without
 *     one
 */
public record BlockTraffic(
    String block,
    int topK,
    double tokens,
    double requests,
    List<Double> frequency,
    List<Double> baseline) {}

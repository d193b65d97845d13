package dev.smelt.agent.compress;

import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import java.util.Optional;

/**
 * How the groups of a plan become experts.
 *
 * @param alignment what members are aligned to before they are averaged
 * @param alignments remembers alignments from one compression to the next
 * @param factoring low rank and sparse rows of the merged weights; empty keeps them whole
 */
public record CompressOptions(
    Alignment alignment, AlignmentCache alignments, Optional<Factoring> factoring) {}

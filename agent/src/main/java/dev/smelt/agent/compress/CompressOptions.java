package dev.smelt.agent.compress;

import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;

/**
 * How the groups of a plan become experts.
 *
 * @param alignment what members are aligned to before they are averaged
 * @param alignments remembers alignments from one compression to the next
 * @param reduction what is done to merged experts before they are stored
 */
public record CompressOptions(
    Alignment alignment, AlignmentCache alignments, Reduction reduction) {}

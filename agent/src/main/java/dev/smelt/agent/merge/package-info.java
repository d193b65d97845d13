/** Alignment of an expert's neurons to another's, and weighted averages of aligned experts. */
@NullMarked
package dev.smelt.agent.merge;

import org.jspecify.annotations.NullMarked;

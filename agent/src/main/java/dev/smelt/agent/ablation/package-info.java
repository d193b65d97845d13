/** Compares compression strategies on one checkpoint and its traffic. */
@NullMarked
package dev.smelt.agent.ablation;

import org.jspecify.annotations.NullMarked;

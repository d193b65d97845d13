/**
 * Makes the compressed experts of a plan, one layer at a time: merges groups, refits and factors
 * them, and hands their tensors to a sink.
 */
@NullMarked
package dev.smelt.agent.compress;

import org.jspecify.annotations.NullMarked;

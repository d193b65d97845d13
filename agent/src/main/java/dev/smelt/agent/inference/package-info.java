/**
 * Forward passes of the Mixtral architecture: what the quality gate, traces and the reference
 * engine run. Weights may be stored in any floating-point type; all arithmetic is in 32 bits.
 */
@NullMarked
package dev.smelt.agent.inference;

import org.jspecify.annotations.NullMarked;

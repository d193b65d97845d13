/**
 * Makes engines serve a snapshot: in place, by exchanging replicas, or by waiting for an engine
 * that follows the store. Every way ends in a {@link dev.smelt.agent.swap.SwapResult} that says
 * what is served, or that it is not known.
 */
@NullMarked
package dev.smelt.agent.swap;

import org.jspecify.annotations.NullMarked;

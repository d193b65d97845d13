/** Synthetic traffic, and what the topology makes of it: how soon, how often wrongly, how fast. */
@NullMarked
package dev.smelt.streams.benchmark;

import org.jspecify.annotations.NullMarked;

/** The agent: everything in one process, from the tap to the swap. */
@NullMarked
package dev.smelt.agent;

import org.jspecify.annotations.NullMarked;

/** Runs the streams topology in the agent and reads what it finds. */
@NullMarked
package dev.smelt.agent.traffic;

import org.jspecify.annotations.NullMarked;

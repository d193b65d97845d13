/** Finds out what a running engine can do for Smelt, without changing anything. */
@NullMarked
package dev.smelt.agent.doctor;

import org.jspecify.annotations.NullMarked;

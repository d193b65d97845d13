/** The control loop: from a profile that moved to a snapshot that serves, and back. */
@NullMarked
package dev.smelt.agent.control;

import org.jspecify.annotations.NullMarked;

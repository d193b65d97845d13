/** The command line: one class for each command. */
@NullMarked
package dev.smelt.agent.cli;

import org.jspecify.annotations.NullMarked;

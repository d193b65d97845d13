/** The control loop in a year of simulated traffic, in minutes. */
@NullMarked
package dev.smelt.agent.simulation;

import org.jspecify.annotations.NullMarked;

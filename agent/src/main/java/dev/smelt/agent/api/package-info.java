/** The agent's HTTP interface: state, journal, operator actions, health and metrics. */
@NullMarked
package dev.smelt.agent.api;

import org.jspecify.annotations.NullMarked;

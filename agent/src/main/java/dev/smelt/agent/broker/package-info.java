/** The Kafka that the agent starts in its own process when the configuration names none. */
@NullMarked
package dev.smelt.agent.broker;

import org.jspecify.annotations.NullMarked;

/**
 * Reads router decisions off a serving engine: a proxy in front of it, an ingest route for hooks
 * inside it, and the way from a decision to a usage record on Kafka.
 */
@NullMarked
package dev.smelt.agent.tap;

import org.jspecify.annotations.NullMarked;

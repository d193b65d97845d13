/**
 * What traffic tells about the experts: usage of the routers, and second moments of activations
 * where the engine gives them.
 */
@NullMarked
package dev.smelt.agent.statistics;

import org.jspecify.annotations.NullMarked;

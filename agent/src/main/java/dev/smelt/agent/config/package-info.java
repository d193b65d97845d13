/** The agent's settings: one YAML file read into validating records. */
@NullMarked
package dev.smelt.agent.config;

import org.jspecify.annotations.NullMarked;

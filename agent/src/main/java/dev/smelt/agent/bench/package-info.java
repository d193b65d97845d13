/** Measures what the work is made of, each part against its limit or peer in the same run. */
@NullMarked
package dev.smelt.agent.bench;

import org.jspecify.annotations.NullMarked;

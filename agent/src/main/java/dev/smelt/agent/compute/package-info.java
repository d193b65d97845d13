/** Dense linear algebra: what merging, compression and inference calculate with. */
@NullMarked
package dev.smelt.agent.compute;

import org.jspecify.annotations.NullMarked;

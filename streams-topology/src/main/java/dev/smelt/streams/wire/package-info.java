/** The tagged binary encoding that every record of this room shares; see FORMAT.md. */
@NullMarked
package dev.smelt.streams.wire;

import org.jspecify.annotations.NullMarked;

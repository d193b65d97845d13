/** How far the traffic has moved from what the active snapshot was made for. */
@NullMarked
package dev.smelt.streams.drift;

import org.jspecify.annotations.NullMarked;

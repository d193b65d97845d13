/** What the traffic is like now, and what it was like when the active snapshot was made. */
@NullMarked
package dev.smelt.streams.profile;

import org.jspecify.annotations.NullMarked;

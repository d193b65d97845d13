/** The streams topology: from routing records to windows, profiles and drift. */
@NullMarked
package dev.smelt.streams.topology;

import org.jspecify.annotations.NullMarked;

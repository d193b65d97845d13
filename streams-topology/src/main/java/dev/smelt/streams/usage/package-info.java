/** What one layer's router decided: additive statistics, and the records that carry them. */
@NullMarked
package dev.smelt.streams.usage;

import org.jspecify.annotations.NullMarked;

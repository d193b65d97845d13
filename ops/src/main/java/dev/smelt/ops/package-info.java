/** What runs the whole: the entry point and the demo. */
@NullMarked
package dev.smelt.ops;

import org.jspecify.annotations.NullMarked;

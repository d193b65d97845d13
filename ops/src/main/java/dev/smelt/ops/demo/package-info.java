/**
 * The demo: a trained model served, tapped, merged anew when its traffic shifts, and rolled back.
 */
@NullMarked
package dev.smelt.ops.demo;

import org.jspecify.annotations.NullMarked;

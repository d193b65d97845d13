/** The whole, as a user runs it. */
@NullMarked
package dev.smelt.tests;

import org.jspecify.annotations.NullMarked;

/** A browser for tests of pages. */
@NullMarked
package dev.smelt.tests.browser;

import org.jspecify.annotations.NullMarked;

/** What the Java library lacks for files. */
@NullMarked
package dev.smelt.store.files;

import org.jspecify.annotations.NullMarked;

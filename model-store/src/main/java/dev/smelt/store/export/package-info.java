/** Folders that serving engines load, made from a snapshot and its base checkpoint. */
@NullMarked
package dev.smelt.store.export;

import org.jspecify.annotations.NullMarked;

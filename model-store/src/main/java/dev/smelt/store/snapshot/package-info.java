/** Immutable snapshots of compressed experts, the blobs they share and the refs that name them. */
@NullMarked
package dev.smelt.store.snapshot;

import org.jspecify.annotations.NullMarked;

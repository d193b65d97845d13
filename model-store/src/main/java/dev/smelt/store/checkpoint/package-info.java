/** Checkpoints of sparse Mixture-of-Experts models: where each architecture keeps its experts. */
@NullMarked
package dev.smelt.store.checkpoint;

import org.jspecify.annotations.NullMarked;

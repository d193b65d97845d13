/** The safetensors file format: a strict reader over mapped memory and a durable writer. */
@NullMarked
package dev.smelt.store.safetensors;

import org.jspecify.annotations.NullMarked;

package dev.smelt.streams.topology;

import org.jspecify.annotations.Nullable;

/** The bytes of a record that was refused, null if there were none. */
record DeadLetter(byte @Nullable [] value) {}

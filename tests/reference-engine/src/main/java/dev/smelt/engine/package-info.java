/**
 * A small serving engine over the agent's inference, with the interfaces of vLLM and SGLang that
 * Smelt uses: it stands where a real engine would, in the demo and in tests.
 */
@NullMarked
package dev.smelt.engine;

import org.jspecify.annotations.NullMarked;

/** Which of several agents acts for their models. */
@NullMarked
package dev.smelt.agent.election;

import org.jspecify.annotations.NullMarked;

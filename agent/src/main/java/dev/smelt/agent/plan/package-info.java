/** What to merge: how many groups each layer keeps and which experts form them. Pure functions. */
@NullMarked
package dev.smelt.agent.plan;

import org.jspecify.annotations.NullMarked;

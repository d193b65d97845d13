package dev.smelt.agent.bench;

import java.util.OptionalDouble;

/**
 * One measured figure.
 *
 * @param what was measured
 * @param value in the unit
 * @param unit of both values
 * @param peer what it is held against
 * @param peerValue the peer's figure in the same run; empty where the peer is not there
 */
public record Figure(
    String what, double value, String unit, String peer, OptionalDouble peerValue) {}

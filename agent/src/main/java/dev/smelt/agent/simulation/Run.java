package dev.smelt.agent.simulation;

import java.util.List;

/**
 * What happened in one run.
 *
 * @param way its name
 * @param served for each window the number under which {@link Losses} knows what served
 * @param remerges re-merges that merged something
 * @param skipped re-merges that found nothing material to change
 * @param recalls earlier snapshots that were let serve again without a re-merge
 * @param rollbacks snapshots that the canary took back
 */
record Run(
    String way, List<Integer> served, int remerges, int skipped, int recalls, int rollbacks) {}

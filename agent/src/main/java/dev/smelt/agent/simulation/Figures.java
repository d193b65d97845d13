package dev.smelt.agent.simulation;

import java.time.Instant;

/**
 * How a way did.
 *
 * @param way its name
 * @param meanLoss bits per byte over the full model, each request counted once
 * @param remerges re-merges that merged something
 * @param skipped re-merges that found nothing material to change
 * @param recalls earlier snapshots that were let serve again without a re-merge
 * @param rollbacks snapshots that the canary took back
 * @param fullModelShare share of the requests that the full model answered
 * @param meanRegret how much less the best snapshot of any way would have lost in each hour
 * @param worstRegret the same in the worst hour
 * @param worstHour when it began
 */
public record Figures(
    String way,
    double meanLoss,
    int remerges,
    int skipped,
    int recalls,
    int rollbacks,
    double fullModelShare,
    double meanRegret,
    double worstRegret,
    Instant worstHour) {}

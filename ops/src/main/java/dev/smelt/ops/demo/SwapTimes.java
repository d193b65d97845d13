package dev.smelt.ops.demo;

import dev.smelt.ops.demo.Clients.Answered;
import java.util.ArrayList;
import java.util.List;

/** When swaps were under way, to tell the latency of requests beside them from that of others. */
final class SwapTimes {

  private record Interval(long from, long to) {
    boolean overlaps(Answered request) {
      return request.startedNanos() <= to && request.endedNanos() >= from;
    }
  }

  private final List<Interval> intervals = new ArrayList<>();

  void add(long fromNanos, long toNanos) {
    intervals.add(new Interval(fromNanos, toNanos));
  }

  Report.Latency latency(List<Answered> requests) {
    double[] during = milliseconds(requests, true);
    double[] apart = milliseconds(requests, false);
    return new Report.Latency(
        quantile(apart, 0.5), quantile(apart, 0.99), quantile(during, 0.5), quantile(during, 0.99));
  }

  private double[] milliseconds(List<Answered> requests, boolean beside) {
    return requests.stream()
        .filter(
            request ->
                intervals.stream().anyMatch(interval -> interval.overlaps(request)) == beside)
        .mapToDouble(Answered::milliseconds)
        .sorted()
        .toArray();
  }

  /** The smallest value that at least the given share of the sorted values does not exceed. */
  private static Double quantile(double[] sorted, double share) {
    if (sorted.length == 0) {
      return null;
    }
    int rank = (int) Math.ceil(share * sorted.length);
    return sorted[Math.max(0, Math.min(sorted.length, rank) - 1)];
  }
}

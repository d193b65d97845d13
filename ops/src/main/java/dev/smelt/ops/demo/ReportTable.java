package dev.smelt.ops.demo;

import java.io.PrintWriter;
import java.util.Locale;

/** The report as a person reads it. */
final class ReportTable {

  private final Report report;

  ReportTable(Report report) {
    this.report = report;
  }

  void print(PrintWriter out) {
    out.println();
    line(
        out,
        "%-8s  %-22s  %6s  %6s  %8s  %6s  %s",
        "phase",
        "traffic",
        "full",
        "static",
        "adaptive",
        "drift",
        "snapshot at its end");
    for (Report.Phase phase : report.phases()) {
      line(
          out,
          "%-8s  %-22s  %6.3f  %6.3f  %8.3f  %6.3f  %s",
          phase.name(),
          String.join(", ", phase.domains()),
          phase.bitsPerByte().full(),
          phase.bitsPerByte().staticOnce(),
          phase.bitsPerByte().adaptive(),
          phase.peakDrift(),
          phase.snapshot());
    }
    out.println(
        "(bits per byte on text that neither clients nor gate have seen; drift at its peak)");
    out.println();
    line(
        out,
        "expert memory      %.1f MB full, %.1f MB adaptive (%.0f %%)",
        report.expertBytes().full() / 1e6,
        report.expertBytes().adaptive() / 1e6,
        100.0 * report.expertBytes().adaptive() / report.expertBytes().full());
    line(
        out,
        "requests           %d served, %d failed",
        report.requests().served(),
        report.requests().failed());
    line(
        out,
        "latency            p50 %s, p99 %s; during a swap p50 %s, p99 %s",
        milliseconds(report.latencyMs().p50()),
        milliseconds(report.latencyMs().p99()),
        milliseconds(report.latencyMs().p50DuringSwap()),
        milliseconds(report.latencyMs().p99DuringSwap()));
    line(out, "re-merges          %d", report.remerges());
    line(
        out,
        "shift to adapted   %s",
        report.secondsToAdapt() == null
            ? "not within the phase"
            : String.format(Locale.ROOT, "%.1f s", report.secondsToAdapt()));
    line(
        out,
        "shift back         %s",
        report.secondsToRecall() == null
            ? "another snapshot was made"
            : String.format(
                Locale.ROOT,
                "the snapshot of phase A serves again after %.1f s, nothing rebuilt",
                report.secondsToRecall()));
    line(
        out,
        "rollback           %s -> %s, digests %s",
        report.rollback().from(),
        report.rollback().to(),
        report.rollback().digestsIdentical() ? "identical" : "DIFFERENT");
    out.flush();
  }

  private static String milliseconds(Double value) {
    return value == null ? "-" : String.format(Locale.ROOT, "%.1f ms", value);
  }

  private static void line(PrintWriter out, String pattern, Object... values) {
    out.println(String.format(Locale.ROOT, pattern, values));
  }
}

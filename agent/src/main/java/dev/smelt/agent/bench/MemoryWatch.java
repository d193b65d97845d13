package dev.smelt.agent.bench;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Looks at this process's memory every few milliseconds and keeps the peaks. */
final class MemoryWatch implements AutoCloseable {

  private static final long MILLIS = 20;
  private static final Path STATUS = Path.of("/proc/self/status");

  /**
   * In bytes; what the system does not tell is 0.
   *
   * @param heap used, garbage included
   * @param anonymous resident and not backed by a file: heap, buffers, native memory
   * @param resident altogether, with pages of mapped files that the system takes back when it wants
   */
  record Peaks(long heap, long anonymous, long resident) {

    Peaks max(Peaks other) {
      return new Peaks(
          Math.max(heap, other.heap),
          Math.max(anonymous, other.anonymous),
          Math.max(resident, other.resident));
    }
  }

  private final ScheduledExecutorService thread = Executors.newSingleThreadScheduledExecutor();
  private volatile Peaks peaks = new Peaks(0, 0, 0);

  private MemoryWatch() {}

  static MemoryWatch start() {
    MemoryWatch watch = new MemoryWatch();
    watch.thread.scheduleAtFixedRate(watch::look, 0, MILLIS, TimeUnit.MILLISECONDS);
    return watch;
  }

  Peaks peaks() {
    return peaks;
  }

  private void look() {
    long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    List<String> status;
    try {
      status = Files.readAllLines(STATUS);
    } catch (IOException elsewhere) {
      status = List.of();
    }
    peaks = peaks.max(new Peaks(heap, bytes(status, "RssAnon:"), bytes(status, "VmRSS:")));
  }

  private static long bytes(List<String> status, String field) {
    return status.stream()
        .filter(line -> line.startsWith(field))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
        .findFirst()
        .orElse(0);
  }

  @Override
  public void close() {
    thread.shutdownNow();
  }
}

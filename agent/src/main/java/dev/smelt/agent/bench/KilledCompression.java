package dev.smelt.agent.bench;

import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.plan.Strategy;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A compression in a process of its own that is killed on the way and begun again. */
final class KilledCompression {

  private static final long LIMIT_MINUTES = 30;
  private static final long MILLIS = 5;

  private KilledCompression() {}

  /**
   * @param finished layers that were there when the first process was killed
   * @param kept those that the second one left as they were
   * @param seconds that the second one took
   */
  record Resumed(long finished, long kept, double seconds) {}

  /** The process: source, strategy, alignment and folder to work in. */
  public static void main(String[] arguments) throws IOException {
    CompressBench.compress(
        Path.of(arguments[0]),
        new CompressBench.Method(Strategy.named(arguments[1]), Alignment.named(arguments[2])),
        Path.of(arguments[3]),
        Progress.none());
  }

  /**
   * Kills the process once it has finished some layers, and lets another go on. Neither runs on
   * when this returns or throws.
   *
   * @throws IOException if a process fails
   */
  static Resumed run(Path source, CompressBench.Method method, int layers, Path work)
      throws IOException, InterruptedException {
    Path folder = CompressBench.layers(work);
    Process first = start(source, method, work);
    try {
      while (first.isAlive() && finished(folder).size() < layers) {
        Thread.sleep(MILLIS);
      }
    } finally {
      first.destroyForcibly().waitFor();
    }
    Map<Path, FileTime> before = finished(folder);
    long began = System.nanoTime();
    Process second = start(source, method, work);
    try {
      if (!second.waitFor(LIMIT_MINUTES, TimeUnit.MINUTES) || second.exitValue() != 0) {
        throw new IOException(work + ": the compression that was begun again did not end well");
      }
    } finally {
      second.destroyForcibly().waitFor();
    }
    double seconds = (System.nanoTime() - began) / 1e9;
    Map<Path, FileTime> after = finished(folder);
    long kept =
        before.keySet().stream().filter(file -> before.get(file).equals(after.get(file))).count();
    return new Resumed(before.size(), kept, seconds);
  }

  private static Process start(Path source, CompressBench.Method method, Path work)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(ProcessHandle.current().info().command().orElse("java"));
    command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            KilledCompression.class.getName(),
            source.toString(),
            method.strategy().toString(),
            method.alignment().toString(),
            work.toString()));
    return new ProcessBuilder(command).inheritIO().start();
  }

  private static Map<Path, FileTime> finished(Path folder) throws IOException {
    Map<Path, FileTime> times = new HashMap<>();
    if (!Files.exists(folder)) {
      return times;
    }
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(name -> name.toString().endsWith(".safetensors")).toList()) {
        times.put(file, Files.getLastModifiedTime(file));
      }
    }
    return times;
  }

  /** How many files of two folders are in one of them only or not the same in both. */
  static long differing(Path one, Path other) throws IOException {
    List<Path> names = new ArrayList<>();
    for (Path folder : List.of(one, other)) {
      try (Stream<Path> files = Files.list(folder)) {
        files.map(Path::getFileName).filter(name -> !names.contains(name)).forEach(names::add);
      }
    }
    long differing = 0;
    for (Path name : names) {
      Path first = one.resolve(name);
      Path second = other.resolve(name);
      if (!Files.exists(first) || !Files.exists(second) || Files.mismatch(first, second) >= 0) {
        differing++;
      }
    }
    return differing;
  }
}

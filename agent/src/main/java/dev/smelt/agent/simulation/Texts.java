package dev.smelt.agent.simulation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Held-out texts, one a kind, each in three parts that nothing but their own use sees.
 *
 * @param kinds names of the files, without {@code .txt}
 * @param requested what the simulated requests are cut from
 * @param measured what the losses are measured on
 * @param judged what the gate judges candidates on
 */
record Texts(
    List<String> kinds, List<byte[]> requested, List<byte[]> measured, List<byte[]> judged) {

  private static final int PARTS = 3;

  /**
   * @param scored bytes of each text to measure losses on, and as many to judge candidates on
   * @throws IOException if the folder holds fewer than two texts or one is too short
   */
  static Texts read(Path folder, int scored) throws IOException {
    List<Path> files;
    try (Stream<Path> listed = Files.list(folder)) {
      files = listed.filter(file -> file.toString().endsWith(".txt")).sorted().toList();
    }
    if (files.size() < 2) {
      throw new IOException(folder + ": needs .txt files of at least two kinds");
    }
    List<String> kinds = new ArrayList<>();
    List<byte[]> requested = new ArrayList<>();
    List<byte[]> measured = new ArrayList<>();
    List<byte[]> judged = new ArrayList<>();
    for (Path file : files) {
      byte[] text = Files.readAllBytes(file);
      int part = text.length / PARTS;
      if (part < scored) {
        throw new IOException(file + ": too short; use texts of 100 kB and more");
      }
      String name = file.getFileName().toString();
      kinds.add(name.substring(0, name.length() - ".txt".length()));
      requested.add(Arrays.copyOf(text, part));
      measured.add(Arrays.copyOfRange(text, part, part + scored));
      judged.add(Arrays.copyOfRange(text, 2 * part, 2 * part + scored));
    }
    return new Texts(kinds, requested, measured, judged);
  }
}

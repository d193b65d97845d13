package dev.smelt.ops.demo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;

/**
 * Text of one kind, cut into parts that never mix: the first half is sent as traffic, the next
 * quarter is what the gate judges candidates on, the last quarter is what the report is measured
 * on.
 *
 * @param name the file's name without its ending
 * @param text the whole text as UTF-8 bytes
 */
record Domain(String name, byte[] text) {

  private static final int SMALLEST = 32 * 1024;
  private static final String ENDING = ".txt";

  /**
   * Reads a folder of {@code .txt} files, one a domain, in the order of their names.
   *
   * @throws IllegalArgumentException if there are fewer than four or one is too short
   */
  static List<Domain> readAll(Path folder) throws IOException {
    List<Path> files;
    try (Stream<Path> entries = Files.list(folder)) {
      files = entries.filter(file -> file.toString().endsWith(ENDING)).sorted().toList();
    }
    if (files.size() < 4) {
      throw new IllegalArgumentException(
          folder
              + ": the demo shifts between domains; give at least four .txt files, one a domain");
    }
    List<Domain> domains = new ArrayList<>();
    for (Path file : files) {
      byte[] text = Files.readAllBytes(file);
      if (text.length < SMALLEST) {
        throw new IllegalArgumentException(
            file + ": " + text.length + " bytes are too few; give at least " + SMALLEST);
      }
      String name = file.getFileName().toString();
      domains.add(new Domain(name.substring(0, name.length() - ENDING.length()), text));
    }
    return domains;
  }

  /** A random piece of the traffic half, whole characters only. */
  String prompt(RandomGenerator random, int bytes) {
    int start = characterStart(random.nextInt(text.length / 2 - bytes));
    int end = characterStart(start + bytes);
    return new String(text, start, end - start, StandardCharsets.UTF_8);
  }

  byte[] gateText() {
    return part(text.length / 2, text.length * 3 / 4);
  }

  byte[] measuredText(int bytes) {
    return part(text.length * 3 / 4, Math.min(text.length, text.length * 3 / 4 + bytes));
  }

  private byte[] part(int from, int to) {
    return java.util.Arrays.copyOfRange(text, characterStart(from), to);
  }

  private int characterStart(int position) {
    int start = position;
    while (start > 0 && (text[start] & 0xC0) == 0x80) {
      start--;
    }
    return start;
  }
}

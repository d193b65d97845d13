package dev.smelt.agent.inference;

import java.util.ArrayList;
import java.util.List;

/**
 * A stretch of text as a byte-level model is measured on it: byte 0 starts the sequence, then each
 * byte is predicted from those before it.
 *
 * @param tokens byte 0 and all bytes but the last
 * @param targets all bytes
 */
record Window(int[] tokens, int[] targets) {

  /** Bytes of a whole window. */
  static final int SIZE = 256;

  /** Consecutive windows of a text; the last one may be shorter. */
  static List<Window> of(byte[] text) {
    List<Window> windows = new ArrayList<>();
    for (int from = 0; from < text.length; from += SIZE) {
      int count = Math.min(SIZE, text.length - from);
      int[] targets = new int[count];
      for (int i = 0; i < count; i++) {
        targets[i] = text[from + i] & 0xff;
      }
      int[] tokens = new int[count];
      System.arraycopy(targets, 0, tokens, 1, count - 1);
      windows.add(new Window(tokens, targets));
    }
    return windows;
  }

  /** All windows of several texts in chunks that are worth a forward pass. */
  static List<List<Window>> chunks(List<byte[]> texts) {
    List<Window> windows = texts.stream().flatMap(text -> of(text).stream()).toList();
    int size = 8;
    List<List<Window>> chunks = new ArrayList<>();
    for (int from = 0; from < windows.size(); from += size) {
      chunks.add(windows.subList(from, Math.min(windows.size(), from + size)));
    }
    return chunks;
  }

  static List<int[]> sequences(List<Window> windows) {
    return windows.stream().map(Window::tokens).toList();
  }

  static int bytes(List<Window> windows) {
    return windows.stream().mapToInt(window -> window.targets.length).sum();
  }
}

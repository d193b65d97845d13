package dev.smelt.agent.tap;

import io.vertx.core.buffer.Buffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/**
 * Lets server-sent events pass line by line and shows those lines that carry routed experts to a
 * rewriter. A line is held back only until it is complete; one that grows beyond the limit passes
 * unread, and so does everything after it.
 */
final class EventFilter implements FilteredStream.Filter {

  private static final byte[] DATA = "data:".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] MARK = "\"routed_experts\"".getBytes(StandardCharsets.US_ASCII);

  private final int maxLine;
  private final UnaryOperator<byte[]> rewriter;
  private Buffer held = Buffer.buffer();
  private boolean unread;

  /**
   * @param rewriter takes the JSON of an event and returns what the client is to see
   */
  EventFilter(int maxLine, UnaryOperator<byte[]> rewriter) {
    this.maxLine = maxLine;
    this.rewriter = rewriter;
  }

  @Override
  public Buffer pass(Buffer chunk) {
    if (unread) {
      return chunk;
    }
    int complete = lastLineEnd(chunk) + 1;
    if (complete == 0) {
      held.appendBuffer(chunk);
      return held.length() > maxLine ? giveUp() : Buffer.buffer();
    }
    Buffer lines =
        held.length() == 0 ? chunk.slice(0, complete) : held.appendBuffer(chunk, 0, complete);
    held = Buffer.buffer();
    held.appendBuffer(chunk, complete, chunk.length() - complete);
    return rewrite(lines.getBytes());
  }

  @Override
  public Buffer rest() {
    return unread ? Buffer.buffer() : giveUp();
  }

  private Buffer giveUp() {
    unread = true;
    Buffer all = held;
    held = Buffer.buffer();
    return all;
  }

  private Buffer rewrite(byte[] lines) {
    if (indexOf(lines, MARK, 0, lines.length) < 0) {
      return Buffer.buffer(lines);
    }
    Buffer rewritten = Buffer.buffer(lines.length);
    int begin = 0;
    while (begin < lines.length) {
      int end = begin;
      while (lines[end] != '\n') {
        end++;
      }
      int text = end > begin && lines[end - 1] == '\r' ? end - 1 : end;
      if (startsWithData(lines, begin, text) && indexOf(lines, MARK, begin, text) >= 0) {
        int json = begin + DATA.length;
        rewritten.appendBytes(lines, begin, DATA.length);
        if (lines[json] == ' ') {
          rewritten.appendByte((byte) ' ');
          json++;
        }
        rewritten.appendBytes(rewriter.apply(Arrays.copyOfRange(lines, json, text)));
        rewritten.appendBytes(lines, text, end + 1 - text);
      } else {
        rewritten.appendBytes(lines, begin, end + 1 - begin);
      }
      begin = end + 1;
    }
    return rewritten;
  }

  private static int lastLineEnd(Buffer chunk) {
    for (int i = chunk.length() - 1; i >= 0; i--) {
      if (chunk.getByte(i) == '\n') {
        return i;
      }
    }
    return -1;
  }

  private static boolean startsWithData(byte[] lines, int begin, int end) {
    return end - begin > DATA.length && indexOf(lines, DATA, begin, begin + DATA.length) == begin;
  }

  private static int indexOf(byte[] text, byte[] pattern, int from, int to) {
    for (int i = from; i <= to - pattern.length; i++) {
      int j = 0;
      while (j < pattern.length && text[i + j] == pattern[j]) {
        j++;
      }
      if (j == pattern.length) {
        return i;
      }
    }
    return -1;
  }
}

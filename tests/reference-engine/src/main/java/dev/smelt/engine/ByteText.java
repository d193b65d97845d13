package dev.smelt.engine;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Turns bytes into text as they come. A character appears when its last byte has come; bytes that
 * can't become one appear as the replacement character U+FFFD.
 */
final class ByteText {

  /** The token that starts each sequence. */
  static final int START = 0;

  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPLACE)
          .onUnmappableCharacter(CodingErrorAction.REPLACE);
  private final ByteBuffer pending = ByteBuffer.allocate(16);

  /** The characters that are complete with one more byte. */
  String append(int token) {
    pending.put((byte) token).flip();
    CharBuffer characters = CharBuffer.allocate(16);
    decoder.decode(pending, characters, false);
    pending.compact();
    return characters.flip().toString();
  }

  /** What is left when no more bytes come. */
  String end() {
    pending.flip();
    CharBuffer characters = CharBuffer.allocate(16);
    decoder.decode(pending, characters, true);
    decoder.flush(characters);
    decoder.reset();
    pending.clear();
    return characters.flip().toString();
  }

  /** The start token and the bytes of a text in UTF-8. */
  static int[] tokens(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    int[] tokens = new int[bytes.length + 1];
    tokens[0] = START;
    for (int i = 0; i < bytes.length; i++) {
      tokens[i + 1] = bytes[i] & 0xff;
    }
    return tokens;
  }

  /** Tokens from an index on as text. */
  static String text(int[] tokens, int from, int to) {
    byte[] bytes = new byte[to - from];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) tokens[from + i];
    }
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** A token's name: its character, or {@code bytes:\xNN} where it is part of one only. */
  static String name(int token) {
    return token < 0x80 ? String.valueOf((char) token) : "bytes:\\x%02x".formatted(token);
  }
}

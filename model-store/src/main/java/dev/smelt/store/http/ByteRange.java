package dev.smelt.store.http;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A byte range request (RFC 9110, section 14) of one range; several are answered in whole. */
sealed interface ByteRange {

  /** No range, or one of a kind that is not known. */
  record Whole() implements ByteRange {}

  /** Bytes {@code first} to {@code last}, both included. */
  record Part(long first, long last) implements ByteRange {
    long length() {
      return last - first + 1;
    }
  }

  /** Nothing of the content is in the range. */
  record Unsatisfiable() implements ByteRange {}

  Pattern FORM = Pattern.compile("bytes=([0-9]{0,18})-([0-9]{0,18})");

  static ByteRange of(String header, long length) {
    Matcher matcher = FORM.matcher(header);
    if (!matcher.matches() || matcher.group(1).isEmpty() && matcher.group(2).isEmpty()) {
      return new Whole();
    }
    if (matcher.group(1).isEmpty()) {
      long suffix = Math.min(Long.parseLong(matcher.group(2)), length);
      return suffix == 0 ? new Unsatisfiable() : new Part(length - suffix, length - 1);
    }
    long first = Long.parseLong(matcher.group(1));
    long last =
        matcher.group(2).isEmpty()
            ? length - 1
            : Math.min(Long.parseLong(matcher.group(2)), length - 1);
    if (!matcher.group(2).isEmpty() && Long.parseLong(matcher.group(2)) < first) {
      return new Whole();
    }
    return first >= length ? new Unsatisfiable() : new Part(first, last);
  }
}

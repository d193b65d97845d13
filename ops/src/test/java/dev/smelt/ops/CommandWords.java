package dev.smelt.ops;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A command line as a page shows it, taken apart as a shell would. */
final class CommandWords {

  private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|'([^']*)'|(\\S+)");

  private CommandWords() {}

  /** The words up to a redirection, a pipe or a comment; what stands in {@code <( )} by itself. */
  static List<String> of(String line) {
    Matcher substituted = Pattern.compile("<\\((.*)\\)").matcher(line);
    String command = substituted.find() ? substituted.group(1) : line;
    List<String> words = new ArrayList<>();
    Matcher matcher = WORD.matcher(command);
    while (matcher.find()) {
      if (matcher.group(3) != null && matcher.group(3).matches("[|>#&].*")) {
        break;
      }
      words.add(
          matcher.group(1) != null
              ? matcher.group(1)
              : matcher.group(2) != null ? matcher.group(2) : matcher.group(3));
    }
    return words;
  }
}

package dev.smelt.tests;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The commands that pages show: indented lines outside of tables and fenced output. */
final class DocumentedCommands {

  private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|(\\S+)");
  private static final String OURS = "(source <\\()?(\\S*/)?(smelt|mvn|head|tail|reproduce)\\b.*";
  private static final List<String> ROOTS =
      List.of("agent", "model-store", "streams-topology", "ops", "tests");

  /**
   * A command.
   *
   * @param page where it stands, from the root of the repository
   * @param line as it is shown, a comment after it left out
   */
  record Shown(String page, String line) {

    /** The words after {@code ops/smelt} or whatever the program is called there. */
    List<String> arguments() {
      List<String> words = words();
      return words.subList(1, words.size());
    }

    String program() {
      return words().get(0);
    }

    private List<String> words() {
      String command = line.replaceAll("^source <\\((.*)\\)$|^(?:[A-Z_0-9]+=\\S+ )+", "$1");
      List<String> words = new ArrayList<>();
      Matcher matcher = WORD.matcher(command);
      while (matcher.find()) {
        words.add(matcher.group(1) == null ? matcher.group(2) : matcher.group(1));
      }
      return words;
    }

    @Override
    public String toString() {
      return page + ": " + line;
    }
  }

  private DocumentedCommands() {}

  /** Every page but the generated one of commands. */
  static List<Path> pages() throws IOException {
    Path home = CommandLineRun.home();
    List<Path> pages = new ArrayList<>(List.of(home.resolve("README.md")));
    for (String root : ROOTS) {
      try (Stream<Path> files = Files.walk(home.resolve(root))) {
        files
            .filter(file -> file.toString().endsWith(".md"))
            .filter(file -> !file.toString().contains("/target/"))
            .filter(file -> !file.endsWith("commands.md"))
            .sorted()
            .forEach(pages::add);
      }
    }
    return pages;
  }

  /** Those of every page that is no output of a test. */
  static List<Shown> all() throws IOException {
    Path home = CommandLineRun.home();
    return pages().stream().flatMap(page -> of(home, page).stream()).toList();
  }

  /**
   * Those of pages on which an indented line is a command and nothing else: the README, the how-tos
   * and the pages of the engines.
   */
  static List<Shown> ofHowTos() throws IOException {
    Path home = CommandLineRun.home();
    List<Path> pages = new ArrayList<>(List.of(home.resolve("README.md")));
    for (String folder : List.of("ops/docs", "ops/engines")) {
      try (Stream<Path> files = Files.list(home.resolve(folder))) {
        files.filter(file -> file.toString().endsWith(".md")).sorted().forEach(pages::add);
      }
    }
    return pages.stream().flatMap(page -> indented(home, page).stream()).toList();
  }

  static List<Shown> of(String page) {
    return of(CommandLineRun.home(), CommandLineRun.home().resolve(page));
  }

  private static List<Shown> of(Path home, Path page) {
    return indented(home, page).stream().filter(shown -> shown.line().matches(OURS)).toList();
  }

  private static List<Shown> indented(Path home, Path page) {
    List<Shown> found = new ArrayList<>();
    boolean fenced = false;
    for (String line : lines(page)) {
      if (line.strip().startsWith("```")) {
        fenced = !fenced;
      } else if (!fenced && line.startsWith("    ")) {
        String command = line.strip().replaceAll("\\s+#.*", "");
        found.add(new Shown(home.relativize(page).toString(), command));
      }
    }
    return found;
  }

  private static List<String> lines(Path page) {
    try {
      return Files.readAllLines(page);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

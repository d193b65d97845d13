package dev.smelt.ops;

import static java.util.stream.Collectors.joining;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi.Text;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

class CommandsPageTest {

  private static final List<String> EVERYWHERE = List.of("--help", "--version", "--stacktrace");
  private static final String HELP = "help";

  static Stream<String> examples() {
    return commands().stream().flatMap(CommandsPageTest::examples);
  }

  @Test
  void shouldExplainEveryCommand() throws IOException {
    GeneratedPage.check(Path.of("commands.md"), page());
  }

  @Test
  void shouldShowAnExampleOfEveryCommand() {
    for (CommandLine command : commands()) {
      assertThat(examples(command))
          .as(command.getCommandSpec().qualifiedName())
          .isNotEmpty()
          .allMatch(example -> example.contains(command.getCommandSpec().qualifiedName()));
    }
  }

  @Test
  void shouldDescribeEveryOption() {
    for (CommandLine command : commands()) {
      CommandSpec spec = command.getCommandSpec();
      Stream.<ArgSpec>concat(spec.options().stream(), spec.positionalParameters().stream())
          .forEach(
              argument ->
                  assertThat(argument.description())
                      .as(spec.qualifiedName() + " " + argument.paramLabel())
                      .isNotEmpty());
    }
  }

  @ParameterizedTest
  @MethodSource("examples")
  void shouldShowExamplesThatAreTypedAsTheyMustBe(String example) {
    List<String> words = CommandWords.of(example);
    assertThat(words.get(0)).isEqualTo("smelt");
    CommandLine commandLine = Smelt.commandLine();
    assertThatCode(
            () -> commandLine.parseArgs(words.subList(1, words.size()).toArray(String[]::new)))
        .as(example)
        .doesNotThrowAnyException();
  }

  private static List<CommandLine> commands() {
    List<CommandLine> found = new ArrayList<>();
    CommandLine root = Smelt.commandLine();
    found.add(root);
    collect(root, found);
    return found;
  }

  private static void collect(CommandLine command, List<CommandLine> into) {
    command.getSubcommands().entrySet().stream()
        .filter(entry -> !entry.getKey().equals(HELP))
        .map(Map.Entry::getValue)
        .sorted(Comparator.comparing(CommandLine::getCommandName))
        .forEach(
            subcommand -> {
              into.add(subcommand);
              collect(subcommand, into);
            });
  }

  private static String page() {
    StringBuilder page =
        new StringBuilder(
            """
            # Commands

            `ops/smelt` in a clone, `bin/smelt` in an unpacked archive; below it is called `smelt`. Results go to standard
            output, progress and errors to standard error. This page is generated from the commands themselves, as is what
            `smelt help COMMAND` prints.

            Commands and options complete in bash and zsh after `source <(ops/smelt completion)`.

            | exit code | what it means |
            |---|---|
            """);
    CommandLine root = Smelt.commandLine();
    root.getCommandSpec()
        .usageMessage()
        .exitCodeList()
        .forEach((code, meaning) -> row(page, code, meaning));
    row(page, "128 + n", "ended by signal n, as Ctrl-C (n = 2) does");
    page.append("\n| option of every command | what |\n|---|---|\n");
    root.getCommandSpec().options().stream()
        .filter(CommandsPageTest::everywhere)
        .forEach(option -> row(page, names(option), said(root.getHelp(), option)));
    commands().stream().skip(1).forEach(command -> append(page, command));
    return page.toString();
  }

  private static void append(StringBuilder page, CommandLine command) {
    CommandSpec spec = command.getCommandSpec();
    Help help = command.getHelp();
    page.append("\n## ").append(spec.qualifiedName()).append("\n\n");
    page.append(oneLine(String.join(" ", spec.usageMessage().description()))).append("\n\n");
    if (!command.getSubcommands().isEmpty()) {
      page.append("Commands: ")
          .append(
              command.getSubcommands().keySet().stream()
                  .filter(name -> !name.equals(HELP))
                  .sorted()
                  .map(name -> "`" + name + "`")
                  .collect(joining(", ")))
          .append("\n\n");
    }
    List<OptionSpec> options =
        spec.options().stream()
            .filter(option -> !everywhere(option))
            .filter(option -> !option.inherited())
            .toList();
    if (!options.isEmpty() || !spec.positionalParameters().isEmpty()) {
      page.append("| argument | what |\n|---|---|\n");
      for (PositionalParamSpec parameter : spec.positionalParameters()) {
        row(
            page,
            "`" + parameter.paramLabel() + (parameter.arity().max() > 1 ? "..." : "") + "`",
            (parameter.required() ? "Required. " : "") + said(help, parameter));
      }
      for (OptionSpec option : options) {
        row(page, names(option), (required(option) ? "Required. " : "") + said(help, option));
      }
      page.append('\n');
    }
    if (spec.options().stream().anyMatch(option -> option.inherited() && !everywhere(option))) {
      page.append("Takes the options of `")
          .append(spec.parent().qualifiedName())
          .append("` too.\n\n");
    }
    examples(command).forEach(example -> page.append("    ").append(example).append('\n'));
  }

  private static boolean everywhere(OptionSpec option) {
    return EVERYWHERE.contains(option.longestName());
  }

  private static boolean required(OptionSpec option) {
    return option.required() && option.group() == null;
  }

  private static String names(OptionSpec option) {
    String label = option.arity().max() == 0 ? "" : " " + option.paramLabel();
    String names = String.join("`, `", option.names());
    return "`" + names + label + (option.arity().max() > 1 ? "..." : "") + "`";
  }

  private static String said(Help help, OptionSpec option) {
    return joined(
        help.createDefaultOptionRenderer()
            .render(option, help.createDefaultParamLabelRenderer(), help.colorScheme()));
  }

  private static String said(Help help, PositionalParamSpec parameter) {
    return joined(
        help.createDefaultParameterRenderer()
            .render(parameter, help.createDefaultParamLabelRenderer(), help.colorScheme()));
  }

  private static String joined(Text[][] rows) {
    return oneLine(
        Arrays.stream(rows).map(row -> row[row.length - 1].plainString()).collect(joining(" ")));
  }

  private static String oneLine(String text) {
    return text.replaceAll("\\s+", " ").strip();
  }

  private static void row(StringBuilder page, String left, String right) {
    page.append("| ")
        .append(left.replace("|", "\\|"))
        .append(" | ")
        .append(right.replace("|", "\\|"))
        .append(" |\n");
  }

  private static Stream<String> examples(CommandLine command) {
    return Arrays.stream(command.getCommandSpec().usageMessage().footer())
        .map(line -> String.format(Locale.ROOT, line).strip());
  }
}

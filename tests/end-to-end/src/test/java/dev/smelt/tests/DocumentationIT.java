package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.smelt.ops.Smelt;
import dev.smelt.tests.DocumentedCommands.Shown;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the pages tell people to type. */
class DocumentationIT {

  private static final String TUTORIAL = "ops/docs/tutorial.md";
  private static final long LONGEST_SECONDS = 120;

  /** Commands that are only taken apart, by how they begin, and why. */
  private static final Map<String, String> NOT_RUN =
      Map.ofEntries(
          Map.entry("demo", "takes minutes; DemoST runs it"),
          Map.entry("up", "needs the reader's own checkpoint; AgentST and UpCheckTest run it"),
          Map.entry("doctor", "asks the reader's engine; DoctorCommandIT runs it"),
          Map.entry("drift", "asks a running agent; DemoST runs the tutorial's"),
          Map.entry("replay", "posts to a running agent; ReplayCommandIT runs it"),
          Map.entry("store", "works on the reader's store; StoreCommandTest and DemoST run it"),
          Map.entry("ablate", "takes minutes; the parts that it compares have tests"),
          Map.entry("bench", "measures for minutes"));

  private static final Path MODULES = CommandLineRun.home();

  @TempDir private Path folder;

  static Stream<Shown> smelt() throws IOException {
    return DocumentedCommands.all().stream().filter(command -> command.program().endsWith("smelt"));
  }

  static Stream<Shown> maven() throws IOException {
    return DocumentedCommands.all().stream().filter(command -> command.program().equals("mvn"));
  }

  @ParameterizedTest
  @MethodSource("smelt")
  void shouldShowCommandsThatAreTypedAsTheyMustBe(Shown command) {
    String[] arguments =
        command.arguments().stream()
            .map(word -> word.replace("$AGENT", "http://127.0.0.1:7070"))
            .toArray(String[]::new);
    assertThatCode(() -> Smelt.commandLine().parseArgs(arguments)).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @MethodSource("smelt")
  void shouldRunWhatIsShownOrSayWhyNot(Shown command) {
    if (!command.page().equals(TUTORIAL)) {
      assertThat(command.arguments().get(0))
          .as("%s is neither run with the tutorial nor excused", command)
          .isIn(excusedOrRunInTheTutorial());
    }
  }

  @ParameterizedTest
  @MethodSource("maven")
  void shouldNameModulesAndProfilesThatThereAre(Shown command) throws IOException {
    List<String> words = new ArrayList<>(command.arguments());
    int modules = words.indexOf("-pl");
    if (modules >= 0) {
      assertThat(List.of(words.get(modules + 1).split(",")))
          .allMatch(module -> Files.exists(MODULES.resolve(module).resolve("pom.xml")));
      words.subList(modules, modules + 2).clear();
    }
    assertThat(words)
        .filteredOn(word -> !word.startsWith("-"))
        .isNotEmpty()
        .isSubsetOf("verify", "package", "spotless:apply", "test");
  }

  @Test
  void shouldRunTheTutorialFromNothing() throws Exception {
    Files.createSymbolicLink(folder.resolve("tests"), CommandLineRun.home().resolve("tests"));
    for (Shown command : DocumentedCommands.of(TUTORIAL)) {
      boolean smelt = command.program().endsWith("smelt");
      if (!smelt || !NOT_RUN.containsKey(command.arguments().get(0))) {
        run(command, smelt);
      }
    }
    assertThat(folder.resolve("narrowed/config.json")).exists();
  }

  private void run(Shown command, boolean smelt) throws IOException, InterruptedException {
    List<String> line = new ArrayList<>();
    if (smelt) {
      line.addAll(
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "-XX:+UseParallelGC",
              "-cp",
              System.getProperty("java.class.path"),
              Smelt.class.getName()));
      line.addAll(command.arguments());
    } else {
      line.addAll(List.of("bash", "-c", command.line()));
    }
    Path said = folder.resolve("said.log");
    Process process =
        new ProcessBuilder(line)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    assertThat(process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)).as(command.line()).isTrue();
    assertThat(process.exitValue()).as("%s: %s", command.line(), Files.readString(said)).isZero();
  }

  private static List<String> excusedOrRunInTheTutorial() {
    Stream<String> run =
        DocumentedCommands.of(TUTORIAL).stream()
            .filter(command -> command.program().endsWith("smelt"))
            .map(command -> command.arguments().get(0));
    return Stream.concat(run, NOT_RUN.keySet().stream()).distinct().toList();
  }
}

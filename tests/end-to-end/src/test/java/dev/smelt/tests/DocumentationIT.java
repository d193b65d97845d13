package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.smelt.ops.Smelt;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.tests.DocumentedCommands.Shown;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the pages tell people to type. */
class DocumentationIT {

  private static final String TUTORIAL = "ops/docs/tutorial.md";
  private static final long LONGEST_SECONDS = 120;
  private static final long LARGEST_PICTURE = 150_000;
  private static final String TOKEN = "the-token-of-this-test";

  /** Commands that are only taken apart, by how they begin, and why. */
  private static final Map<String, String> NOT_RUN =
      Map.ofEntries(
          Map.entry("demo", "takes minutes; DemoST runs it"),
          Map.entry(
              "up", "needs the reader's engine; AgentST runs it, and UpCheckTest its --check"),
          Map.entry("doctor", "asks the reader's engine; DoctorCommandIT runs it"),
          Map.entry("drift", "asks a running agent; DemoST runs the tutorial's"),
          Map.entry("replay", "posts to a running agent; ReplayCommandIT runs it"),
          Map.entry(
              "store",
              "works on the reader's store; run below on a store of this test, and by DemoST"),
          Map.entry("ablate", "takes minutes; the parts that it compares have tests"),
          Map.entry("bench", "measures for minutes"));

  /**
   * Programs that are not of this repository, and what shows that they are told the right thing.
   */
  private static final Map<String, String> OTHER_PROGRAMS =
      Map.ofEntries(
          Map.entry("head", "run with the tutorial"),
          Map.entry("tail", "run with the tutorial"),
          Map.entry("mvn", "shouldNameModulesAndProfilesThatThereAre, and the build itself"),
          Map.entry("ops/package/reproduce", "builds twice for minutes"),
          Map.entry("tar", "ArchiveIT unpacks the archive"),
          Map.entry("ln", "ArchiveIT runs it from a link"),
          Map.entry("cp", "DeploymentFilesTest has systemd take the unit"),
          Map.entry("systemctl", "DeploymentFilesTest has systemd take the unit"),
          Map.entry("docker", "ImageIT runs the image and what compose.yaml makes of it"),
          Map.entry("helm", "HelmChartTest renders the chart by Helm itself"),
          Map.entry("rsync", "copies to the reader's machine"),
          Map.entry("python3", "starts the reader's SGLang"),
          Map.entry("vllm", "starts the reader's vLLM"),
          Map.entry("/usr/bin/python3", "HookIT runs the hook's tests"));

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
  void shouldShowNoProgramThatNothingVouchesFor() throws IOException {
    assertThat(DocumentedCommands.ofHowTos())
        .isNotEmpty()
        .filteredOn(command -> !command.program().endsWith("smelt"))
        .allSatisfy(command -> assertThat(OTHER_PROGRAMS).containsKey(command.program()));
    assertThat(MODULES.resolve("ops/package/reproduce")).isExecutable();
  }

  @Test
  void shouldLinkToWhatThereIsAndShowSmallPictures() throws IOException {
    Pattern link = Pattern.compile("]\\((?!https?:)([^)#\\s]+)");
    for (Path page : DocumentedCommands.pages()) {
      Matcher matcher = link.matcher(Files.readString(page));
      while (matcher.find()) {
        Path target = page.resolveSibling(matcher.group(1));
        assertThat(target).as("link of %s", page).exists();
        if (target.toString().endsWith(".png")) {
          assertThat(Files.size(target)).as("size of %s", target).isLessThan(LARGEST_PICTURE);
        }
      }
    }
  }

  @Test
  void shouldRunTheCommandsOfTheHowTosThatWorkOnAStore() throws Exception {
    Path root = folder.resolve("store");
    try (SnapshotStore store = SnapshotStore.open(root, Clock.systemUTC());
        Checkpoint checkpoint = Checkpoint.open(CommandLineRun.fixture())) {
      publish(store, checkpoint, "none", "base", "active");
      publish(store, checkpoint, "m-smoe", "active");
      publish(store, checkpoint, "m-smoe", "active");
    }
    try (RunningCommand serving = StoreServeIT.serve(root, TOKEN)) {
      String address = "http://127.0.0.1:" + StoreServeIT.port(serving);
      for (String page : List.of("ops/docs/rollback.md", "ops/docs/disaster-recovery.md")) {
        List<Shown> commands =
            DocumentedCommands.of(page).stream()
                .filter(command -> command.arguments().get(0).equals("store"))
                .toList();
        assertThat(commands).as(page).isNotEmpty();
        for (Shown command : commands) {
          CommandLineRun ran = CommandLineRun.of(here(command, root, address));
          assertThat(ran.exitCode()).as("%s: %s", command, ran.err()).isZero();
        }
      }
    }
    assertThat(folder.resolve("good/config.json")).exists();
  }

  @Test
  void shouldCheckTheConfigurationOfTheReadme() throws IOException {
    Matcher yaml =
        Pattern.compile("```yaml\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(CommandLineRun.home().resolve("README.md")));
    assertThat(yaml.find()).isTrue();
    Path file =
        Files.writeString(
            folder.resolve("smelt.yaml"),
            yaml.group(1).replace("/models/my-model", CommandLineRun.fixture().toString()));
    Files.createDirectory(folder.resolve("held-out"));
    for (String text : List.of("chat.txt", "code.txt")) {
      Files.writeString(folder.resolve("held-out").resolve(text), "some text of this kind");
    }

    CommandLineRun ran = CommandLineRun.of("up", "-c", file.toString(), "--check");

    assertThat(ran.exitCode()).as(ran.err()).isZero();
    assertThat(yaml.find()).as("a second configuration that is not checked").isFalse();
  }

  /** A command with the reader's paths, addresses and token replaced by those of this test. */
  private String[] here(Shown command, Path store, String address) {
    Stream<String> words =
        command.arguments().stream()
            .map(
                word ->
                    switch (word) {
                      case "/var/lib/smelt/store" -> store.toString();
                      case "/models/my-model" -> CommandLineRun.fixture().toString();
                      case "/models/my-model-good" -> folder.resolve("good").toString();
                      case "http://127.0.0.1:7070" -> address;
                      default -> word;
                    });
    return command.arguments().contains("--to")
        ? Stream.concat(words, Stream.of("--token", TOKEN)).toArray(String[]::new)
        : words.toArray(String[]::new);
  }

  /** A snapshot in which one expert stands for all of its layer, or one of the full model. */
  private static void publish(
      SnapshotStore store, Checkpoint checkpoint, String strategy, String... refs) {
    try (Publication publication = store.begin("my-model")) {
      if (!strategy.equals("none")) {
        checkpoint.blocks().forEach(block -> oneForAll(checkpoint, block, publication));
      }
      String id =
          publication
              .commit(ManifestDraft.of("ada", "by hand", strategy, checkpoint.digest()))
              .id();
      for (String ref : refs) {
        Optional<String> now = store.ref("my-model", ref).map(Ref::snapshot);
        store.moveRef("my-model", ref, now, id, new Reason("ada", "made for this test"));
      }
    }
  }

  private static void oneForAll(Checkpoint checkpoint, MoeBlock block, Publication publication) {
    publication.add(
        Tensor.ints(
            CompactNames.map(block.name()),
            List.of((long) block.experts()),
            new int[block.experts()]));
    for (Role role : block.roles()) {
      publication.add(
          Tensor.floats(
              CompactNames.weight(block.name(), 0, role),
              checkpoint.expertDType(block, role),
              block.shape(role),
              checkpoint.expert(block, 0, role)));
    }
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

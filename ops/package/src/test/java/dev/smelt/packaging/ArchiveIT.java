package dev.smelt.packaging;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ArchiveIT {

  private static final long LARGEST = 100_000_000;

  @TempDir private static Path folder;

  private static Path archive;
  private static Path home;

  @BeforeAll
  static void unpack() throws Exception {
    archive = Path.of(System.getProperty("smelt.archive"));
    Ran.successfully("tar", "-xzf", archive.toString(), "-C", folder.toString());
    try (Stream<Path> unpacked = Files.list(folder)) {
      home = unpacked.findFirst().orElseThrow();
    }
  }

  @Test
  void shouldRunFromALinkWithTheJavaOnThePath() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("linked"), home.resolve("bin/smelt"));

    String said =
        Ran.successfully(
            link.toString(), "inspect", home.resolve("tests/fixtures/byte-moe").toString());

    assertThat(said).contains("byte-moe: mixtral, full form", "16 experts, top-2");
  }

  @Test
  void shouldMultiplyWithTheNativesOfThePlatform() throws Exception {
    String said =
        Ran.successfully(
            home.resolve("bin/smelt").toString(),
            "evaluate",
            "--checkpoint",
            home.resolve("tests/fixtures/byte-moe").toString(),
            "--text",
            home.resolve("LICENSE").toString());

    assertThat(said).contains("bits per byte");
  }

  @Test
  void shouldSayWhatIsMissingWhereThereIsNoJava() throws Exception {
    Ran ran =
        Ran.of(
            List.of(home.resolve("bin/smelt").toString(), "--version"),
            Map.of("JAVA_HOME", folder.resolve("nowhere").toString()));

    assertThat(ran.exitCode()).isEqualTo(1);
    assertThat(ran.said()).hasLineCount(1).contains("install Java 17 or newer or set JAVA_HOME");
  }

  @Test
  void shouldHoldNoNativesOfOtherPlatforms() throws IOException {
    List<String> natives = new ArrayList<>();
    for (Path jar : jars()) {
      try (ZipFile zip = new ZipFile(jar.toFile())) {
        Collections.list(zip.entries()).stream()
            .map(ZipEntry::getName)
            .filter(name -> name.matches(".*\\.(so|dll|dylib|jnilib|a)(\\..*)?"))
            .forEach(natives::add);
      }
    }
    assertThat(natives)
        .isNotEmpty()
        .noneMatch(
            name ->
                name.matches(
                    "(?i).*(win|mac|darwin|osx|aix|bsd|sunos|musl|android|arm|aarch|ppc|s390|riscv"
                        + "|loongarch|mips|i386|linux32|/x86/).*"));
    assertThat(Files.size(archive)).isLessThan(LARGEST);
  }

  @Test
  void shouldListEveryLibraryInTheBillOfMaterials() throws IOException {
    JsonNode bill = new ObjectMapper().readTree(home.resolve("sbom.json").toFile());
    Set<String> listed = new HashSet<>();
    bill.path("components").forEach(component -> listed.add(component.path("name").asText()));

    assertThat(bill.path("bomFormat").asText()).isEqualTo("CycloneDX");
    for (Path jar : jars()) {
      String name = jar.getFileName().toString();
      assertThat(listed).as(name).anyMatch(name::startsWith);
    }
  }

  private static List<Path> jars() throws IOException {
    try (Stream<Path> jars = Files.list(home.resolve("lib"))) {
      return jars.toList();
    }
  }
}

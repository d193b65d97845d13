package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The second phase of moments, from a plan to a refitted model, on the byte-level model. */
class RefitByCommandsIT {

  private static final Path CHECKPOINT = Path.of("../tests/fixtures/byte-moe");

  @TempDir private Path folder;

  private Path routing;
  private Path plan;
  private String err = "";

  @BeforeEach
  void plan() throws IOException {
    routing = folder.resolve("a.routing.safetensors");
    plan = folder.resolve("plan.json");
    run("trace", "--text", text("html", 0, 6144), "-o", routing);
    run("plan", "--routing", routing, "--average-groups", 8, "-o", plan);
  }

  @Test
  void shouldPredictBetterWhenRefittedToRecordedTraffic() throws IOException {
    // Given the same traffic in two parts
    for (int part = 0; part < 2; part++) {
      Path text = text("html", part * 3072, 3072);
      run(
          "trace",
          "--text",
          text,
          "--plan",
          plan,
          "-o",
          folder.resolve(part + ".routing.safetensors"));
    }

    // When
    Path merged = folder.resolve("merged");
    run("compress", "--plan", plan, "-o", merged);
    Path refitted = folder.resolve("refitted");
    run(
        "compress",
        "--plan",
        plan,
        "--refit-moments",
        folder.resolve("0.refit.safetensors"),
        folder.resolve("1.refit.safetensors"),
        "-o",
        refitted);

    // Then on text that gave no statistics
    Path other = text("html", 65536, 4096);
    assertThat(bitsPerByte(refitted, other)).isLessThan(bitsPerByte(merged, other) - 0.05);
  }

  @Test
  void shouldRefuseARefitOfAnotherPlanOrAlignment() throws IOException {
    run("trace", "--text", text("html", 0, 512), "--plan", plan, "-o", routing);
    Path refit = folder.resolve("a.refit.safetensors");
    Path other = folder.resolve("other.json");
    run("plan", "--routing", routing, "--average-groups", 8, "-o", other);

    assertThat(
            fails("compress", "--plan", other, "--refit-moments", refit, "-o", folder.resolve("x")))
        .contains(refit + ": is not of these merged experts");
    assertThat(
            fails(
                "compress",
                "--plan",
                plan,
                "--align",
                "none",
                "--refit-moments",
                refit,
                "-o",
                folder.resolve("x")))
        .contains("record it with smelt trace --plan");
  }

  private Path text(String domain, int from, int bytes) throws IOException {
    byte[] all = Files.readAllBytes(CHECKPOINT.resolve("heldout").resolve(domain + ".txt"));
    return Files.write(
        folder.resolve(domain + from + ".txt"), Arrays.copyOfRange(all, from, from + bytes));
  }

  private double bitsPerByte(Path checkpoint, Path text) throws IOException {
    return new ObjectMapper()
        .readTree(execute(0, "evaluate", "--checkpoint", checkpoint, "--text", text, "--json"))
        .path("bitsPerByte")
        .asDouble();
  }

  private void run(String command, Object... arguments) {
    execute(0, command, withCheckpoint(arguments));
  }

  private String fails(String command, Object... arguments) {
    execute(1, command, withCheckpoint(arguments));
    return err;
  }

  private static Object[] withCheckpoint(Object... arguments) {
    Object[] all = Arrays.copyOf(arguments, arguments.length + 2);
    all[arguments.length] = "--checkpoint";
    all[arguments.length + 1] = CHECKPOINT;
    return all;
  }

  private String execute(int expected, String command, Object... arguments) {
    StringWriter out = new StringWriter();
    StringWriter errors = new StringWriter();
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out)).setErr(new PrintWriter(errors));
    String[] words = new String[arguments.length + 1];
    words[0] = command;
    for (int i = 0; i < arguments.length; i++) {
      words[i + 1] = arguments[i].toString();
    }
    int exit = commandLine.execute(words);
    err = errors.toString();
    assertThat(exit).describedAs(err).isEqualTo(expected);
    return out.toString();
  }
}

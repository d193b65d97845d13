package dev.smelt.tests;

import dev.smelt.ops.Smelt;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import picocli.CommandLine;

/**
 * A command run in this process.
 *
 * @param exitCode what the process would have exited with
 * @param out what it printed
 * @param err what it said on standard error
 */
record CommandLineRun(int exitCode, String out, String err) {

  static CommandLineRun of(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine commandLine = Smelt.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    return new CommandLineRun(commandLine.execute(arguments), out.toString(), err.toString());
  }

  static Path home() {
    return Path.of(System.getProperty("smelt.home")).toAbsolutePath().normalize();
  }

  static Path fixture() {
    return home().resolve("tests/fixtures/byte-moe");
  }
}

package dev.smelt.agent.cli;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which running agent a command asks, and as whom. */
final class AgentChoice {

  @Option(
      names = "--to",
      paramLabel = "URL",
      defaultValue = "http://127.0.0.1:7070",
      description = "The agent's API; default: ${DEFAULT-VALUE}.")
  private URI agent;

  @Option(
      names = "--token",
      paramLabel = "TOKEN",
      defaultValue = "${env:SMELT_TOKEN}",
      description =
          "A bearer token, where the agent asks for one; default: the environment's SMELT_TOKEN.")
  private @Nullable String token;

  @Option(
      names = "--trust",
      paramLabel = "FILE",
      description =
          "PEM certificates to trust, in place of the system's; for an agent that signed its own.")
  private @Nullable Path trusted;

  AgentClient client() {
    return new AgentClient(
        agent,
        Optional.ofNullable(token).filter(secret -> !secret.isBlank()),
        Optional.ofNullable(trusted));
  }
}

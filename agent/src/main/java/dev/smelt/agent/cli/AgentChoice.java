package dev.smelt.agent.cli;

import java.net.URI;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which running agent a command asks, and as whom. */
final class AgentChoice {

  @Option(
      names = "--to",
      paramLabel = "URL",
      defaultValue = "http://127.0.0.1:7070",
      description = "The agent's API; default: ${DEFAULT-VALUE}.")
  private URI agent;

  @Mixin private AgentAccess access = new AgentAccess();

  AgentClient client() {
    return new AgentClient(agent, access.token(), access.trusted());
  }
}

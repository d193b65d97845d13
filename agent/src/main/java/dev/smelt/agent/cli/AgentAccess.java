package dev.smelt.agent.cli;

import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** As whom an agent is asked, and how it is known to be the right one. */
final class AgentAccess {

  @Option(
      names = "--token",
      paramLabel = "TOKEN",
      defaultValue = "${env:SMELT_TOKEN}",
      scope = ScopeType.INHERIT,
      description =
          "A bearer token, where the agent asks for one; default: the environment's SMELT_TOKEN.")
  private @Nullable String token;

  @Option(
      names = "--trust",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description =
          "PEM certificates to trust, in place of the system's; for an agent that signed its own.")
  private @Nullable Path trusted;

  Optional<String> token() {
    return Optional.ofNullable(token).filter(secret -> !secret.isBlank());
  }

  /** The only certificates to trust; the system's if absent. */
  Optional<Path> trusted() {
    return Optional.ofNullable(trusted);
  }
}

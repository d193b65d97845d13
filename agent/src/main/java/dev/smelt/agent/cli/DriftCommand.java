package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code smelt drift}: how far traffic is from what serves, and what the loop made of it. */
@Command(
    name = "drift",
    description =
        "Shows the drift of each model that a running agent looks after, and what it did.",
    mixinStandardHelpOptions = true)
final class DriftCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

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
      description = "A viewer's bearer token; default: the environment's SMELT_TOKEN.")
  private @Nullable String token;

  @Option(
      names = "--most",
      paramLabel = "N",
      defaultValue = "10",
      description = "How many windows and journal entries to show; default: ${DEFAULT-VALUE}.")
  private int most;

  @Option(names = "--json", description = "Print JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException {
    PrintWriter out = spec.commandLine().getOut();
    AgentClient client =
        new AgentClient(agent, Optional.ofNullable(token).filter(secret -> !secret.isBlank()));
    ObjectNode all = JsonNodeFactory.instance.objectNode();
    for (JsonNode model : client.get("/v1/models").path("models")) {
      String name = model.path("model").asText();
      String path = "/v1/models/" + name;
      ObjectNode entry = all.putObject(name);
      entry.set("status", model);
      entry.set("drift", client.get(path + "/drift?most=" + most));
      entry.set("journal", client.get(path + "/journal?most=" + most));
    }
    if (json) {
      out.println(new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(all));
    } else {
      all.fields().forEachRemaining(model -> print(out, model.getKey(), model.getValue()));
    }
    out.flush();
    return 0;
  }

  private static void print(PrintWriter out, String model, JsonNode shown) {
    JsonNode status = shown.path("status");
    out.printf(
        "%s  %s  serves %s%n  %s%n",
        model,
        status.path("state").path("state").asText(),
        status.path("served").asText("nothing known"),
        status.path("decision").asText());
    for (JsonNode window : shown.path("drift").path("points")) {
      out.printf(
          Locale.ROOT,
          "  %s  drift %.3f  threshold %.3f  %s%n",
          window.path("end").asText(),
          window.path("value").asDouble(),
          window.path("threshold").asDouble(),
          window.path("breached").asBoolean() ? "BREACHED" : "calm");
    }
    for (JsonNode entry : shown.path("journal").path("entries")) {
      out.printf("  %s  %s%n", entry.path("at").asText(), entry.path("message").asText());
    }
  }
}

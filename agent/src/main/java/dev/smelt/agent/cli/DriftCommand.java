package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code smelt drift}: how far traffic is from what serves, and what the loop made of it. */
@Command(
    name = "drift",
    description =
        "Shows the drift of each model that a running agent looks after, and what it did.",
    footer = {"  smelt drift", "  smelt drift --to http://127.0.0.1:7070 --most 3 --json"})
final class DriftCommand implements Callable<Integer> {

  @Mixin private AgentChoice agent = new AgentChoice();

  @Option(
      names = "--most",
      paramLabel = "N",
      defaultValue = "10",
      description = "How many windows and journal entries to show; default: ${DEFAULT-VALUE}.")
  private int most;

  @Mixin private ResultOutput result = new ResultOutput();

  @Override
  public Integer call() throws IOException, InterruptedException {
    AgentClient client = agent.client();
    ObjectNode all = JsonNodeFactory.instance.objectNode();
    for (JsonNode model : client.get("/v1/models").path("models")) {
      String name = model.path("model").asText();
      String path = "/v1/models/" + name;
      ObjectNode entry = all.putObject(name);
      entry.set("status", model);
      entry.set("drift", client.get(path + "/drift?most=" + most));
      entry.set("journal", client.get(path + "/journal?most=" + most));
    }
    result.print(
        () -> all,
        out -> all.properties().forEach(model -> print(out, model.getKey(), model.getValue())));
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

package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code smelt inspect}: what a checkpoint folder holds. */
@Command(
    name = "inspect",
    description = "Shows the experts of a checkpoint folder, full or compact.",
    footer = {"  smelt inspect tests/fixtures/byte-moe", "  smelt inspect merged --json"})
final class InspectCommand implements Callable<Integer> {

  @Parameters(paramLabel = "DIR", description = "The checkpoint folder.")
  private Path folder;

  @Mixin private ResultOutput result = new ResultOutput();

  InspectCommand() {}

  @Override
  public Integer call() {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      ObjectNode found = describe(checkpoint);
      result.print(() -> found, out -> print(out, found));
      return 0;
    }
  }

  private static ObjectNode describe(Checkpoint checkpoint) {
    ObjectNode found = new ObjectMapper().createObjectNode();
    found.put("name", checkpoint.name());
    found.put("architecture", checkpoint.architecture().name());
    found.put("form", checkpoint.compact() ? "compact" : "full");
    found.put("digest", checkpoint.digest());
    found.put("files", checkpoint.files().size());
    found.put("tensors", checkpoint.tensors().size());
    found.put("bytes", checkpoint.tensors().values().stream().mapToLong(TensorInfo::bytes).sum());
    ArrayNode blocks = found.putArray("blocks");
    for (MoeBlock block : checkpoint.blocks()) {
      ObjectNode node = blocks.addObject();
      node.put("name", block.name());
      node.put("experts", block.experts());
      node.put("topK", block.topK());
      node.put("hidden", block.hidden());
      node.put("width", block.width());
      node.put("dtype", checkpoint.expertDType(block, Role.DOWN).name());
      if (checkpoint.compact()) {
        node.put("groups", new CompactExperts(checkpoint).groups(block));
      }
    }
    ArrayNode untouched = found.putArray("untouched");
    checkpoint
        .untouched()
        .forEach(
            block -> untouched.addObject().put("name", block.name()).put("reason", block.reason()));
    return found;
  }

  private static void print(PrintWriter out, ObjectNode found) {
    out.printf(
        "%s: %s, %s form, %d tensors in %d files, %,d bytes%n%s%n",
        found.path("name").asText(),
        found.path("architecture").asText(),
        found.path("form").asText(),
        found.path("tensors").asInt(),
        found.path("files").asInt(),
        found.path("bytes").asLong(),
        found.path("digest").asText());
    found
        .path("blocks")
        .forEach(
            block ->
                out.printf(
                    "%s: %d experts%s, top-%d, %d x %d, %s%n",
                    block.path("name").asText(),
                    block.path("experts").asInt(),
                    block.has("groups") ? " in " + block.path("groups").asInt() + " groups" : "",
                    block.path("topK").asInt(),
                    block.path("hidden").asInt(),
                    block.path("width").asInt(),
                    block.path("dtype").asText()));
    found
        .path("untouched")
        .forEach(
            block ->
                out.printf(
                    "%s: can't be compressed, %s%n",
                    block.path("name").asText(), block.path("reason").asText()));
  }
}

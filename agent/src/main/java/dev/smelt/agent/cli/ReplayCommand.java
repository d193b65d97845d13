package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.statistics.StatisticsException;
import dev.smelt.agent.statistics.TraceParts;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code smelt replay}: lets an agent see recorded traffic as if it came now. */
@Command(
    name = "replay",
    description = "Posts recorded routing traces to a running agent, as an engine-side hook would.",
    footer = {
      "  smelt replay chat.routing.safetensors",
      "  smelt replay chat.routing.safetensors --model my-model --rate 5000 --to http://127.0.0.1:7070"
    })
final class ReplayCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Parameters(arity = "1..*", paramLabel = "FILE", description = "Traces, *.routing.safetensors.")
  private List<Path> files;

  @Mixin private AgentChoice agent = new AgentChoice();

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description = "The model's name in the agent; default: the one that the trace names.")
  private @Nullable String model;

  @Option(
      names = "--part",
      paramLabel = "TOKENS",
      defaultValue = "2048",
      description = "Tokens of one post; default: ${DEFAULT-VALUE}.")
  private int part;

  @Option(
      names = "--rate",
      paramLabel = "TOKENS",
      description = "Most tokens a second; default: as fast as the agent takes them.")
  private @Nullable Integer rate;

  @Mixin private ResultOutput result = new ResultOutput();

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (part < 1 || (rate != null && rate < 1)) {
      throw new IllegalArgumentException("--part and --rate must be at least 1");
    }
    List<SafetensorsFile> traces = new ArrayList<>();
    try {
      long all = 0;
      for (Path file : files) {
        SafetensorsFile trace = SafetensorsFile.open(file);
        traces.add(trace);
        all += new TraceParts(trace).tokens();
      }
      ObjectNode done = replay(agent.client(), traces, all);
      result.print(
          () -> done,
          out -> out.printf("%s tokens in %s posts%n", done.get("tokens"), done.get("posts")));
    } finally {
      traces.forEach(SafetensorsFile::close);
    }
    return 0;
  }

  private ObjectNode replay(AgentClient client, List<SafetensorsFile> traces, long all)
      throws IOException, InterruptedException {
    ProgressLine progress = new ProgressLine(spec.commandLine().getErr(), "replaying");
    Path body = Files.createTempFile("smelt-replay", ".routing.safetensors");
    long begin = System.nanoTime();
    long posted = 0;
    int posts = 0;
    try {
      for (SafetensorsFile trace : traces) {
        String path = "/v1/tap/" + model(trace);
        TraceParts parts = new TraceParts(trace);
        for (long first = 0; first < parts.tokens(); first += part) {
          long count = Math.min(part, parts.tokens() - first);
          parts.write(first, count, body);
          client.post(path, body);
          posted += count;
          posts++;
          progress.show(posted, all);
          keepRate(begin, posted);
        }
      }
    } finally {
      Files.deleteIfExists(body);
    }
    return JsonNodeFactory.instance
        .objectNode()
        .put("tokens", posted)
        .put("posts", posts)
        .put("seconds", (System.nanoTime() - begin) / 1e9);
  }

  private String model(SafetensorsFile trace) {
    String name = model == null ? trace.metadata().get("model") : model;
    if (name == null) {
      throw new StatisticsException(trace.path() + ": names no model; name it with --model");
    }
    return name;
  }

  private void keepRate(long begin, long posted) throws InterruptedException {
    if (rate != null) {
      long due = begin + (long) (posted * 1e9 / rate);
      TimeUnit.NANOSECONDS.sleep(Math.max(0, due - System.nanoTime()));
    }
  }
}

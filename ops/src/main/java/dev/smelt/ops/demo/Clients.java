package dev.smelt.ops.demo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Concurrent clients that ask for completions of pieces of the current domains. */
final class Clients implements AutoCloseable {

  /**
   * One answered request.
   *
   * @param startedNanos {@link System#nanoTime()} when it was sent
   * @param endedNanos the same when its whole answer was there
   */
  record Answered(long startedNanos, long endedNanos) {
    double milliseconds() {
      return (endedNanos - startedNanos) / 1e6;
    }
  }

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int PROMPT_BYTES = 224;
  private static final int GENERATED = 16;
  private static final long THINKING_MILLIS = 40;

  private final URI completions;
  private final String model;
  private final HttpClient http = HttpClient.newHttpClient();
  private final ExecutorService threads;
  private final ConcurrentLinkedQueue<Answered> answered = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<String> failures = new ConcurrentLinkedQueue<>();
  private final AtomicInteger served = new AtomicInteger();
  private final AtomicInteger failed = new AtomicInteger();
  private volatile List<Domain> domains;
  private volatile boolean running = true;

  private Clients(URI proxy, String model, List<Domain> domains, int count) {
    this.completions = proxy.resolve("/v1/completions");
    this.model = model;
    this.domains = domains;
    this.threads = Executors.newFixedThreadPool(count);
    for (int client = 0; client < count; client++) {
      SplittableRandom random = new SplittableRandom(client);
      threads.execute(() -> run(random));
    }
  }

  static Clients start(URI proxy, String model, List<Domain> domains, int count) {
    return new Clients(proxy, model, domains, count);
  }

  /** Sends text of other domains from now on. */
  void shiftTo(List<Domain> others) {
    domains = others;
  }

  int served() {
    return served.get();
  }

  int failed() {
    return failed.get();
  }

  Optional<String> firstFailure() {
    return Optional.ofNullable(failures.peek());
  }

  List<Answered> answered() {
    return new ArrayList<>(answered);
  }

  @Override
  public void close() {
    running = false;
    threads.shutdown();
    try {
      if (!threads.awaitTermination(30, TimeUnit.SECONDS)) {
        threads.shutdownNow();
      }
    } catch (InterruptedException e) {
      threads.shutdownNow();
      Thread.currentThread().interrupt();
    }
  }

  private void run(SplittableRandom random) {
    for (int request = 0; running; request++) {
      List<Domain> current = domains;
      Domain domain = current.get(random.nextInt(current.size()));
      boolean streamed = request % 4 == 3;
      long started = System.nanoTime();
      try {
        HttpResponse<String> answer =
            http.send(
                request(domain.prompt(random, PROMPT_BYTES), random.nextInt(), streamed),
                HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() == 200 && complete(answer.body(), streamed)) {
          answered.add(new Answered(started, System.nanoTime()));
          served.incrementAndGet();
        } else {
          fail("HTTP " + answer.statusCode() + ": " + answer.body());
        }
        TimeUnit.MILLISECONDS.sleep(THINKING_MILLIS);
      } catch (IOException e) {
        fail(e.toString());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private void fail(String why) {
    failed.incrementAndGet();
    failures.add(why);
  }

  private HttpRequest request(String prompt, int seed, boolean streamed)
      throws JsonProcessingException {
    return HttpRequest.newBuilder(completions)
        .timeout(Duration.ofSeconds(60))
        .header("content-type", "application/json")
        .POST(
            HttpRequest.BodyPublishers.ofString(
                JSON.writeValueAsString(
                    Map.of(
                        "model",
                        model,
                        "prompt",
                        prompt,
                        "max_tokens",
                        GENERATED,
                        "temperature",
                        0.8,
                        "seed",
                        seed,
                        "stream",
                        streamed))))
        .build();
  }

  private static boolean complete(String body, boolean streamed) throws IOException {
    if (streamed) {
      return body.stripTrailing().endsWith("data: [DONE]");
    }
    JsonNode choice = JSON.readTree(body).path("choices").path(0);
    return choice.path("text").isTextual() && choice.path("finish_reason").isTextual();
  }
}

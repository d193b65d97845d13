package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class EventStreamIT {

  private ApiFixture api;

  @BeforeEach
  void start() {
    api = ApiFixture.open();
  }

  @AfterEach
  void stop() {
    api.close();
  }

  @Test
  void shouldTellStateTrafficDriftAndJournal() {
    try (Watcher watcher = new Watcher(null)) {
      await().until(() -> watcher.types().containsAll(List.of("state", "traffic")));
      api.model.shiftTo("json");
      api.model.tick();
      await().until(() -> watcher.types().containsAll(List.of("drift")));
      assertThat(api.model.status().model()).isEqualTo("byte-moe");
      await()
          .until(
              () -> {
                api.model.tick();
                return watcher.types().contains("journal");
              });
    }
    await().until(() -> api.events.watching() == 0);
  }

  @Test
  void shouldTellWhatAWatcherMissed() {
    String last;
    try (Watcher watcher = new Watcher(null)) {
      await().until(() -> watcher.types().contains("state"));
      api.model.tick();
      await().until(() -> watcher.types().contains("drift"));
      last = watcher.lastId();
    }
    api.model.tick();
    api.model.tick();
    try (Watcher watcher = new Watcher(last)) {
      await().until(() -> count(watcher, "drift") == 2);
      assertThat(count(watcher, "state")).isEqualTo(1);
      assertThat(watcher.ids()).doesNotContain(last);
    }
  }

  @Test
  void shouldTellTheJournalOfTheTimeBetweenWhenTheAgentHasRestarted() {
    long justBefore = api.model.journal(1).get(0).at().toEpochMilli() - 1;
    String fromAnEarlierRun = justBefore + "-17-12";
    try (Watcher watcher = new Watcher(fromAnEarlierRun)) {
      await().until(() -> count(watcher, "journal") >= 1);
      assertThat(count(watcher, "journal")).isLessThan(api.model.journal(1_000).size());
    }
  }

  @Test
  void shouldTakeAnIdThatIsNotOursAsNone() {
    try (Watcher watcher = new Watcher("99999999999999999999-x")) {
      await().until(() -> watcher.types().contains("state"));
      assertThat(count(watcher, "journal")).isZero();
    }
  }

  private static long count(Watcher watcher, String type) {
    return watcher.types().stream().filter(type::equals).count();
  }

  private final class Watcher implements AutoCloseable {

    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final CompletableFuture<?> answer;
    private volatile Stream<String> body = Stream.empty();

    Watcher(String last) {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(api.url("/v1/events")));
      if (last != null) {
        request.header("Last-Event-ID", last);
      }
      answer =
          HttpClient.newHttpClient()
              .sendAsync(request.build(), BodyHandlers.ofLines())
              .thenAcceptAsync(
                  response -> {
                    body = response.body();
                    body.forEach(lines::add);
                  });
    }

    List<String> types() {
      return after("event: ");
    }

    List<String> ids() {
      return after("id: ");
    }

    String lastId() {
      List<String> ids = ids();
      return ids.get(ids.size() - 1);
    }

    private List<String> after(String prefix) {
      return lines.stream()
          .filter(line -> line.startsWith(prefix))
          .map(line -> line.substring(prefix.length()))
          .toList();
    }

    @Override
    public void close() {
      body.close();
      answer.cancel(true);
    }
  }
}

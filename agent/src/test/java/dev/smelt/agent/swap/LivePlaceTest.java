package dev.smelt.agent.swap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.tap.Engines;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LivePlaceTest {

  private static final URI BLUE = URI.create("http://127.0.0.1:1");
  private static final URI GREEN = URI.create("http://127.0.0.1:2");

  @TempDir Path folder;
  private final List<LivePlace> open = new ArrayList<>();

  @AfterEach
  void close() {
    open.forEach(LivePlace::close);
  }

  @Test
  void shouldGoOnWhereNothingIsSaidYet() {
    Engines engines = new Engines(List.of(BLUE));

    follow("a", engines);

    assertThat(engines.current()).containsExactly(BLUE);
  }

  @Test
  void shouldFollowAShiftOfAnotherAgent() {
    Engines engines = new Engines(List.of(BLUE));
    follow("a", engines);

    Outcome shifted = follow("b", new Engines(List.of(BLUE))).shift(GREEN);

    assertThat(shifted).isEqualTo(Outcome.done());
    await().until(() -> engines.current().equals(List.of(GREEN)));
  }

  @Test
  void shouldStartWhereTheOthersSendRequests() {
    follow("a", new Engines(List.of(BLUE))).shift(GREEN);
    Engines engines = new Engines(List.of(BLUE));

    follow("b", engines);

    assertThat(engines.current()).containsExactly(GREEN);
  }

  @Test
  void shouldLeaveOutAPlaceOfAnEarlierConfiguration() throws IOException {
    Files.writeString(folder.resolve("engine"), "http://127.0.0.1:3");
    Engines engines = new Engines(List.of(BLUE));

    follow("a", engines);

    assertThat(engines.current()).containsExactly(BLUE);
  }

  @Test
  void shouldWaitForAnAgentThatHasNotFollowedYet() throws IOException {
    LivePlace live = follow("a", new Engines(List.of(BLUE)));
    Path other = folder.resolve("agents").resolve("b");
    Files.writeString(other, BLUE + " 0");
    live.shift(GREEN);

    assertThat(live.settled(GREEN)).isFalse();
    Files.writeString(other, GREEN + " 1");
    assertThat(live.settled(GREEN)).isFalse();
    Files.writeString(other, GREEN + " 0");
    assertThat(live.settled(GREEN)).isTrue();
  }

  @Test
  void shouldNotWaitForAnAgentThatIsGone() throws IOException {
    LivePlace live = follow("a", new Engines(List.of(BLUE)));
    Path other = folder.resolve("agents").resolve("b");
    Files.writeString(other, BLUE + " 7");
    Files.setLastModifiedTime(
        other, FileTime.from(Instant.now().minus(LivePlace.SILENCE.multipliedBy(2))));

    live.shift(GREEN);

    assertThat(live.settled(GREEN)).isTrue();
    assertThat(other).doesNotExist();
  }

  @Test
  void shouldNotBeWaitedForOnceClosed() {
    LivePlace live = follow("a", new Engines(List.of(BLUE)));
    follow("b", new Engines(List.of(BLUE))).close();

    live.shift(GREEN);

    assertThat(live.settled(GREEN)).isTrue();
  }

  @Test
  void shouldSayThatAShiftCannotBeWritten() throws IOException {
    Engines engines = new Engines(List.of(BLUE));
    LivePlace live = follow("a", engines);
    Files.createDirectories(folder.resolve("engine").resolve("in the way"));

    assertThat(live.shift(GREEN).problem()).contains("engine: cannot be written");
    assertThat(engines.current()).containsExactly(BLUE);
  }

  private LivePlace follow(String agent, Engines engines) {
    LivePlace live = LivePlace.follow(folder, agent, List.of(BLUE, GREEN), engines);
    open.add(live);
    return live;
  }
}

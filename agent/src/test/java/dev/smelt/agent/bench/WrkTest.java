package dev.smelt.agent.bench;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class WrkTest {

  @Test
  void shouldSayThatTheLoadGeneratorIsMissing() throws IOException {
    try (Wrk wrk = new Wrk("/no/such/wrk")) {
      assertThatThrownBy(() -> wrk.run(URI.create("http://127.0.0.1:1"), 1, Duration.ofSeconds(1)))
          .hasMessage(
              "/no/such/wrk: the load generator does not start; install the Debian package wrk");
    }
  }
}

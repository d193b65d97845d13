package dev.smelt.agent.bench;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class WrkTest {

  @Test
  void shouldSayThatTheLoadGeneratorIsMissing() throws IOException {
    Wrk.Target target = new Wrk.Target(URI.create("http://127.0.0.1:1"), "{}");
    try (Wrk wrk = new Wrk("/no/such/wrk")) {
      assertThatThrownBy(() -> wrk.run(target, 1, Duration.ZERO, Duration.ofSeconds(1)))
          .hasMessage(
              "/no/such/wrk: the load generator does not start; install the Debian package wrk");
    }
  }
}

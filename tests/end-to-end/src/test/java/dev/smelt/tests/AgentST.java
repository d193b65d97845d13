package dev.smelt.tests;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static com.microsoft.playwright.assertions.PlaywrightAssertions.setDefaultAssertionTimeout;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.microsoft.playwright.Locator;
import dev.smelt.agent.Agent;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.SmeltConfig;
import dev.smelt.ops.demo.EngineProcess;
import dev.smelt.tests.browser.PageFixture;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A running agent with tokens, in a browser: who may do what, and what a restart looks like. */
class AgentST {

  private static final String VIEWER = "the-token-of-the-board";
  private static final String OPERATOR = "the-token-of-ada-herself";

  @TempDir private Path folder;

  @Test
  void shouldLetRolesDoWhatTheyMayAndComeBackAfterARestartOfTheAgent() throws Exception {
    URI api = URI.create("http://127.0.0.1:" + freePort());
    try (PageFixture browser = PageFixture.open();
        EngineProcess engine =
            EngineProcess.start(
                CommandLineRun.fixture(), "byte-moe", api, folder.resolve("engine.log"))) {
      setDefaultAssertionTimeout(60_000);
      SmeltConfig config = config(engine, api.getPort());
      Agent agent = Agent.start(config);
      try {
        String address = agent.api().toString();
        OperatorPage page =
            new OperatorPage(browser.page(address + "/#/byte-moe/operate", 1280, 900));

        page.signIn("a-token-of-nobody-here");
        assertThat(page.page().getByText("This token is not known to the agent.")).isVisible();

        page.signIn(VIEWER);
        assertThat(page.identity()).hasText("board · viewer");
        assertThat(page.button("Pause …")).isDisabled();
        assertThat(page.button("Roll back …")).isDisabled();
        page.button("Sign out").click();

        page.signIn(OPERATOR);
        assertThat(page.identity()).hasText("ada · operator");
        page.act("Pause …", "the engine moves");
        page.button("Close").click();
        assertThat(page.summary("State")).hasText("Paused");
        assertThat(page.journal()).containsText("the engine moves");

        agent.close();
        assertThat(page.banner()).containsText("The agent does not answer");
        agent = Agent.start(config);
        page.button("Try now").click(new Locator.ClickOptions().setForce(true));

        assertThat(page.connection()).hasText("Live");
        assertThat(page.banner()).isHidden();
        assertThat(page.identity()).hasText("ada · operator");
        assertThat(page.summary("State")).hasText("Paused");
        browser.close(page.page(), address, "401", "net::ERR_");
      } finally {
        agent.close();
      }
    }
  }

  @Test
  void shouldWriteNoPromptAnywhere() throws Exception {
    String marked = "a-prompt-that-nobody-else-may-read";
    URI api = URI.create("http://127.0.0.1:" + freePort());
    try (EngineProcess engine =
        EngineProcess.start(
            CommandLineRun.fixture(), "byte-moe", api, folder.resolve("engine.log"))) {
      try (Agent agent = Agent.start(config(engine, api.getPort()))) {
        await()
            .atMost(Duration.ofMinutes(2))
            .until(
                () -> {
                  ask(agent.proxy("byte-moe"), marked);
                  return agent.control("byte-moe").status().profileTokens() > 0;
                });
      }
    }
    assertThat(filesThatHold("byte-moe"))
        .as("what a search for the model's name finds, to see that it searches")
        .isNotEmpty();
    assertThat(filesThatHold(marked)).isEmpty();
  }

  private static void ask(URI proxy, String prompt) throws IOException, InterruptedException {
    HttpResponse<String> answer =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(proxy.resolve("/v1/completions"))
                    .timeout(Duration.ofMinutes(1))
                    .header("content-type", "application/json")
                    .POST(
                        HttpRequest.BodyPublishers.ofString(
                            "{\"model\": \"byte-moe\", \"max_tokens\": 1, \"prompt\": \""
                                + prompt
                                + "\"}"))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
  }

  private List<Path> filesThatHold(String text) throws IOException {
    try (Stream<Path> files = Files.walk(folder.resolve("data"))) {
      List<Path> found = new ArrayList<>();
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (Files.readString(file, StandardCharsets.ISO_8859_1).contains(text)) {
          found.add(file);
        }
      }
      return found;
    }
  }

  private SmeltConfig config(EngineProcess engine, int port) throws IOException {
    return ConfigFile.read(
        Files.writeString(
            folder.resolve("smelt.yaml"),
            """
            data: data
            streams: {window: 1s, grace: 0s}
            api:
              port: %d
              tokens:
                - {name: board, role: viewer, secret: %s}
                - {name: ada, role: operator, secret: %s}
            management: {port: 0}
            models:
              - name: byte-moe
                checkpoint: "%s"
                engine: {urls: ["%s"], dialect: sglang, format: compact}
                proxy: {port: 0, share: 1.0}
            """
                .formatted(port, VIEWER, OPERATOR, CommandLineRun.fixture(), engine.url())));
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }
}

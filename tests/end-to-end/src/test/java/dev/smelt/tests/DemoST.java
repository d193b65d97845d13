package dev.smelt.tests;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.assertions.LocatorAssertions;
import dev.smelt.tests.browser.PageFixture;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The demo's promises, on the trained fixture, with a real broker and the engine as a process: one
 * run, watched in a browser, measured by its report, then operated from the page.
 */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class DemoST {

  private static final Duration LONGEST_START = Duration.ofMinutes(2);
  private static final Duration LONGEST_PHASE = Duration.ofMinutes(4);
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private static Path folder;

  private static RunningCommand demo;
  private static Path report;

  @BeforeAll
  static void start() {
    report = folder.resolve("r.json");
    demo = new RunningCommand("demo", "--report", report.toString());
  }

  @AfterAll
  static void stop() throws InterruptedException {
    demo.close();
  }

  @Test
  @Order(1)
  void shouldShowDriftAppearInTheBrowserWhileTheTrafficShifts() {
    try (PageFixture browser = PageFixture.open()) {
      OperatorPage page = open(browser, "drift");
      demo.awaitSaid("(phase B: the traffic shifts)", LONGEST_PHASE);
      String served = page.summary("Serving").textContent();

      assertThat(page.summary("Drift")).hasAttribute("data-over", "true", patiently());
      assertThat(page.journal())
          .containsText(Pattern.compile("re-merges: drift [0-9.]+ over"), containing());
      assertThat(page.summary("Serving"))
          .not()
          .hasText(
              served, new LocatorAssertions.HasTextOptions().setTimeout(LONGEST_PHASE.toMillis()));
      assertThat(page.journal()).containsText("engine serves", containing());

      browser.close(page.page(), dashboard().toString());
    }
  }

  @Test
  @Order(2)
  void shouldFollowTheTrafficWithoutAFailedRequestAndRollBackBitForBit() throws IOException {
    awaitEnd();

    JsonNode measured = JSON.readTree(report.toFile());
    assertThat(measured.path("requests").path("served").asInt()).isPositive();
    assertThat(measured.path("requests").path("failed").asInt()).isZero();
    assertThat(measured.path("remerges").asInt()).isGreaterThanOrEqualTo(2);
    assertThat(measured.path("secondsToAdapt").isNumber()).isTrue();
    assertThat(measured.path("rollback").path("digestsIdentical").asBoolean()).isTrue();
    assertThat(measured.path("rollback").path("from").asText())
        .isNotEqualTo(measured.path("rollback").path("to").asText());
    assertThat(measured.path("expertBytes").path("adaptive").asLong())
        .isPositive()
        .isLessThan(measured.path("expertBytes").path("full").asLong());
    JsonNode bits = measured.path("phases").path(1).path("bitsPerByte");
    assertThat(bits.path("adaptive").asDouble())
        .as("bits per byte after the shift: %s", bits)
        .isLessThan(bits.path("static").asDouble())
        .isGreaterThanOrEqualTo(bits.path("full").asDouble());
    assertThat(demo.out()).contains("rollback", "adaptive", "expert memory");
  }

  @Test
  @Order(3)
  void shouldRollBackFromThePageAndSeeTheEngineServeTheEarlierSnapshot() throws Exception {
    awaitEnd();
    try (PageFixture browser = PageFixture.open()) {
      renewPictures(browser);
      OperatorPage page = open(browser, "operate");
      String previous = get(dashboard().resolve("/v1/models/byte-moe")).path("previous").asText();
      assertThat(weightVersion()).isNotEqualTo(previous);

      page.act("Roll back …", "seen in the browser");

      assertThat(page.dialog()).containsText(previous + " serves", containing());
      assertThat(weightVersion()).isEqualTo(previous);
      page.button("Close").click();
      assertThat(page.journal()).containsText("seen in the browser", containing());
      browser.close(page.page(), dashboard().toString());
    }
  }

  @Test
  @Order(4)
  void shouldAnswerTheCommandsOfTheTutorial() {
    awaitEnd();
    List<String[]> commands =
        DocumentedCommands.of("ops/docs/tutorial.md").stream()
            .filter(command -> command.line().contains("$AGENT"))
            .map(
                command ->
                    command.arguments().stream()
                        .map(word -> word.replace("$AGENT", dashboard().toString()))
                        .toArray(String[]::new))
            .toList();
    assertThat(commands).isNotEmpty();
    for (String[] command : commands) {
      CommandLineRun run = CommandLineRun.of(command);
      assertThat(run.exitCode()).as(String.join(" ", command) + run.err()).isZero();
      assertThat(run.out()).isNotBlank();
    }
  }

  private static OperatorPage open(PageFixture browser, String view) {
    OperatorPage page =
        new OperatorPage(browser.page(dashboard() + "/#/byte-moe/" + view, 1280, 900));
    assertThat(page.connection())
        .hasText("Live", new LocatorAssertions.HasTextOptions().setTimeout(60_000));
    return page;
  }

  /** Takes the pictures that the pages show anew where {@code smelt.renew} is set. */
  private static void renewPictures(PageFixture browser) {
    if (System.getProperty("smelt.renew") == null) {
      return;
    }
    for (String view : List.of("traffic", "drift", "snapshots")) {
      OperatorPage page = open(browser, view);
      assertThat(page.page().locator(".picture canvas").first()).isVisible();
      page.page().setViewportSize(1280, 840);
      page.page()
          .screenshot(
              new Page.ScreenshotOptions()
                  .setPath(CommandLineRun.home().resolve("ops/docs/pictures/" + view + ".png")));
    }
  }

  private static URI dashboard() {
    return URI.create(demo.awaitSaid("dashboard at (http\\S+?),?\\s", LONGEST_START));
  }

  private static void awaitEnd() {
    demo.awaitSaid("(staying up)", LONGEST_PHASE.multipliedBy(2));
  }

  /** What the engine says it serves, in an answer that came through the proxy. */
  private static String weightVersion() throws IOException, InterruptedException {
    URI proxy = URI.create(demo.awaitSaid("clients send to (http\\S+)", LONGEST_START));
    HttpResponse<String> answer =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(proxy.resolve("/v1/completions"))
                    .timeout(Duration.ofMinutes(1))
                    .header("content-type", "application/json")
                    .POST(
                        HttpRequest.BodyPublishers.ofString(
                            "{\"model\": \"byte-moe\", \"prompt\": \"int main\", \"max_tokens\": 4}"))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return answer.headers().firstValue("x-weight-version").orElseThrow();
  }

  private static JsonNode get(URI address) throws IOException, InterruptedException {
    return JSON.readTree(
        HttpClient.newHttpClient()
            .send(HttpRequest.newBuilder(address).build(), HttpResponse.BodyHandlers.ofString())
            .body());
  }

  private static LocatorAssertions.HasAttributeOptions patiently() {
    return new LocatorAssertions.HasAttributeOptions().setTimeout(LONGEST_PHASE.toMillis());
  }

  private static LocatorAssertions.ContainsTextOptions containing() {
    return new LocatorAssertions.ContainsTextOptions().setTimeout(LONGEST_PHASE.toMillis());
  }
}

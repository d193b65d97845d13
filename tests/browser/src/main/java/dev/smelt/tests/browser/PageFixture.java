package dev.smelt.tests.browser;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType.LaunchOptions;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A headless Chromium. Every page is watched: what it writes to its console as an error and whom it
 * asks but the agent fails the test that opened it.
 */
public final class PageFixture implements AutoCloseable {

  private static final Path CHROMIUM = Path.of("/usr/bin/chromium");
  private static final double PATIENCE_MILLIS = 30_000;

  private final Playwright playwright;
  private final Browser browser;
  private final List<String> errors = new ArrayList<>();
  private final List<String> asked = new ArrayList<>();

  private PageFixture() {
    playwright =
        Playwright.create(
            new Playwright.CreateOptions().setEnv(Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
    browser =
        playwright
            .chromium()
            .launch(
                new LaunchOptions()
                    .setExecutablePath(CHROMIUM)
                    .setArgs(
                        List.of(
                            "--no-sandbox",
                            "--disable-gpu",
                            "--disable-quic",
                            "--no-first-run",
                            "--disable-background-networking",
                            "--disable-component-update",
                            "--disable-sync")));
  }

  /** Opens the browser, or skips the tests with the reason. */
  public static PageFixture open() {
    assumeTrue(
        Files.isExecutable(CHROMIUM),
        "no Chromium at " + CHROMIUM + "; install Debian's package chromium to run browser tests");
    return new PageFixture();
  }

  /** Opens an address in a fresh context, as a person without history does. */
  public Page page(String url, int width, int height) {
    // A test that failed leaves its page open, which would go on asking.
    browser.contexts().forEach(BrowserContext::close);
    errors.clear();
    asked.clear();
    BrowserContext context =
        browser.newContext(
            new Browser.NewContextOptions().setViewportSize(width, height).setLocale("en-GB"));
    context.setDefaultTimeout(PATIENCE_MILLIS);
    Page page = context.newPage();
    page.onConsoleMessage(
        message -> {
          if (message.type().equals("error")) {
            errors.add(message.text());
          }
        });
    page.onPageError(errors::add);
    page.onRequest(request -> asked.add(request.url()));
    page.navigate(url);
    return page;
  }

  /** Closes a page; nothing but what is expected may have gone wrong in it. */
  public void close(Page page, String own, String... expected) {
    page.context().close();
    assertThat(asked)
        .as("addresses that the page asked")
        .isNotEmpty()
        .allMatch(url -> url.startsWith(own));
    assertThat(errors)
        .as("errors on the console of the page")
        .allMatch(error -> List.of(expected).stream().anyMatch(error::contains));
  }

  @Override
  public void close() {
    browser.close();
    playwright.close();
  }
}

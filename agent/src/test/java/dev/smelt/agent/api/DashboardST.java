package dev.smelt.agent.api;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static com.microsoft.playwright.assertions.PlaywrightAssertions.setDefaultAssertionTimeout;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Page.GetByRoleOptions;
import com.microsoft.playwright.Route;
import com.microsoft.playwright.options.AriaRole;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.tests.browser.PageFixture;
import java.util.List;
import java.util.regex.Pattern;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The dashboard in a browser, over a replayed model. */
class DashboardST {

  private static final String DISCONNECTED = "net::ERR_";
  private static final List<String> VIEWS =
      List.of("traffic", "drift", "snapshots", "operate", "health");

  /** Texts whose contrast is below what WCAG 2.2 asks at level AA, colours laid over each other. */
  private static final String FAINT =
      """
      () => {
        const channels = (css) => [...css.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
        const over = (top, below) => below.map((value, at) => at < 3 ? top[at] * top[3] + value * (1 - top[3]) : 1);
        const light = (value) => value <= 0.03928 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
        const luminance = ([red, green, blue]) => 0.2126 * light(red) + 0.7152 * light(green) + 0.0722 * light(blue);
        const ground = (element) => {
          const below = element.parentElement ? ground(element.parentElement) : [255, 255, 255, 1];
          return over(channels(getComputedStyle(element).backgroundColor), below);
        };
        const ratio = (element) => {
          const below = ground(element);
          const [more, less] = [over(channels(getComputedStyle(element).color), below), below]
            .map(luminance).sort((left, right) => right - left);
          return (more + 0.05) / (less + 0.05);
        };
        return [...document.querySelectorAll("body *")]
          .filter((element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()))
          .filter((element) => element.checkVisibility() && !element.closest(".visually-hidden, .skip, :disabled"))
          .filter((element) => ratio(element) < 4.5)
          .map((element) => `${element.className} "${element.textContent}": ${ratio(element).toFixed(2)}`);
      }
      """;

  private static PageFixture browser;

  private ApiFixture api = ApiFixture.open();

  @BeforeAll
  static void open() {
    browser = PageFixture.open();
    setDefaultAssertionTimeout(30_000);
  }

  @AfterAll
  static void close() {
    if (browser != null) {
      browser.close();
    }
  }

  @AfterEach
  void stop() {
    api.close();
  }

  @Test
  void shouldShowDriftAppearWhileTrafficShiftsAndTheRemergeThatFollows() {
    Page page = view("drift");
    Locator drift = summary(page, "Drift");
    assertThat(drift).not().hasAttribute("data-over", "true");
    String served = summary(page, "Serving").textContent();

    api.model.shiftTo("headers");
    for (int window = 0; window < 15; window++) {
      api.model.tick();
    }

    assertThat(page.locator(".journal")).containsText("over 0.120");
    assertThat(summary(page, "Serving")).not().hasText(served);
    assertThat(page.locator(".journal")).containsText("engine serves");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldRollBackFromThePage() {
    String previous = api.model.status().previous().orElseThrow();
    Page page = view("operate");
    button(page, "Roll back …").click();
    Locator dialog = page.getByRole(AriaRole.DIALOG);
    assertThat(dialog).containsText("expert tensors differ from what serves now");
    assertThat(dialog).containsText("The engine swaps from");

    dialog.getByLabel("Reason").fill("answers got worse");
    dialog.getByRole(AriaRole.BUTTON).last().click();
    assertThat(dialog).containsText(previous + " serves");
    button(page, "Close").click();

    assertThat(summary(page, "Serving")).hasText(shortId(previous));
    assertThat(page.locator(".journal")).containsText("answers got worse");
    Assertions.assertThat(api.model.status().served()).contains(previous);
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldAskForAReasonBeforeAnything() {
    Page page = view("operate");
    button(page, "Pause …").click();
    Locator dialog = page.getByRole(AriaRole.DIALOG);
    dialog.getByRole(AriaRole.BUTTON).last().click();
    assertThat(dialog).isVisible();
    page.keyboard().press("Escape");
    assertThat(dialog).hasCount(0);
    assertThat(summary(page, "State")).hasText("Observing");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldPauseAndResume() {
    Page page = view("operate");
    ask(page, "Pause …", "maintenance of the engine");
    assertThat(summary(page, "State")).hasText("Paused");
    assertThat(button(page, "Pause …")).isDisabled();
    ask(page, "Resume …", "maintenance is over");
    assertThat(summary(page, "State")).hasText("Observing");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldApproveAProposedRemerge() {
    api.model.mode(Mode.APPROVE);
    Page page = view("operate");
    api.model.shiftTo("headers");
    for (int window = 0; window < 15; window++) {
      api.model.tick();
    }
    assertThat(summary(page, "State")).hasText("Awaiting approval");
    String served = summary(page, "Serving").textContent();
    ask(page, "Approve …", "the shift is real");
    assertThat(summary(page, "Serving")).not().hasText(served);
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldTellOnEveryViewThatAPersonIsWanted() {
    api.model.mode(Mode.APPROVE);
    Page page = view("traffic");
    assertThat(page).hasTitle("Traffic · byte-moe · Smelt");
    assertThat(page.locator(".call")).isHidden();

    api.model.shiftTo("headers");
    for (int window = 0; window < 15; window++) {
      api.model.tick();
    }

    assertThat(page).hasTitle("Awaiting approval · Traffic · byte-moe · Smelt");
    assertThat(page.locator("link[rel=icon]")).hasAttribute("href", "icon-waits.svg");
    assertThat(page.locator(".call")).containsText("Awaiting approval: drift");
    page.getByText("Go to Operate").click();
    assertThat(page.locator(".call")).isHidden();
    assertThat(page.locator(".proposal")).containsText("A re-merge waits for approval");
    assertThat(page.locator(".proposal"))
        .containsText(Pattern.compile("Over since .*, [0-9,]+ requests in \\d+ windows?"));
    assertThat(page.locator(".proposal"))
        .containsText(Pattern.compile("Moved: layer \\d+ by 0\\."));
    assertThat(button(page, "Pause …")).isDisabled();
    assertThat(button(page, "Pause …"))
        .hasAccessibleDescription("Not now: the loop is awaiting approval.");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldFoldLooksThatLedToNothingAndKeepOpenWhatIsRead() {
    Page page = view("drift");
    Locator folds = page.locator(".journal .fold");
    folds.first().locator("summary").click();
    Locator open = page.locator(".journal .fold[open]");
    assertThat(open).hasCount(1);
    String newest = page.locator(".journal > li").first().textContent();

    api.model.shiftTo("headers");
    for (int window = 0; window < 15; window++) {
      api.model.tick();
    }

    assertThat(page.locator(".journal > li").first()).not().hasText(newest);
    assertThat(page.locator(".journal")).containsText("engine serves");
    assertThat(open).hasCount(1);
    assertThat(open).containsText("drift 0.");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldNotLoseWhatChangesWhileItReadsEverything() {
    Page page = view("operate");
    page.route(
        "**/traffic",
        route -> {
          api.model.pause(new ModelControl.Request("ada", "while the page reads"));
          route.fulfill(new Route.FulfillOptions().setResponse(route.fetch()));
        });
    page.reload();
    assertThat(summary(page, "State")).hasText("Paused");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldSayWhoRefusedWhereReadingIsForbidden() {
    Page page = browser.page(api.url("/"), 1280, 900);
    page.route(
        "**/v1/events",
        route ->
            route.fulfill(
                new Route.FulfillOptions()
                    .setStatus(403)
                    .setContentType("application/problem+json")
                    .setBody(
                        "{\"title\": \"Forbidden\", \"detail\": \"not a member of ml-ops\"}")));
    page.reload();
    assertThat(page.locator(".connection")).hasText("Forbidden");
    assertThat(page.locator("main")).containsText("refused: not a member of ml-ops");
    assertThat(page.getByLabel("Token")).isVisible();
    browser.close(page, api.url("/"), "403");
  }

  @ParameterizedTest
  @ValueSource(strings = {"light", "dark"})
  void shouldBeLegible(String theme) {
    Page page = browser.page(api.url("/"), 1280, 900);
    page.evaluate("theme => localStorage.setItem('smelt.theme', theme)", theme);
    page.reload();
    for (String view : VIEWS) {
      page.navigate(api.url("/#/byte-moe/" + view));
      assertThat(page.locator("main h1")).hasText(Pattern.compile(view, Pattern.CASE_INSENSITIVE));
      Assertions.assertThat((List<?>) page.evaluate(FAINT)).as(view).isEmpty();
    }
    page.evaluate(
        "() => document.querySelector('.lead').style.color = getComputedStyle(document.body).backgroundColor");
    Assertions.assertThat((List<?>) page.evaluate(FAINT)).as("text made faint").hasSize(1);
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldShowTheServersWordsWhenItRefuses() {
    Page page = view("operate");
    button(page, "Pause …").click();
    api.model.pause(new ModelControl.Request("ada", "was quicker"));
    Locator dialog = page.getByRole(AriaRole.DIALOG);
    dialog.getByLabel("Reason").fill("too late");
    dialog.getByRole(AriaRole.BUTTON).last().click();
    assertThat(dialog).containsText("only an observing loop can be paused");
    browser.close(page, api.url("/"), "409");
  }

  @Test
  void shouldComeBackAfterTheAgentHasRestarted() {
    Page page = view("traffic");
    assertThat(page.locator(".connection")).hasText("Live");
    api.stop();
    assertThat(page.locator(".banner")).isVisible();
    assertThat(page.locator(".banner")).containsText("The agent does not answer");
    assertThat(page.locator("main .card").first()).isVisible();
    api.startAnew();
    button(page, "Try now").click(new Locator.ClickOptions().setForce(true));
    assertThat(page.locator(".connection")).hasText("Live");
    assertThat(page.locator(".banner")).isHidden();
    api.model.tick();
    assertThat(page.locator(".picture.heat canvas").first()).isVisible();
    browser.close(page, api.url("/"), DISCONNECTED);
  }

  @Test
  void shouldAskForATokenAndHideNothingButActionsFromAViewer() {
    api.close();
    api = ApiFixture.withTokens();
    Page page = browser.page(api.url("/#/byte-moe/operate"), 1280, 900);
    page.getByLabel("Token").fill("wrong-secret-0123456789");
    button(page, "Sign in").click();
    assertThat(page.getByText("This token is not known to the agent.")).isVisible();

    page.getByLabel("Token").fill(ApiFixture.VIEWER);
    button(page, "Sign in").click();
    assertThat(page.locator(".identity")).hasText("board · viewer");
    assertThat(page.getByText("This token is a viewer's")).isVisible();
    assertThat(button(page, "Roll back …")).isDisabled();
    assertThat(button(page, "Pause …")).isDisabled();

    button(page, "Sign out").click();
    page.getByLabel("Token").fill(ApiFixture.OPERATOR);
    button(page, "Sign in").click();
    assertThat(page.locator(".identity")).hasText("ada · operator");
    ask(page, "Pause …", "because I may");
    assertThat(page.locator(".journal")).containsText("ada");
    browser.close(page, api.url("/"), "401");
  }

  @Test
  void shouldCompareSnapshotsAndDrawGroups() {
    Page page = view("snapshots");
    assertThat(page.locator(".snapshot")).hasCount(api.model.manifests().size());
    assertThat(page.locator(".snapshot[aria-current]")).containsText("active · serving");
    assertThat(page.getByText("tensors differ")).isVisible();
    assertThat(page.locator(".picture.sankey canvas").first()).isVisible();
    page.getByText("Groups as a table").click();
    assertThat(page.getByRole(AriaRole.REGION, named("Groups of layer 0"))).isVisible();

    page.locator(".snapshot").last().focus();
    page.keyboard().press("Enter");
    assertThat(page.locator(".detail")).containsText("none: the full model");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldSayWhatToDoWhileThereIsNoTraffic() {
    api.close();
    api = ApiFixture.withoutPast();
    Page page = view("traffic");
    assertThat(page.getByText("No window has closed yet")).isVisible();
    page.getByRole(AriaRole.LINK, named("Drift")).click();
    assertThat(page.getByText("No drift yet")).isVisible();
    api.model.tick();
    page.getByRole(AriaRole.LINK, named("Traffic")).click();
    assertThat(page.locator(".picture.heat canvas").first()).isVisible();
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldShowTheChecksThatAreIll() {
    api.health.register("engine", () -> HealthChecks.Finding.ill("refuses connections"));
    Page page = view("health");
    assertThat(page.locator(".checks li").first()).containsText("refuses connections");
    assertThat(page.getByText("not ready")).isVisible();
    page.getByLabel("Filter figures").fill("smelt_drift{");
    assertThat(page.locator(".table-wrap tbody tr")).hasCount(1);
    browser.close(page, api.url("/"));
  }

  @ParameterizedTest
  @ValueSource(ints = {390, 1280})
  void shouldFitTheScreen(int width) {
    Page page = browser.page(api.url("/"), width, 844);
    for (String view : VIEWS) {
      page.navigate(api.url("/#/byte-moe/" + view));
      assertThat(page.locator("main h1")).hasText(Pattern.compile(view, Pattern.CASE_INSENSITIVE));
      Object overflow =
          page.evaluate(
              "() => document.documentElement.scrollWidth - document.documentElement.clientWidth");
      Assertions.assertThat(overflow).as(view).isEqualTo(0);
    }
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldGiveEveryControlAName() {
    Page page = browser.page(api.url("/"), 1280, 900);
    for (String view : VIEWS) {
      page.navigate(api.url("/#/byte-moe/" + view));
      assertThat(page.locator("main h1")).hasText(Pattern.compile(view, Pattern.CASE_INSENSITIVE));
      Object nameless =
          page.evaluate(
              """
              () => [...document.querySelectorAll("button, a, input, select, textarea, [role=img]")]
                .filter((element) => element.checkVisibility())
                .filter((element) => !(element.textContent.trim()
                  || element.getAttribute("aria-label")
                  || element.labels?.length))
                .map((element) => element.outerHTML)
              """);
      Assertions.assertThat((List<?>) nameless).as(view).isEmpty();
      Assertions.assertThat(page.locator("h1").count()).isEqualTo(1);
    }
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldBeUsableWithTheKeyboardAlone() {
    Page page = view("traffic");
    page.keyboard().press("Tab");
    assertThat(page.getByText("Skip to content")).isFocused();
    page.getByRole(AriaRole.LINK, named("Operate")).focus();
    page.keyboard().press("Enter");
    assertThat(page.locator("main")).isFocused();
    button(page, "Pause …").focus();
    page.keyboard().press("Enter");
    assertThat(page.getByLabel("Reason")).isFocused();
    page.keyboard().type("by keyboard");
    page.keyboard().press("Tab");
    page.keyboard().press("Tab");
    page.keyboard().press("Enter");
    assertThat(summary(page, "State")).hasText("Paused");
    browser.close(page, api.url("/"));
  }

  @Test
  void shouldKeepTheChosenTheme() {
    Page page = view("traffic");
    String light = background(page);
    button(page, "Use the dark theme").click();
    String dark = background(page);
    Assertions.assertThat(dark).isNotEqualTo(light);
    page.reload();
    assertThat(button(page, "Use the light theme")).isVisible();
    Assertions.assertThat(background(page)).isEqualTo(dark);
    browser.close(page, api.url("/"));
  }

  private Page view(String name) {
    Page page = browser.page(api.url("/#/byte-moe/" + name), 1280, 900);
    assertThat(page.locator(".connection")).hasText("Live");
    return page;
  }

  private static String background(Page page) {
    return (String) page.evaluate("() => getComputedStyle(document.body).backgroundColor");
  }

  private static Locator summary(Page page, String label) {
    return page.locator(".summary > div")
        .filter(new Locator.FilterOptions().setHas(page.locator("dt", exactly(label))))
        .locator(".summary-value");
  }

  private static Page.LocatorOptions exactly(String label) {
    return new Page.LocatorOptions().setHasText(Pattern.compile("^" + label + "$"));
  }

  private static Locator button(Page page, String name) {
    return page.getByRole(AriaRole.BUTTON, named(name));
  }

  private static GetByRoleOptions named(String name) {
    return new GetByRoleOptions().setName(name).setExact(true);
  }

  private static void ask(Page page, String button, String reason) {
    button(page, button).click();
    Locator dialog = page.getByRole(AriaRole.DIALOG);
    dialog.getByLabel("Reason").fill(reason);
    dialog.getByRole(AriaRole.BUTTON).last().click();
    button(page, "Close").click();
  }

  private static String shortId(String id) {
    return id.substring(id.indexOf('-') + 1, id.indexOf('-') + 9);
  }
}

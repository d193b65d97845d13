package dev.smelt.tests;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import java.util.regex.Pattern;

/** The dashboard's parts, as a person would name them. */
record OperatorPage(Page page) {

  Locator connection() {
    return page.locator(".connection");
  }

  Locator banner() {
    return page.locator(".banner");
  }

  Locator journal() {
    return page.locator(".journal");
  }

  Locator identity() {
    return page.locator(".identity");
  }

  Locator dialog() {
    return page.getByRole(AriaRole.DIALOG);
  }

  /** A figure of the summary. */
  Locator summary(String label) {
    return page.locator(".summary > div")
        .filter(
            new Locator.FilterOptions()
                .setHas(
                    page.locator(
                        "dt",
                        new Page.LocatorOptions().setHasText(Pattern.compile("^" + label + "$")))))
        .locator(".summary-value");
  }

  Locator button(String name) {
    return page.getByRole(
        AriaRole.BUTTON, new Page.GetByRoleOptions().setName(name).setExact(true));
  }

  void signIn(String token) {
    page.getByLabel("Token").fill(token);
    button("Sign in").click();
  }

  /** Opens an action's dialog, gives the reason and confirms. */
  void act(String action, String reason) {
    button(action).click();
    dialog().getByLabel("Reason").fill(reason);
    dialog().getByRole(AriaRole.BUTTON).last().click();
  }
}

package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A committed page that is generated from the code; a test says when it is out of date. */
final class GeneratedPage {

  private GeneratedPage() {}

  /**
   * Compares the page with what the code says now, or writes it where {@code smelt.renew} is set.
   */
  static void check(Path page, String generated) throws IOException {
    if (System.getProperty("smelt.renew") != null) {
      Files.writeString(page, generated);
    }
    assertThat(page)
        .as(
            "renew it with: mvn -pl ops -am test -Dtest='*PageTest' -Dsmelt.renew"
                + " -Dsurefire.failIfNoSpecifiedTests=false")
        .exists()
        .hasContent(generated);
  }
}

package dev.smelt.agent;

import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Objects;

/** Where the goldens of the tests lie. */
public final class Goldens {

  private Goldens() {}

  public static Path path(String name) {
    try {
      return Path.of(
          Objects.requireNonNull(Goldens.class.getResource("/goldens/" + name), name).toURI());
    } catch (URISyntaxException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}

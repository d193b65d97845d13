package dev.smelt.agent.swap;

import dev.smelt.agent.tap.Engines;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which of two places the proxies of all agents of a model send requests to. The agent that acts
 * writes it into a file of the folder that they share; every agent looks there and says in a file
 * of its own where its proxy sends requests and how many are still in flight elsewhere.
 *
 * <p>Failure semantics: a shift is written before any proxy follows it, and the file is there after
 * a crash, so that an agent that starts sends requests where the others do. While the folder cannot
 * be read, a proxy goes on as before. An agent that has not said anything for {@link #SILENCE} is
 * not waited for; if it only stood still, its clients get errors until it looks again.
 */
public final class LivePlace implements AutoCloseable {

  /** After so long without a word an agent counts as gone. */
  static final Duration SILENCE = Duration.ofSeconds(5);

  private static final Logger LOG = LoggerFactory.getLogger(LivePlace.class);
  private static final Duration LOOK = Duration.ofMillis(250);
  private static final String NEXT = ".next";

  private final Path file;
  private final Path agents;
  private final Path own;
  private final List<URI> places;
  private final Engines engines;
  private final ScheduledExecutorService looking =
      Executors.newSingleThreadScheduledExecutor(
          look -> {
            Thread thread = new Thread(look, "smelt-live-place");
            thread.setDaemon(true);
            return thread;
          });
  private boolean warned;

  private LivePlace(Path folder, String agent, List<URI> places, Engines engines) {
    this.file = folder.resolve("engine");
    this.agents = folder.resolve("agents");
    this.own = agents.resolve(agent);
    this.places = List.copyOf(places);
    this.engines = engines;
  }

  /**
   * Sends requests where the folder says, now and whenever that changes; where it says nothing yet,
   * or what it says was before a change of the configuration, they go on as they do.
   *
   * @param folder of the model, shared by all agents
   * @param agent the name of this agent, another one for each
   * @param places where an engine may serve
   * @param engines of this agent's proxy
   * @throws UncheckedIOException if the folder cannot be used
   */
  public static LivePlace follow(Path folder, String agent, List<URI> places, Engines engines) {
    LivePlace place = new LivePlace(folder, agent, places, engines);
    try {
      Files.createDirectories(place.agents);
      place.look();
    } catch (IOException e) {
      throw new UncheckedIOException(folder + ": cannot be used: " + e.getMessage(), e);
    }
    place.looking.scheduleWithFixedDelay(
        place::lookAgain, LOOK.toMillis(), LOOK.toMillis(), TimeUnit.MILLISECONDS);
    return place;
  }

  /** Where new requests of this agent's proxy go. */
  URI current() {
    return engines.current().get(0);
  }

  /** Sends new requests of all proxies to this engine; the others' follow within moments. */
  synchronized Outcome shift(URI engine) {
    try {
      write(file, engine.toString());
      look();
      return Outcome.done();
    } catch (IOException e) {
      return new Outcome.Failed(file + ": cannot be written: " + e.getMessage());
    }
  }

  /** Whether every proxy sends its requests to this engine and has none in flight elsewhere. */
  synchronized boolean settled(URI engine) {
    try {
      look();
      FileTime now = Files.getLastModifiedTime(own);
      try (Stream<Path> files = Files.list(agents)) {
        for (Path agent : files.toList()) {
          if (!agent.getFileName().toString().endsWith(NEXT) && !settled(agent, engine, now)) {
            return false;
          }
        }
      }
      return true;
    } catch (IOException e) {
      warn(e);
      return false;
    }
  }

  private static boolean settled(Path agent, URI engine, FileTime now) throws IOException {
    try {
      Duration silent =
          Duration.between(Files.getLastModifiedTime(agent).toInstant(), now.toInstant());
      if (silent.compareTo(SILENCE) > 0) {
        Files.deleteIfExists(agent);
        return true;
      }
      return Files.readString(agent).equals(said(engine, 0));
    } catch (NoSuchFileException leftMeanwhile) {
      return true;
    }
  }

  private void lookAgain() {
    try {
      look();
      warned = false;
    } catch (IOException | RuntimeException e) {
      warn(e);
    }
  }

  private void warn(Exception e) {
    if (!warned) {
      warned = true;
      LOG.atWarn()
          .addKeyValue("file", file)
          .addKeyValue("reason", e.getMessage())
          .log("Where requests are to go cannot be read; they go on as before");
    }
  }

  private synchronized void look() throws IOException {
    Optional<URI> told = told();
    if (told.isPresent() && !engines.current().equals(List.of(told.get()))) {
      engines.shift(List.of(told.get()));
      LOG.atInfo().addKeyValue("engine", told.get()).log("Requests go to another engine");
    }
    write(own, said(current(), engines.inFlightElsewhere()));
  }

  private Optional<URI> told() throws IOException {
    try {
      return Optional.of(URI.create(Files.readString(file))).filter(places::contains);
    } catch (NoSuchFileException nothingYet) {
      return Optional.empty();
    }
  }

  private static String said(URI engine, int elsewhere) {
    return engine + " " + elsewhere;
  }

  private static void write(Path file, String text) throws IOException {
    Path next = file.resolveSibling(file.getFileName() + NEXT);
    Files.write(next, text.getBytes(StandardCharsets.UTF_8));
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Stops to look; nobody waits for this agent any more. */
  @Override
  public void close() {
    looking.shutdownNow();
    try {
      looking.awaitTermination(SILENCE.toMillis(), TimeUnit.MILLISECONDS);
      Files.deleteIfExists(own);
    } catch (IOException e) {
      warn(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

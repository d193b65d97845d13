package dev.smelt.agent.election;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import dev.smelt.agent.control.Fence;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * The file that says who leads, beside the store that the agents share. Its term grows with each
 * leader; what a leader of an earlier term still wants to write is refused.
 *
 * <p>Failure semantics: a lock of the operating system excludes takers while a guarded write is
 * under way. It goes with its process, so that a killed leader holds up nobody; one that is stopped
 * in the middle of a write holds up its successor until it goes on or is killed.
 */
final class LeaderFile {

  private static final ObjectMapper JSON =
      new ObjectMapper()
          .registerModule(new JavaTimeModule())
          .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS);

  /** File locks are those of the process; its threads need one of their own. */
  private static final Map<Path, ReentrantLock> WITHIN_PROCESS = new ConcurrentHashMap<>();

  /**
   * Who leads.
   *
   * @param term grows by one with each leader
   * @param agent its name
   * @param since when it took over
   */
  record Leader(long term, String agent, Instant since) {}

  private interface Work<T> {
    T run() throws IOException;
  }

  private final Path file;
  private final Path lock;
  private final ReentrantLock within;
  private final Clock clock;

  /**
   * @param folder that all agents share
   */
  LeaderFile(Path folder, Clock clock) {
    this.file = folder.resolve("leader.json").toAbsolutePath();
    this.lock = folder.resolve("leader.lock");
    this.within = WITHIN_PROCESS.computeIfAbsent(file, path -> new ReentrantLock());
    this.clock = clock;
  }

  /** Who leads; empty before the first leader. */
  Optional<Leader> leader() {
    try {
      return Optional.of(JSON.readValue(Files.readAllBytes(file), Leader.class));
    } catch (NoSuchFileException first) {
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": unreadable: " + e.getMessage(), e);
    }
  }

  /** Takes over: from now on no fence of an earlier term lets anything through. */
  Term take(String agent) {
    return exclusively(
        () -> {
          Leader next =
              new Leader(leader().map(Leader::term).orElse(0L) + 1, agent, clock.instant());
          write(next);
          return new Term(next);
        });
  }

  private void write(Leader leader) throws IOException {
    Path next = file.resolveSibling("leader.json.next");
    try (FileOutputStream out = new FileOutputStream(next.toFile())) {
      out.write(JSON.writeValueAsBytes(leader));
      out.getFD().sync();
    }
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private <T> T exclusively(Work<T> work) {
    within.lock();
    try {
      if (within.getHoldCount() > 1) {
        return work.run();
      }
      Files.createDirectories(file.getParent());
      try (FileChannel channel =
              FileChannel.open(lock, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
          FileLock held = channel.lock()) {
        return work.run();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(lock + ": cannot be used: " + e.getMessage(), e);
    } finally {
      within.unlock();
    }
  }

  /** One leader's time. */
  final class Term implements Fence {

    private final Leader leader;

    private Term(Leader leader) {
      this.leader = leader;
    }

    /** Whether nobody has taken over. */
    boolean lasts() {
      return leader().filter(leader::equals).isPresent();
    }

    @Override
    public <T> T guard(Supplier<T> work) {
      return exclusively(
          () -> {
            Optional<Leader> now = leader();
            if (!now.equals(Optional.of(leader))) {
              throw new Deposed(now.map(Leader::agent).orElse("unknown"));
            }
            return work.get();
          });
    }
  }
}

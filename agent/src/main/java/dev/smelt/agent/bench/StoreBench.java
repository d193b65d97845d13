package dev.smelt.agent.bench;

import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.files.Folders;
import dev.smelt.store.http.AccessControl;
import dev.smelt.store.http.Listen;
import dev.smelt.store.http.StoreClient;
import dev.smelt.store.http.StoreServer;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.commons.statistics.descriptive.Median;

/** The store beside the tools that do as little as possible with the same bytes. */
public final class StoreBench {

  private static final String MODEL = "bench";
  private static final int GROUPS = 16;
  private static final int MOVES = 300;
  private static final int PUBLICATIONS = 3;
  private static final int DOWNLOADS = 40;
  private static final long REST_MILLIS = 3000;

  private static final Median MEDIAN = Median.withDefaults();

  private StoreBench() {}

  /**
   * Runs everything in a folder that is removed afterwards.
   *
   * @param megabytes of the snapshot
   * @param parent where the folder is made; its disk is what is measured
   */
  public static List<Figure> run(int megabytes, Path parent)
      throws IOException, InterruptedException {
    Path folder = Files.createTempDirectory(parent, "smelt-bench");
    Vertx vertx = Vertx.vertx(new VertxOptions().setPreferNativeTransport(true));
    try {
      List<Figure> figures = new ArrayList<>();
      SnapshotStore store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
      Path source = source(folder, megabytes);
      publish(source, megabytes, folder, figures);
      Manifest manifest = publish(store, source);
      StoreServer server =
          StoreServer.start(vertx, store, Listen.loopback(0), AccessControl.local())
              .toCompletionStage()
              .toCompletableFuture()
              .join();
      URI base = URI.create("http://127.0.0.1:" + server.port());
      download(store, manifest, base, folder, figures);
      moves(store, manifest, base, figures);
      remerge(store, manifest, base, folder, figures);
      sparse(folder, figures);
      return figures;
    } finally {
      vertx.close().toCompletionStage().toCompletableFuture().join();
      Folders.delete(folder);
    }
  }

  private static Path source(Path folder, int megabytes) {
    byte[] bytes = new byte[megabytes * (1 << 20) / GROUPS];
    Random random = new Random(1);
    Path file = folder.resolve("source.safetensors");
    List<Tensor> tensors = new ArrayList<>();
    for (int group = 0; group < GROUPS; group++) {
      tensors.add(
          new Tensor(
              "block.groups." + group + ".up.weight",
              DType.U8,
              List.of((long) bytes.length),
              channel -> {
                random.nextBytes(bytes);
                channel.write(ByteBuffer.wrap(bytes));
              }));
    }
    SafetensorsWriter.write(file, Map.of(), tensors);
    return file;
  }

  /**
   * Publishes into a new store in each round and takes turns with the two tools; medians count. The
   * disk comes to rest before each, so that nobody pays for what another one left to be written.
   */
  private static void publish(Path source, int megabytes, Path folder, List<Figure> figures)
      throws IOException, InterruptedException {
    Path copy = folder.resolve("copy");
    double[] copied = new double[PUBLICATIONS];
    double[] synced = new double[PUBLICATIONS];
    double[] hashed = new double[PUBLICATIONS];
    double[] published = new double[PUBLICATIONS];
    for (int round = 0; round < PUBLICATIONS; round++) {
      rest();
      copied[round] = seconds(List.of("cp", source.toString(), copy.toString()));
      long began = System.nanoTime();
      seconds(List.of("sync", copy.toString()));
      synced[round] = copied[round] + (System.nanoTime() - began) / 1e9;
      Files.delete(copy);
      rest();
      hashed[round] = seconds(List.of("sha256sum", source.toString()));
      Path root = folder.resolve("publication");
      rest();
      began = System.nanoTime();
      publish(SnapshotStore.open(root, Clock.systemUTC()), source);
      published[round] = (System.nanoTime() - began) / 1e9;
      Folders.delete(root);
    }
    figures.add(
        new Figure(
            "publish, durably",
            megabytes / MEDIAN.evaluate(published),
            "MiB/s",
            "the slower of cp and sha256sum",
            OptionalDouble.of(
                megabytes / Math.max(MEDIAN.evaluate(copied), MEDIAN.evaluate(hashed)))));
    figures.add(
        new Figure(
            "publish, durably",
            megabytes / MEDIAN.evaluate(published),
            "MiB/s",
            "cp and sync of the copy",
            OptionalDouble.of(megabytes / MEDIAN.evaluate(synced))));
  }

  private static void rest() throws IOException, InterruptedException {
    seconds(List.of("sync"));
    Thread.sleep(REST_MILLIS);
  }

  private static Manifest publish(SnapshotStore store, Path source) {
    try (SafetensorsFile file = SafetensorsFile.open(source);
        Publication publication = store.begin(MODEL)) {
      for (String name : file.tensors().keySet()) {
        publication.add(Tensor.of(file, name));
      }
      return publication.commit(ManifestDraft.of("bench", "bench", "none", "sha256:0"));
    }
  }

  private static double seconds(List<String> command) throws IOException, InterruptedException {
    long began = System.nanoTime();
    Process process =
        new ProcessBuilder(command)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    int code = process.waitFor();
    if (code != 0) {
      throw new IOException(command.get(0) + ": ended with code " + code);
    }
    return (System.nanoTime() - began) / 1e9;
  }

  private static void download(
      SnapshotStore store, Manifest manifest, URI base, Path folder, List<Figure> figures)
      throws IOException, InterruptedException {
    var tensor = manifest.tensors().values().iterator().next();
    double mebibytes = tensor.bytes() / (double) (1 << 20);
    double ours = mebibytes / fastest(base + "/v1/models/" + MODEL + "/blobs/" + tensor.digest());
    Path blob = store.blob(tensor.digest());
    Optional<Nginx> nginx =
        Nginx.start("sendfile on; tcp_nopush on;", "root " + blob.getParent() + ";", folder);
    OptionalDouble theirs = OptionalDouble.empty();
    if (nginx.isPresent()) {
      try (Nginx running = nginx.get()) {
        theirs = OptionalDouble.of(mebibytes / fastest(running.uri() + "/" + blob.getFileName()));
      }
    }
    figures.add(
        new Figure("download of a tensor by curl", ours, "MiB/s", "the file from nginx", theirs));
  }

  private static double fastest(String url) throws IOException, InterruptedException {
    double fastest = Double.POSITIVE_INFINITY;
    for (int round = 0; round < DOWNLOADS; round++) {
      fastest = Math.min(fastest, seconds(List.of("curl", "-sf", "-o", "/dev/null", url)));
    }
    return fastest;
  }

  private static void moves(SnapshotStore store, Manifest manifest, URI base, List<Figure> figures)
      throws InterruptedException {
    BlockingQueue<Long> heard = new LinkedBlockingQueue<>();
    StoreClient client = new StoreClient(base, Optional.empty());
    Thread listener =
        new Thread(() -> client.listen(MODEL, 0, entry -> heard.add(System.nanoTime())));
    listener.setDaemon(true);
    listener.start();
    double[] fromCall = new double[MOVES];
    double[] fromDurable = new double[MOVES];
    for (int move = 0; move < MOVES; move++) {
      long began = System.nanoTime();
      store.activate(MODEL, manifest.id(), new Reason("bench", "measuring"));
      long durable = System.nanoTime();
      long told = heard.take();
      fromCall[move] = (told - began) / 1e6;
      fromDurable[move] = Math.max(0, told - durable) / 1e6;
    }
    figures.add(p99("ref move, from the call until a client hears, p99", fromCall));
    figures.add(p99("ref move, from durable until a client hears, p99", fromDurable));
  }

  private static Figure p99(String what, double[] millis) {
    Arrays.sort(millis);
    return new Figure(
        what, millis[millis.length * 99 / 100], "ms", "target", OptionalDouble.of(50));
  }

  private static void remerge(
      SnapshotStore store, Manifest first, URI base, Path folder, List<Figure> figures) {
    SnapshotStore copy = SnapshotStore.open(folder.resolve("copy-store"), Clock.systemUTC());
    StoreClient client = new StoreClient(base, Optional.empty());
    client.follow(copy, MODEL, "active");
    String changed = "block.groups.3.up.weight";
    byte[] bytes = new byte[Math.toIntExact(first.tensors().get(changed).bytes())];
    new Random(2).nextBytes(bytes);
    Manifest second;
    try (Publication publication = store.begin(MODEL)) {
      first
          .tensors()
          .forEach(
              (name, tensor) -> {
                if (!name.equals(changed)) {
                  publication.reuse(name, tensor);
                }
              });
      publication.add(Tensor.raw(changed, DType.U8, List.of((long) bytes.length), bytes));
      second =
          publication.commit(
              ManifestDraft.of("bench", "bench", "none", "sha256:0").withParent(first.id()));
    }
    long missing =
        second.tensors().values().stream()
            .filter(tensor -> !copy.holds(tensor.digest()))
            .mapToLong(tensor -> tensor.bytes())
            .sum();
    client.fetch(copy, MODEL, second.id());
    figures.add(
        new Figure(
            "bytes moved when 1 of 16 groups changes",
            missing / (double) first.bytes(),
            "of all",
            "that group's share",
            OptionalDouble.of(1.0 / GROUPS)));
  }

  /** A Mixtral checkpoint of 100 GB of zeros that take no room. */
  private static void sparse(Path folder, List<Figure> figures) throws IOException {
    int layers = 32;
    int experts = 8;
    long hidden = 4096;
    long width = 15_500;
    StringBuilder header = new StringBuilder("{");
    long at = 0;
    for (int layer = 0; layer < layers; layer++) {
      String block = "model.layers." + layer + ".block_sparse_moe.";
      at = append(header, block + "gate.weight", experts, hidden, at);
      for (int expert = 0; expert < experts; expert++) {
        String prefix = block + "experts." + expert;
        at = append(header, prefix + ".w1.weight", width, hidden, at);
        at = append(header, prefix + ".w2.weight", hidden, width, at);
        at = append(header, prefix + ".w3.weight", width, hidden, at);
      }
    }
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    Path checkpoint = Files.createDirectory(folder.resolve("sparse"));
    Files.writeString(
        checkpoint.resolve("config.json"),
        "{\"model_type\":\"mixtral\",\"num_local_experts\":8,\"num_experts_per_tok\":2}");
    try (FileChannel channel =
        FileChannel.open(
            checkpoint.resolve("model.safetensors"),
            StandardOpenOption.WRITE,
            StandardOpenOption.CREATE_NEW)) {
      ByteBuffer prefix = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      channel.write(prefix.putLong(json.length).flip());
      channel.write(ByteBuffer.wrap(json));
      channel.write(ByteBuffer.allocate(1), 8 + json.length + at - 1);
    }
    System.gc();
    long before = used();
    long began = System.nanoTime();
    try (Checkpoint opened = Checkpoint.open(checkpoint)) {
      opened.digest();
      double seconds = (System.nanoTime() - began) / 1e9;
      figures.add(
          new Figure(
              "open, check and name %.0f GB".formatted(at / 1e9),
              seconds,
              "s",
              "target",
              OptionalDouble.of(1)));
      figures.add(
          new Figure(
              "heap taken by that",
              (used() - before) / (double) (1 << 20),
              "MiB",
              "target",
              OptionalDouble.of(100)));
    }
  }

  private static long used() {
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }

  private static long append(StringBuilder header, String name, long rows, long columns, long at) {
    long end = at + rows * columns * 2;
    header
        .append(header.length() == 1 ? "" : ",")
        .append(
            "\"%s\":{\"dtype\":\"BF16\",\"shape\":[%d,%d],\"data_offsets\":[%d,%d]}"
                .formatted(name, rows, columns, at, end));
    return end;
  }
}

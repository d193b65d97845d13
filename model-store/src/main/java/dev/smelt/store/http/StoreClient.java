package dev.smelt.store.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.snapshot.BlobWriter;
import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SignedManifest;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.StoreException;
import dev.smelt.store.snapshot.StoreJson;
import dev.smelt.store.snapshot.StoredTensor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import javax.net.ssl.SSLHandshakeException;
import org.jspecify.annotations.Nullable;

/**
 * Talks to a store's API and keeps a local store in step with it. Every call blocks. Safe for use
 * by several threads.
 *
 * <p>Failure semantics of copying: the local ref moves last, by one rename, after every blob was
 * fetched and its digest checked; a transfer that breaks off is resumed by the next attempt.
 */
public final class StoreClient {

  private static final Duration CONNECT = Duration.ofSeconds(10);
  private static final Duration ANSWER = Duration.ofSeconds(60);
  private static final int ATTEMPTS = 5;
  private static final int LONGEST_MANIFEST = 256 << 20;

  private final URI base;
  private final Optional<String> token;
  private final HttpClient http;

  /**
   * A client for one server.
   *
   * @param base for example {@code http://127.0.0.1:7070}
   * @param token bearer token, where the server needs one
   */
  public StoreClient(URI base, Optional<String> token) {
    this(base, token, client().build());
  }

  private StoreClient(URI base, Optional<String> token, HttpClient http) {
    this.base = base;
    this.token = token;
    this.http = http;
  }

  /**
   * A client for one server that trusts these certificates alone, and not the system's.
   *
   * @param certificates PEM file, for example of a server that signed its own
   * @throws StoreClientException if the file cannot be read or holds none
   */
  public static StoreClient trusting(Path certificates, URI base, Optional<String> token) {
    return new StoreClient(
        base, token, client().sslContext(TrustedCertificates.context(certificates)).build());
  }

  private static HttpClient.Builder client() {
    return HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(CONNECT);
  }

  /** Ids and summaries of a model's snapshots, newest first. */
  public List<JsonNode> snapshots(String model) {
    List<JsonNode> all = new ArrayList<>();
    json(get(path(model, "snapshots"))).path("snapshots").forEach(all::add);
    return all;
  }

  /** One snapshot. */
  public Manifest manifest(String model, String id) {
    return StoreJson.manifest(id, json(get(path(model, "snapshots", id))));
  }

  /** Where a ref points. */
  public Optional<String> ref(String model, String name) {
    HttpResponse<byte[]> response =
        send(get(path(model, "refs", name)), BodyHandlers.ofByteArray());
    return response.statusCode() == 404
        ? Optional.empty()
        : Optional.of(StoreJson.text(json(response), "snapshot"));
  }

  /** All refs by name. */
  public Map<String, String> refs(String model) {
    Map<String, String> refs = new LinkedHashMap<>();
    json(get(path(model, "refs")))
        .path("refs")
        .forEach(ref -> refs.put(StoreJson.text(ref, "name"), StoreJson.text(ref, "snapshot")));
    return refs;
  }

  /** The moves after a sequence number. */
  public List<LogEntry> log(String model, long after) {
    List<LogEntry> entries = new ArrayList<>();
    json(get(path(model, "log") + "?after=" + after))
        .path("entries")
        .forEach(entry -> entries.add(StoreJson.entry(entry)));
    return entries;
  }

  /** What differs between two snapshots, as the API gives it. */
  public ObjectNode diff(String model, String from, String to) {
    return json(get(path(model, "diff") + "?from=" + encode(from) + "&to=" + encode(to)));
  }

  /** Moves a ref if it points where the caller expects; the server logs the token's holder. */
  public RefUpdate moveRef(
      String model, String name, Optional<String> expected, String target, Reason reason) {
    ObjectNode body = StoreJson.newObject();
    body.put("expected", expected.orElse(null));
    body.put("snapshot", target);
    return change(model, "PUT", path(model, "refs", name), body, reason);
  }

  /** Points {@code active} to an earlier snapshot; empty for the one before. */
  public RefUpdate rollback(String model, Optional<String> to, Reason reason) {
    ObjectNode body = StoreJson.newObject();
    to.ifPresent(snapshot -> body.put("snapshot", snapshot));
    return change(model, "POST", path(model, "rollback"), body, reason);
  }

  /** A store answers with the entry of the move, an agent with an outcome once it serves. */
  private RefUpdate change(
      String model, String method, String path, ObjectNode body, Reason reason) {
    body.put("reason", reason.why());
    HttpRequest.Builder request =
        request(path)
            .header("Content-Type", "application/json")
            .timeout(ANSWER)
            .method(method, BodyPublishers.ofString(body.toString()));
    reason.key().ifPresent(key -> request.header("Idempotency-Key", key));
    HttpResponse<byte[]> response = send(request, BodyHandlers.ofByteArray());
    if (response.statusCode() == 409) {
      ObjectNode problem = StoreJson.object(response.body());
      if (problem.has("actual")) {
        return new RefUpdate.Conflict(StoreJson.optionalText(problem, "actual"));
      }
    }
    ObjectNode answer = json(response);
    if (answer.has("sequence")) {
      return new RefUpdate.Moved(StoreJson.entry(answer));
    }
    if (response.statusCode() != 200) {
      throw new StoreClientException(
          response.statusCode(), base + ": " + answer.path("message").asText());
    }
    return new RefUpdate.Moved(newestMoveOfActive(model));
  }

  private LogEntry newestMoveOfActive(String model) {
    JsonNode active = json(get(path(model, "refs", Ref.ACTIVE)));
    return log(model, active.path("sequence").asLong() - 1).get(0);
  }

  /**
   * Publishes a local snapshot to the server: sends the blobs that it lacks, then the manifest's
   * content. The server gives it an id of its own and the token's holder as publisher.
   */
  public Manifest publish(SnapshotStore local, Manifest manifest) {
    String model = manifest.model();
    for (StoredTensor tensor : manifest.tensors().values()) {
      if (!holds(model, tensor.digest())) {
        upload(local, model, tensor.digest());
      }
    }
    ObjectNode body = StoreJson.manifest(manifest);
    body.remove(List.of("id", "parent"));
    HttpRequest.Builder request =
        request(path(model, "snapshots"))
            .header("Content-Type", "application/json")
            .timeout(ANSWER)
            .POST(BodyPublishers.ofString(body.toString()));
    ObjectNode published = json(send(request, BodyHandlers.ofByteArray()));
    return StoreJson.manifest(StoreJson.text(published, "id"), published);
  }

  private boolean holds(String model, String digest) {
    HttpRequest.Builder request =
        get(path(model, "blobs", digest)).header("If-None-Match", "\"" + digest + "\"");
    HttpResponse<byte[]> response = send(request, BodyHandlers.ofByteArray());
    if (response.statusCode() == 404) {
      return false;
    }
    if (response.statusCode() != 304) {
      throw refused(response.statusCode(), response.body());
    }
    return true;
  }

  private void upload(SnapshotStore local, String model, String digest) {
    try {
      BodyPublisher bytes = BodyPublishers.ofFile(local.blob(digest));
      json(send(request(path(model, "blobs", digest)).PUT(bytes), BodyHandlers.ofByteArray()));
    } catch (IOException e) {
      throw new StoreClientException("blob " + digest + ": cannot be read", e);
    }
  }

  /**
   * Brings a local store in step with a ref of the server: fetches what is missing, then moves the
   * local ref of the same name.
   *
   * @return what the ref now leads to; empty if the server has no such ref
   */
  public Optional<Manifest> follow(SnapshotStore local, String model, String ref) {
    Optional<String> target = ref(model, ref);
    return target.map(
        id -> {
          Manifest manifest = fetch(local, model, id);
          Optional<String> before = local.ref(model, ref).map(Ref::snapshot);
          if (!before.equals(target)) {
            Reason reason = new Reason("copy", "following " + base + " " + ref);
            RefUpdate update = local.moveRef(model, ref, before, id, reason);
            if (!(update instanceof RefUpdate.Moved)) {
              throw new StoreClientException(
                  0, local.root() + ": the ref " + ref + " of " + model + " could not be moved");
            }
          }
          return manifest;
        });
  }

  /** Copies a snapshot and whatever blobs of it the local store lacks. */
  public Manifest fetch(SnapshotStore local, String model, String id) {
    try {
      return local.manifest(model, id);
    } catch (StoreException.NotFound absent) {
      // Fetched below.
    }
    HttpRequest.Builder request =
        get(path(model, "snapshots", id)).header("Accept", StoreRoutes.STORED_MANIFEST);
    HttpResponse<byte[]> response = send(request, BodyHandlers.ofByteArray());
    if (response.statusCode() != 200 || response.body().length > LONGEST_MANIFEST) {
      throw refused(response.statusCode(), response.body());
    }
    SignedManifest signed =
        new SignedManifest(
            response.body(), response.headers().firstValue(StoreRoutes.SIGNATURE_HEADER));
    StoreJson.manifest(id, StoreJson.object(signed.bytes()))
        .tensors()
        .values()
        .forEach(tensor -> fetchBlob(local, model, tensor));
    return local.adopt(model, id, signed);
  }

  private void fetchBlob(SnapshotStore local, String model, StoredTensor tensor) {
    if (local.holds(tensor.digest())) {
      return;
    }
    for (int attempt = 1; ; attempt++) {
      try (BlobWriter writer = local.resume(tensor.digest())) {
        if (writer.length() < tensor.bytes()) {
          receive(model, tensor, writer);
        }
        writer.finishAs(tensor.digest());
        return;
      } catch (IOException | StoreException.Rejected e) {
        if (attempt == ATTEMPTS) {
          throw new StoreClientException(
              base + ": blob " + tensor.digest() + " cannot be fetched: " + e.getMessage(), e);
        }
      }
    }
  }

  private void receive(String model, StoredTensor tensor, BlobWriter writer) throws IOException {
    HttpRequest.Builder request =
        get(path(model, "blobs", tensor.digest()))
            .header("Range", "bytes=" + writer.length() + "-" + (tensor.bytes() - 1));
    HttpResponse<InputStream> response = send(request, BodyHandlers.ofInputStream());
    try (InputStream in = response.body()) {
      if (response.statusCode() != 206) {
        throw refused(response.statusCode(), in.readNBytes(1 << 16));
      }
      byte[] buffer = new byte[1 << 18];
      long left = tensor.bytes() - writer.length();
      for (int count; left > 0 && (count = in.read(buffer)) >= 0; left -= count) {
        writer.write(ByteBuffer.wrap(buffer, 0, (int) Math.min(count, left)));
      }
    }
  }

  /**
   * Waits for moves of a model's refs and tells each, in order and once. Returns when the
   * connection ends; call again with the last sequence number to go on.
   *
   * @param after sequence number of the last move that is known
   * @return the last sequence number that was told
   */
  public long listen(String model, long after, Consumer<LogEntry> listener) {
    HttpRequest.Builder request =
        request(path(model, "events")).header("Last-Event-ID", Long.toString(after)).GET();
    HttpResponse<InputStream> response = send(request, BodyHandlers.ofInputStream());
    long last = after;
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
      if (response.statusCode() != 200) {
        throw new StoreClientException(
            response.statusCode(), base + ": answers " + response.statusCode() + " to events");
      }
      for (String line; (line = lines.readLine()) != null; ) {
        if (line.startsWith("data: ")) {
          LogEntry entry =
              StoreJson.entry(StoreJson.object(line.substring(6).getBytes(StandardCharsets.UTF_8)));
          listener.accept(entry);
          last = entry.sequence();
        }
      }
      return last;
    } catch (IOException e) {
      return last;
    }
  }

  private static String path(String model, String... rest) {
    StringBuilder path = new StringBuilder("/v1/models/").append(encode(model));
    for (String segment : rest) {
      path.append('/').append(encode(segment));
    }
    return path.toString();
  }

  private static String encode(String segment) {
    return URLEncoder.encode(segment, StandardCharsets.UTF_8).replace("+", "%20");
  }

  private HttpRequest.Builder get(String path) {
    return request(path).GET();
  }

  private HttpRequest.Builder request(String path) {
    HttpRequest.Builder request = HttpRequest.newBuilder(base.resolve(path));
    token.ifPresent(secret -> request.header("Authorization", "Bearer " + secret));
    return request;
  }

  private ObjectNode json(HttpRequest.Builder request) {
    return json(send(request.timeout(ANSWER), BodyHandlers.ofByteArray()));
  }

  private ObjectNode json(HttpResponse<byte[]> response) {
    if (response.statusCode() / 100 != 2) {
      throw refused(response.statusCode(), response.body());
    }
    return StoreJson.object(response.body());
  }

  private StoreClientException refused(int status, byte @Nullable [] body) {
    String detail = "";
    try {
      detail = body == null ? "" : StoreJson.object(body).path("detail").asText();
    } catch (StoreException.Rejected e) {
      // Not a problem document: the status has to do.
    }
    return new StoreClientException(
        status, base + ": " + (detail.isEmpty() ? "answers with status " + status : detail));
  }

  private <T> HttpResponse<T> send(
      HttpRequest.Builder request, HttpResponse.BodyHandler<T> bodyHandler) {
    try {
      return http.send(request.build(), bodyHandler);
    } catch (SSLHandshakeException e) {
      throw new StoreClientException(
          base + ": its certificate is not trusted; name it with --trust if it signed its own", e);
    } catch (IOException e) {
      throw new StoreClientException(base + ": cannot be reached; is the agent running?", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreClientException(base + ": interrupted", e);
    }
  }
}

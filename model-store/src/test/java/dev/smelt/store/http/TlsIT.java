package dev.smelt.store.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Clock;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLHandshakeException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server with a certificate that it signed itself. */
class TlsIT {

  private static final String SECRET = "viewer-secret-0123456789";
  private static final char[] PASSWORD = "password".toCharArray();

  @TempDir static Path folder;
  private static final Vertx VERTX = Vertx.vertx();
  private static StoreServer server;

  @BeforeAll
  static void start() throws Exception {
    AccessControl access =
        AccessControl.tokens(Map.of(SECRET, new Caller("viktor", Caller.Role.VIEWER)));
    Path key = pem("server");
    server =
        StoreServer.start(
                VERTX,
                SnapshotStore.open(folder.resolve("store"), Clock.systemUTC()),
                new Listen("0.0.0.0", 0, new Listen.Transport.Tls(certificate("server"), key)),
                access)
            .await();
  }

  @AfterAll
  static void stop() {
    VERTX.close().await();
  }

  private static Path certificate(String name) {
    return folder.resolve(name + ".pem");
  }

  /** Makes a key and a certificate for 127.0.0.1, and returns the key's file. */
  private static Path pem(String name) throws Exception {
    Path keys = folder.resolve(name + ".p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                name,
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name,
                "-ext",
                "san=ip:127.0.0.1",
                "-keystore",
                keys.toString(),
                "-storepass",
                new String(PASSWORD))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    assertThat(keytool.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(keytool.exitValue()).isZero();
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(keys)) {
      store.load(in, PASSWORD);
    }
    write(certificate(name), "CERTIFICATE", store.getCertificate(name).getEncoded());
    Path key = folder.resolve(name + ".key");
    write(key, "PRIVATE KEY", store.getKey(name, PASSWORD).getEncoded());
    return key;
  }

  private static void write(Path file, String kind, byte[] content) throws IOException {
    Files.writeString(
        file,
        "-----BEGIN %1$s-----\n%2$s\n-----END %1$s-----\n"
            .formatted(
                kind,
                Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
                    .encodeToString(content)));
  }

  private static URI uri(String scheme) {
    return URI.create(scheme + "://127.0.0.1:" + server.port());
  }

  @Test
  void shouldServeAClientThatTrustsTheCertificate() {
    StoreClient client =
        StoreClient.trusting(certificate("server"), uri("https"), Optional.of(SECRET));
    assertThat(client.refs("tiny")).isEmpty();
  }

  @Test
  void shouldStillWantATokenOfAClientThatTrustsTheCertificate() {
    StoreClient client =
        StoreClient.trusting(certificate("server"), uri("https"), Optional.empty());
    assertThatThrownBy(() -> client.refs("tiny")).hasMessageContaining("a valid bearer token");
  }

  @Test
  void shouldBeRefusedByAClientThatDoesNotKnowTheCertificate() {
    StoreClient client = new StoreClient(uri("https"), Optional.of(SECRET));
    assertThatThrownBy(() -> client.refs("tiny")).hasCauseInstanceOf(SSLHandshakeException.class);
  }

  @Test
  void shouldBeRefusedByAClientThatTrustsAnotherCertificate() throws Exception {
    pem("other");
    StoreClient client =
        StoreClient.trusting(certificate("other"), uri("https"), Optional.of(SECRET));
    assertThatThrownBy(() -> client.refs("tiny")).hasCauseInstanceOf(SSLHandshakeException.class);
  }

  @Test
  void shouldNotAnswerAnUnencryptedCall() {
    StoreClient client = new StoreClient(uri("http"), Optional.of(SECRET));
    assertThatThrownBy(() -> client.refs("tiny")).isInstanceOf(StoreClientException.class);
  }

  @Test
  void shouldNameAFileThatHoldsNoCertificate() throws Exception {
    Path file = Files.writeString(folder.resolve("none.pem"), "");
    assertThatThrownBy(() -> StoreClient.trusting(file, uri("https"), Optional.empty()))
        .hasMessageContaining("none.pem");
  }
}

package dev.smelt.agent.api;

import dev.smelt.store.files.Digests;
import io.vertx.core.buffer.Buffer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.zip.GZIPOutputStream;

/** A file of the dashboard, kept in memory plain and compressed. */
record Asset(String contentType, String tag, Buffer plain, Buffer compressed) {

  static Asset of(String name, byte[] bytes) {
    return new Asset(contentType(name), tag(bytes), Buffer.buffer(bytes), compress(bytes));
  }

  private static String contentType(String name) {
    return switch (name.substring(name.lastIndexOf('.') + 1)) {
      case "html" -> "text/html; charset=utf-8";
      case "js", "mjs" -> "text/javascript; charset=utf-8";
      case "css" -> "text/css; charset=utf-8";
      case "svg" -> "image/svg+xml";
      case "json", "webmanifest" -> "application/json";
      default -> "text/plain; charset=utf-8";
    };
  }

  private static String tag(byte[] bytes) {
    return '"' + Digests.hex(Digests.of(bytes)).substring(0, 24) + '"';
  }

  private static Buffer compress(byte[] bytes) {
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(compressed)) {
      gzip.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Buffer.buffer(compressed.toByteArray());
  }
}

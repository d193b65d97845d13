package dev.smelt.streams.topology;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** Headers of records in {@link Topics#DEAD}; key and value are those that came. */
public final class DeadLetters {

  /** Why, for programs: such as {@code late} or {@code duplicate-expert}. */
  public static final String REASON = "smelt.reason";

  /** Why, for people. */
  public static final String DETAIL = "smelt.detail";

  /** Where the record is in {@link Topics#ROUTING}: partition and offset, as {@code 3@1027}. */
  public static final String ORIGIN = "smelt.origin";

  private DeadLetters() {}

  static Record<String, Object> of(
      Record<String, byte[]> incoming, Rejection rejection, Optional<RecordMetadata> metadata) {
    Headers headers = new RecordHeaders(incoming.headers());
    add(headers, REASON, rejection.reason().header());
    add(headers, DETAIL, rejection.detail());
    metadata.ifPresent(at -> add(headers, ORIGIN, at.partition() + "@" + at.offset()));
    return new Record<>(
        incoming.key(), new DeadLetter(incoming.value()), incoming.timestamp(), headers);
  }

  private static void add(Headers headers, String name, String value) {
    headers.add(name, value.getBytes(StandardCharsets.UTF_8));
  }
}

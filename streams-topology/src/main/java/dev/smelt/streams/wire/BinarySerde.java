package dev.smelt.streams.wire;

import java.util.function.Function;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;
import org.jspecify.annotations.Nullable;

/**
 * Adapts a pair of functions to Kafka. Null stands for null; a record that can't be read becomes a
 * {@link SerializationException} that says why.
 */
public final class BinarySerde<T> implements Serde<T> {

  private final Function<T, byte[]> writer;
  private final Function<byte[], T> reader;

  public BinarySerde(Function<T, byte[]> writer, Function<byte[], T> reader) {
    this.writer = writer;
    this.reader = reader;
  }

  @Override
  public Serializer<T> serializer() {
    return (topic, value) -> write(value);
  }

  @Override
  public Deserializer<T> deserializer() {
    return (topic, bytes) -> read(topic, bytes);
  }

  private byte @Nullable [] write(@Nullable T value) {
    return value == null ? null : writer.apply(value);
  }

  private @Nullable T read(String topic, byte @Nullable [] bytes) {
    if (bytes == null) {
      return null;
    }
    try {
      return reader.apply(bytes);
    } catch (WireFormatException | IllegalArgumentException unreadable) {
      throw new SerializationException(topic + ": " + unreadable.getMessage(), unreadable);
    }
  }
}

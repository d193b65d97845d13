package dev.smelt.store.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Crafted files, each refused with the reason. */
class BadFilesTest {

  @TempDir Path folder;

  private static Arguments header(String reason, String header, int data) {
    return Arguments.of(reason, file(header.getBytes(StandardCharsets.UTF_8), data));
  }

  private static byte[] file(byte[] header, int data) {
    return withLength(header.length, header, data);
  }

  private static byte[] withLength(long length, byte[] header, int data) {
    ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + data).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(length).put(header);
    return bytes.array();
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static String tensor(String name, String dtype, String shape, String offsets) {
    return "{\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}}"
        .formatted(name, dtype, shape, offsets);
  }

  static Stream<Arguments> badFiles() {
    String good = "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}";
    return Stream.of(
        Arguments.of("has 0 bytes, too few", new byte[0]),
        Arguments.of("has 7 bytes, too few", new byte[7]),
        Arguments.of("does not start with '{'", new byte[8]),
        Arguments.of("the file has only 10", withLength(3, ascii("{}"), 0)),
        Arguments.of("more than 100000000", withLength(100_000_001L, ascii("{}"), 0)),
        Arguments.of("9223372036854775808 bytes", withLength(Long.MIN_VALUE, ascii("{}"), 0)),
        Arguments.of("18446744073709551615 bytes", withLength(-1, ascii("{}"), 0)),
        header("does not start with '{'", " {}", 0),
        header("does not start with '{'", "[]", 0),
        header("does not end with '}'", "{}\n", 0),
        header("does not end with '}'", "{}\0", 0),
        header("not valid JSON", "{}}", 0),
        header("something follows", "{}{}", 0),
        header("not valid JSON", "{\"a\"}", 0),
        header("not valid JSON", "{'a':1}", 0),
        header("not valid JSON", "{\"a\":{\"dtype\":\"U8\",}}", 0),
        header("not valid JSON", "{/* c */}", 0),
        Arguments.of("not valid UTF-8", file(new byte[] {'{', '"', (byte) 0xff, '"', '}'}, 0)),
        Arguments.of(
            "not valid UTF-8", file(new byte[] {'{', '"', (byte) 0xc0, (byte) 0xaf, '}'}, 0)),
        header("a: is not an object", "{\"a\":1}", 0),
        header("a: is not an object", "{\"a\":null}", 0),
        header("a: has no dtype", "{\"a\":{\"shape\":[],\"data_offsets\":[0,1]}}", 1),
        header("a: has no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1),
        header("a: has no data_offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1),
        header("a: unknown dtype 'F33'", tensor("a", "F33", "[1]", "[0,4]"), 4),
        header("a: unknown dtype 'f32'", tensor("a", "f32", "[1]", "[0,4]"), 4),
        header(
            "a: dtype is no text", "{\"a\":{\"dtype\":4,\"shape\":[],\"data_offsets\":[0,1]}}", 1),
        header("a: shape is not a list", tensor("a", "U8", "1", "[0,1]"), 1),
        header("a: shape is not a list", tensor("a", "U8", "null", "[0,1]"), 1),
        header("something else than integers", tensor("a", "U8", "[1.0]", "[0,1]"), 1),
        header("something else than integers", tensor("a", "U8", "[1e0]", "[0,1]"), 1),
        header("something else than integers", tensor("a", "U8", "[\"1\"]", "[0,1]"), 1),
        header("something else than integers", tensor("a", "U8", "[[1]]", "[0,1]"), 1),
        header("a: shape holds a negative number", tensor("a", "U8", "[-1]", "[0,1]"), 1),
        header("a: shape holds a negative number", tensor("a", "U8", "[-0]", "[0,0]"), 0),
        header("not valid JSON", tensor("a", "U8", "[01]", "[0,1]"), 1),
        header("larger than 63 bits", tensor("a", "U8", "[0,18446744073709551615,2]", "[0,0]"), 0),
        header("larger than 63 bits", tensor("a", "U8", "[9223372036854775808]", "[0,1]"), 1),
        header(
            "a: the size of shape [4294967296, 4294967296] overflows",
            tensor("a", "U8", "[4294967296,4294967296]", "[0,0]"),
            0),
        header("overflows", tensor("a", "F64", "[2305843009213693952]", "[0,0]"), 0),
        header(
            "a: shape has more than 64",
            tensor("a", "U8", "[" + "1,".repeat(64) + "1]", "[0,1]"),
            1),
        header("a: data_offsets [0] are not", tensor("a", "U8", "[1]", "[0]"), 1),
        header("data_offsets has more than 2", tensor("a", "U8", "[1]", "[0,1,2]"), 1),
        header("a: data_offsets [1, 0] are not", tensor("a", "U8", "[1]", "[1,0]"), 1),
        header("takes 4 bytes, data_offsets give 3", tensor("a", "F32", "[1]", "[0,3]"), 3),
        header("takes 0 bytes, data_offsets give 1", tensor("a", "F32", "[0]", "[0,1]"), 1),
        header("takes 4 bytes, data_offsets give 0", tensor("a", "F32", "[]", "[0,0]"), 0),
        header("a: a hole before byte 1", tensor("a", "U8", "[1]", "[1,2]"), 2),
        header(
            "b: a hole before byte 2",
            "{\"a\":" + good + ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
            3),
        header("b: an overlap at byte 0", "{\"a\":" + good + ",\"b\":" + good + "}", 1),
        header("a: ends at data byte 4, the file has only 3", tensor("a", "F32", "[]", "[0,4]"), 3),
        header("1 bytes follow the last tensor's data", tensor("a", "U8", "[1]", "[0,1]"), 2),
        header("5 bytes follow the last tensor's data", "{}", 5),
        header("a: appears twice", "{\"a\":" + good + ",\"a\":" + good + "}", 1),
        header(
            "a: dtype appears twice",
            "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
            1),
        header(
            "a: unknown field 'stride'",
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"stride\":[1]}}",
            1),
        header("__metadata__: is not an object", "{\"__metadata__\":[]}", 0),
        header("__metadata__: the value of 'a' is no text", "{\"__metadata__\":{\"a\":1}}", 0),
        header("__metadata__: 'a' appears twice", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0),
        header("__metadata__: appears twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0),
        header("a tensor has an empty name", "{\"\":" + good + "}", 1),
        header("../a: the name looks like a path", "{\"../a\":" + good + "}", 1),
        header("a/../b: the name looks like a path", "{\"a/../b\":" + good + "}", 1),
        header("/etc/passwd: the name looks like a path", "{\"/etc/passwd\":" + good + "}", 1),
        header("the name looks like a path", "{\"C:\\\\a\":" + good + "}", 1),
        header("a\\u0000b: the name has control characters", "{\"a\\u0000b\":" + good + "}", 1),
        header("the name has control characters", "{\"a\\u001b[2J\":" + good + "}", 1),
        header("the name has control characters", "{\"a\\ud800\":" + good + "}", 1),
        header("Name length (60000) exceeds", "{\"" + "n".repeat(60_000) + "\":" + good + "}", 1),
        header("a: unknown field 'b'", "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}", 0));
  }

  @ParameterizedTest(name = "{index}: {0}")
  @MethodSource("badFiles")
  void shouldRefuse(String reason, byte[] bytes) throws IOException {
    Path file = folder.resolve("bad.safetensors");
    Files.write(file, bytes);
    assertThatThrownBy(() -> SafetensorsFile.open(file))
        .isInstanceOf(SafetensorsException.class)
        .message()
        .startsWith(file + ": ")
        .contains(reason)
        .doesNotContain("\n")
        .doesNotContain("\0");
  }

  @Test
  void shouldHoldMoreThanFortyBadFiles() {
    assertThat(badFiles()).hasSizeGreaterThan(40);
  }

  @Test
  void shouldAcceptPaddingAndEmptyFiles() throws IOException {
    Path file = folder.resolve("good.safetensors");
    Files.write(file, file(ascii("{}      "), 0));
    try (SafetensorsFile opened = SafetensorsFile.open(file)) {
      assertThat(opened.tensors()).isEmpty();
    }
  }

  @Test
  void shouldOpenASparseFileOfMoreThanTwoGigabytes() throws IOException {
    Path file = folder.resolve("large.safetensors");
    long elements = 3L << 30;
    byte[] header = ascii(tensor("a", "U8", "[" + elements + "]", "[0," + elements + "]"));
    Files.write(file, file(header, 0));
    try (var channel =
        java.nio.channels.FileChannel.open(file, java.nio.file.StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(new byte[] {1, 2, 3}), 8 + header.length + elements - 3);
    }
    try (SafetensorsFile opened = SafetensorsFile.open(file)) {
      assertThat(opened.tensor("a").bytes()).isEqualTo(elements);
      ByteBuffer tail = opened.bytes("a", elements - 4, 4);
      assertThat(new byte[] {tail.get(), tail.get(), tail.get(), tail.get()})
          .containsExactly(0, 1, 2, 3);
      assertThat(opened.bytes("a", (1L << 30) - 2, 1 << 30).remaining()).isEqualTo(1 << 30);
      assertThatThrownBy(() -> opened.bytes("a", elements - 1, 2))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> opened.longs("a"))
          .isInstanceOf(SafetensorsException.class)
          .hasMessageContaining("too many to read at once");
    }
  }
}

package dev.smelt.store.safetensors;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/**
 * Mutated headers: each is either parsed into something consistent or refused in words. {@code
 * -Dsmelt.fuzz.inputs} sets how many.
 */
class HeaderFuzzTest {

  private static final int INPUTS = Integer.getInteger("smelt.fuzz.inputs", 1_000_000);
  private static final int THREADS = 2;
  private static final Path FILE = Path.of("fuzz.safetensors");
  private static final String[] SEEDS = {
    "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}",
    "{\"__metadata__\":{\"format\":\"pt\"},\"x.y\":{\"dtype\":\"U8\",\"shape\":[0],"
        + "\"data_offsets\":[0,0]},\"z\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}} ",
    "{}   "
  };
  private static final String[] PIECES = {
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    "-1",
    "1e9",
    "18446744073709551615",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "..",
    "/",
    "\"a\":",
    "\"dtype\":\"I64\"",
    "\"shape\":[1]",
    "\"data_offsets\":[0,8]",
    "__metadata__",
    "\u00e9",
    " ",
    "4294967296"
  };

  @Test
  void shouldParseOrRefuseEveryMutation() throws Exception {
    // Threads of their own keep the stacks, and so the refusals, cheap.
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<Integer>> parts = new ArrayList<>();
      for (int part = 0; part < THREADS; part++) {
        SplittableRandom random = new SplittableRandom(20260301 + part);
        parts.add(() -> fuzz(random, INPUTS / THREADS));
      }
      for (Future<Integer> parsed : threads.invokeAll(parts)) {
        assertThat(parsed.get()).isPositive();
      }
    } finally {
      threads.shutdown();
    }
  }

  private static int fuzz(SplittableRandom random, int inputs) {
    int parsed = 0;
    for (int input = 0; input < inputs; input++) {
      byte[] bytes = mutate(random);
      long data = random.nextInt(3) * 6L;
      try {
        check(Header.parse(FILE, ByteBuffer.wrap(bytes), data), data);
        parsed++;
      } catch (SafetensorsException e) {
        if (!String.valueOf(e.getMessage()).startsWith("fuzz.safetensors: ")) {
          throw new AssertionError(new String(bytes, StandardCharsets.ISO_8859_1), e);
        }
      }
    }
    return parsed;
  }

  private static void check(Header header, long data) {
    long end = 0;
    for (TensorInfo tensor : header.tensors().values()) {
      if (tensor.begin() != end || tensor.bytes() != Shapes.bytes(tensor.dtype(), tensor.shape())) {
        throw new AssertionError(tensor + " does not follow byte " + end);
      }
      end = tensor.end();
    }
    if (end != data) {
      throw new AssertionError("tensors end at " + end + " of " + data);
    }
  }

  private static byte[] mutate(SplittableRandom random) {
    byte[] bytes = SEEDS[random.nextInt(SEEDS.length)].getBytes(StandardCharsets.UTF_8);
    for (int change = random.nextInt(1, 4); change > 0 && bytes.length > 0; change--) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(4)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes = splice(bytes, at, at + random.nextInt(bytes.length - at + 1), "");
        case 2 -> bytes = splice(bytes, at, at, PIECES[random.nextInt(PIECES.length)]);
        default -> {
          int end = Math.min(bytes.length, at + random.nextInt(8));
          bytes = splice(bytes, at, end, PIECES[random.nextInt(PIECES.length)]);
        }
      }
    }
    return bytes;
  }

  private static byte[] splice(byte[] bytes, int from, int to, String piece) {
    byte[] middle = piece.getBytes(StandardCharsets.UTF_8);
    ByteBuffer result = ByteBuffer.allocate(from + middle.length + bytes.length - to);
    return result.put(bytes, 0, from).put(middle).put(bytes, to, bytes.length - to).array();
  }
}

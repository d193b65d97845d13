package dev.smelt.ops.demo;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * What the demo measured.
 *
 * @param phases one after the other
 * @param expertBytes memory of the experts
 * @param requests of the clients, over all phases
 * @param latencyMs of the clients' requests
 * @param remerges how many led to an activation
 * @param secondsToAdapt from the first shift to the first window that is back under the drift
 *     threshold; null when that did not happen
 * @param secondsToRecall from the shift back until the snapshot of the first phase serves again,
 *     with nothing rebuilt; null when another one was made
 * @param rollback the rollback at the end
 */
@JsonInclude(JsonInclude.Include.ALWAYS)
record Report(
    List<Phase> phases,
    ExpertBytes expertBytes,
    Requests requests,
    Latency latencyMs,
    int remerges,
    Double secondsToAdapt,
    Double secondsToRecall,
    Rollback rollback) {

  /**
   * One phase of the traffic.
   *
   * @param name such as {@code A}
   * @param domains what the clients sent
   * @param bitsPerByte on text of the phase's domains that neither clients nor gate have seen
   * @param drift the drift of the last window of the phase
   * @param peakDrift the largest drift of the phase
   * @param snapshot what served at its end
   * @param seconds how long it took
   */
  record Phase(
      String name,
      List<String> domains,
      BitsPerByte bitsPerByte,
      double drift,
      double peakDrift,
      String snapshot,
      double seconds) {}

  /** Of the full model, of the compression made in the first phase, and of what served. */
  record BitsPerByte(double full, @JsonProperty("static") double staticOnce, double adaptive) {}

  record ExpertBytes(long full, long adaptive) {}

  record Requests(int served, int failed) {}

  /** Null where no request fell into that time. */
  record Latency(Double p50, Double p99, Double p50DuringSwap, Double p99DuringSwap) {}

  /** The digests are those of every blob that the engine's weights come from. */
  record Rollback(String from, String to, boolean digestsIdentical) {}

  void write(Path file) throws IOException {
    Files.writeString(file, json().toPrettyString() + "\n");
  }

  JsonNode json() {
    return new ObjectMapper().valueToTree(this);
  }
}

package dev.smelt.agent.api;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Every figure that Smelt publishes under {@code smelt_*}; what is not here is not published. The
 * page {@code ops/metrics.md} is generated from it.
 */
public enum SmeltMeter {
  DRIFT(
      "smelt_drift",
      Form.GAUGE,
      "Drift of the newest closed window: Jensen-Shannon distance, base 2, corrected for sample size",
      "model"),
  DRIFT_THRESHOLD("smelt_drift_threshold", Form.GAUGE, "Drift that counts as a breach", "model"),
  DRIFT_LAYER(
      "smelt_drift_layer", Form.GAUGE, "Drift of one MoE block in that window", "model", "layer"),
  BREACHED_WINDOWS(
      "smelt_breached_windows",
      Form.GAUGE,
      "Windows in a row, up to the newest, that were over the threshold",
      "model"),
  WINDOW_END_AGE(
      "smelt_window_age_seconds",
      Form.GAUGE,
      "Time since the newest window closed, in seconds",
      "model"),
  PROFILE_TOKENS(
      "smelt_profile_tokens", Form.GAUGE, "Decayed tokens that the profile rests on", "model"),
  STATE(
      "smelt_state",
      Form.GAUGE,
      "1 for the state that the loop is in and 0 for the others",
      "model",
      "state"),
  STATE_AGE(
      "smelt_state_age_seconds", Form.GAUGE, "Time in the present state, in seconds", "model"),
  SERVED_IN_STEP(
      "smelt_served_in_step",
      Form.GAUGE,
      "1 while the engine is known to serve what the ref active names, else 0",
      "model"),
  EXPERT_BYTES(
      "smelt_expert_bytes",
      Form.GAUGE,
      "Bytes of the experts of the full model and of the active snapshot in compact form",
      "model",
      "form"),
  REMERGES(
      "smelt_remerges",
      Form.COUNTER,
      "Re-merges that led to an activation since the agent started",
      "model"),
  JOURNAL_ENTRIES(
      "smelt_journal_entries", Form.COUNTER, "Journal entries since the start", "model", "kind"),
  ACTIVATION(
      "smelt_activation",
      Form.TIMER,
      "How long engines took to serve another snapshot, by outcome",
      "model",
      "outcome"),
  GATE_BITS(
      "smelt_gate_bits_per_byte",
      Form.GAUGE,
      "Bits per byte at the newest gate: of the full model, the active snapshot, the candidate",
      "model",
      "of"),
  STORE_BYTES("smelt_store_bytes", Form.GAUGE, "Bytes of all blobs in the store"),
  STORE_SNAPSHOTS("smelt_store_snapshots", Form.GAUGE, "Snapshots in the store", "model"),
  KAFKA_LAG(
      "smelt_kafka_lag_records",
      Form.GAUGE,
      "Routing records that the stream has not read yet, over all partitions"),
  READY("smelt_ready", Form.GAUGE, "1 while the readiness check is well, else 0", "check"),
  API_REQUESTS(
      "smelt_api_requests", Form.TIMER, "Requests that the API has served", "method", "status"),
  API_WATCHERS("smelt_api_watchers", Form.GAUGE, "Open event streams"),
  PROXY_REQUESTS(
      "smelt_proxy_requests", Form.TIMER, "Requests that went through the proxy", "model"),
  PROXY_IN_FLIGHT("smelt_proxy_in_flight", Form.GAUGE, "Requests in the proxy now", "model"),
  TAP_ANSWERS(
      "smelt_tap_answers", Form.COUNTER, "Answers whose routing decisions were decoded", "model"),
  TAP_TOKENS(
      "smelt_tap_tokens", Form.COUNTER, "Tokens whose routing decisions were decoded", "model"),
  TAP_ROWS_DROPPED(
      "smelt_tap_rows_dropped",
      Form.COUNTER,
      "Rows left out since they name an expert twice",
      "model"),
  TAP_FAULTS(
      "smelt_tap_faults", Form.COUNTER, "Answers that could not be decoded", "model", "reason"),
  TAP_RESTING(
      "smelt_tap_resting",
      Form.GAUGE,
      "1 while the tap rests after faults and asks nothing",
      "model"),
  TAP_WAITING("smelt_tap_waiting", Form.GAUGE, "Answers that wait to be decoded", "model"),
  INGEST_BODIES(
      "smelt_ingest_bodies",
      Form.COUNTER,
      "Posts of engine-side hooks and replays, by outcome: taken, refused or busy",
      "outcome"),
  INGEST_TOKENS(
      "smelt_ingest_tokens",
      Form.COUNTER,
      "Tokens whose routing engine-side hooks and replays have posted"),
  INGEST_MOMENTS_TOKENS(
      "smelt_ingest_moments_tokens",
      Form.COUNTER,
      "Tokens whose second moments engine-side hooks have posted"),
  MOMENTS_TOKENS(
      "smelt_moments_tokens",
      Form.GAUGE,
      "Decayed tokens that the second moments rest on, of the block with the fewest",
      "model"),
  USAGE_RECORDS("smelt_usage_records", Form.COUNTER, "Usage records sent to Kafka"),
  USAGE_RECORDS_DROPPED(
      "smelt_usage_records_dropped", Form.COUNTER, "Usage records that were not sent", "reason");

  /** How a figure behaves. */
  public enum Form {
    GAUGE,
    COUNTER,
    TIMER
  }

  private final String meter;
  private final Form form;
  private final String description;
  private final List<String> tags;

  SmeltMeter(String meter, Form form, String description, String... tags) {
    this.meter = meter;
    this.form = form;
    this.description = description;
    this.tags = List.of(tags);
  }

  /** The name under which it is registered. */
  public String meter() {
    return meter;
  }

  public Form form() {
    return form;
  }

  public String description() {
    return description;
  }

  public List<String> tags() {
    return List.copyOf(tags);
  }

  /** The names under which Prometheus sees it. */
  public List<String> exposed() {
    return switch (form) {
      case GAUGE -> List.of(meter);
      case COUNTER -> List.of(meter + "_total");
      case TIMER ->
          Stream.of("_count", "_sum", "_max").map(part -> meter + "_seconds" + part).toList();
    };
  }

  /** All names under which Prometheus sees Smelt's figures. */
  public static List<String> allExposed() {
    return Arrays.stream(values()).flatMap(meter -> meter.exposed().stream()).toList();
  }
}

import { get } from "../api.js";
import { h, replace, setText } from "../dom.js";
import { bytes, clock, compact, local, NONE, span } from "../format.js";
import { card, empty, heading, table, tile } from "../parts.js";

const EVERY = 5000;
const TIMED = { count: "_seconds_count", "total-time": "_seconds_sum", max: "_seconds_max" };

/** Engines, taps, Kafka and the store, and every figure that is published. */
export function health({ name }) {
  const checks = h("ul", { class: "checks" });
  const overall = h("span", { class: "mark" });
  const asOf = h("span", { class: "note" });
  const tiles = [
    measured("Kafka lag", "records the stream has not read", "smelt_kafka_lag_records", compact),
    measured("Store", "bytes of all blobs", "smelt_store_bytes", bytes),
    measured("Requests in the proxy", "now", "smelt_proxy_in_flight", compact, name),
    measured("Answers decoded", "since the start", "smelt_tap_answers", compact, name),
    measured("Tap faults", "answers that could not be decoded", "smelt_tap_faults", compact, name),
    measured("Routing decisions dropped", "since the start", "smelt_tap_rows_dropped", compact, name),
    measured("Newest window", "since it closed", "smelt_window_age_seconds", (seconds) => span(seconds * 1000), name),
    measured("Dashboards open", "watching events", "smelt_api_watchers", compact),
  ];
  const filter = h("input", { type: "search", id: "figure-filter", placeholder: "Part of a name", oninput: () => showFigures() });
  const figures = h("div", {});
  const failed = h("div", {});
  let view = null;
  const element = h(
    "div",
    { class: "view" },
    heading("Health", "What the agent depends on, and every figure that it publishes at /metrics."),
    failed,
    card("Checks", { note: h("span", { class: "card-note" }, overall, asOf) }, checks),
    h("div", { class: "tiles four" }, tiles.map((one) => one.element)),
    card("Figures", { actions: h("div", { class: "actions" }, h("label", { for: "figure-filter", class: "visually-hidden", text: "Filter figures" }), filter) }, figures),
  );
  read();
  const timer = setInterval(read, EVERY);
  return { element, destroy: () => clearInterval(timer) };

  async function read() {
    try {
      view = await get("/v1/health");
      replace(failed);
      show();
    } catch (failure) {
      replace(failed, empty("Health cannot be read", failure.message));
    }
  }

  function show() {
    setText(overall, view.ready ? "ready" : "not ready");
    overall.className = `mark ${view.ready ? "served" : "ill"}`;
    setText(asOf, `as of ${clock(Date.now())}`);
    replace(
      checks,
      view.checks.length === 0
        ? h("li", {}, empty("No check is registered", "The parts of the agent register theirs while it starts."))
        : [...view.checks].sort((left, right) => left.ready - right.ready).map((check) =>
            h(
              "li",
              { "data-ready": String(check.ready) },
              h("span", { class: "check-mark", "aria-hidden": "true", text: check.ready ? "✓" : "!" }),
              h("span", { class: "check-name", text: check.name }),
              h("span", { class: "visually-hidden", text: check.ready ? "well" : "ill" }),
              h("span", { class: "check-detail", text: local(check.detail) }),
            ),
          ),
    );
    tiles.forEach((one) => one.show(view.figures));
    showFigures();
  }

  function showFigures() {
    if (!view) {
      return;
    }
    const wanted = filter.value.trim().toLowerCase();
    const timers = new Set(view.figures.filter((figure) => figure.statistic === "total-time").map((figure) => figure.name));
    const rows = view.figures
      .map((figure) => ({ name: published(figure, timers.has(figure.name)), value: figure.value }))
      .filter((figure) => figure.name.toLowerCase().includes(wanted));
    replace(
      figures,
      table(
        "Figures",
        [
          { title: "Figure", cell: (figure) => h("code", { text: figure.name }) },
          { title: "Value", number: true, cell: (figure) => plain(figure.value) },
        ],
        rows,
        { className: "tight scroll tall", nothing: "No figure has this in its name." },
      ),
    );
  }
}

/** The name under which Prometheus sees a figure. */
function published(figure, timed) {
  const tags = Object.entries(figure.tags).map(([key, value]) => `${key}="${value}"`);
  const part = timed ? TIMED[figure.statistic] : figure.statistic === "count" ? "_total" : "";
  return `${figure.name}${part}${tags.length > 0 ? `{${tags.join(", ")}}` : ""}`;
}

function plain(value) {
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(5);
}

/** A tile that sums a figure over its labels. */
function measured(label, note, figure, format, model = null) {
  const one = tile(label);
  setText(one.note, note);
  setText(one.value, NONE);
  const show = (figures) => {
    const found = figures.filter((other) => other.name === figure && (!model || other.tags.model === model));
    const sum = found.reduce((total, other) => total + other.value, 0);
    setText(one.value, found.length > 0 ? format(sum) : NONE);
  };
  return { element: one.element, show };
}

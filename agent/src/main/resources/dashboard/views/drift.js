import { axis, baseOption, colour, Picture, Series, timeAxis } from "../charts.js";
import { h, replace, s, setText } from "../dom.js";
import { clock, count, fixed, layerName, local, moment, NONE, since, whole } from "../format.js";
import { learnt } from "../measures.js";
import { card, choice, empty, heading, table, tile } from "../parts.js";
import { journalList } from "./journal.js";
import { category, mapHeight, scale } from "./traffic.js";

const RANGES = [
  { value: 15, label: "15 min" },
  { value: 60, label: "1 h" },
  { value: 360, label: "6 h" },
  { value: 0, label: "All" },
];
const MOST_COLUMNS = 180;
const FIRST_LAYERS = 12;
const LEAST_SCALE = 0.1;

/** How far the traffic is from what the active snapshot was built for, and what the loop makes of it. */
export function drift({ name, model }) {
  let range = 60;
  let all = false;
  const now = tile("Drift now");
  const evidence = tile("Windows over");
  const peak = tile("Highest in view");
  const decision = h("p", { class: "decision" });
  const decisionNote = h("p", { class: "note" });
  const activations = [];
  const chart = new Series("Drift of the model over time against its threshold", 280, chartOptions);
  const map = new Picture("Heat map of drift, layers over time", "heat");
  const layers = h("div", {});
  const journal = journalList(() => model().journal);
  const ranges = choice("Span of time", RANGES, range, (value) => {
    range = Number(value);
    showPoints();
  });
  const key = h(
    "span",
    { class: "legend" },
    h("span", { class: "key drift", text: "drift" }),
    h("span", { class: "key threshold", text: "threshold" }),
    h("span", { class: "key breach", text: "breached" }),
    h("span", { class: "key activation", text: "activation" }),
  );
  const charts = h(
    "div",
    { class: "view-body" },
    h(
      "div",
      { class: "tiles" },
      now.element,
      evidence.element,
      peak.element,
      h("div", { class: "tile wide" }, h("span", { class: "tile-label", text: "Newest decision" }), decision, decisionNote),
    ),
    card("Drift of the model", { actions: ranges, note: key }, chart.element),
    h(
      "div",
      { class: "columns even" },
      card("Layers over time", { note: h("span", { class: "note", text: "drift of each layer in each window" }) }, map.element),
      card("Layers now", { note: h("span", { class: "note", text: "furthest from the baseline first" }) }, layers),
    ),
  );
  const nothing = empty("No drift yet", "Drift is told against the baseline of the active snapshot, from the first window that closes after it was set.");
  const element = h(
    "div",
    { class: "view" },
    heading("Drift", `How far the traffic of ${name} is from what its active snapshot was built for: Jensen-Shannon distance, base 2, corrected for sample size.`),
    nothing,
    charts,
    card("What was decided, and why", { actions: journal.filter }, journal.list),
  );
  update("models");

  return {
    element,
    update,
    destroy: () => {
      chart.close();
      map.close();
    },
  };

  function update(topic) {
    const { drift: points, status } = model();
    nothing.hidden = points.length > 0;
    charts.hidden = points.length === 0;
    setText(decision, local(status.decision));
    setText(decisionNote, `mode ${status.mode}${status.lastRemerge ? ` · last re-merge ${since(status.lastRemerge)} ago` : ""} · ${count(status.remerges, "re-merge")} since the start`);
    if (topic === "journal" || topic === "models") {
      journal.update();
    }
    if (points.length > 0 && (topic === "drift" || topic === "models")) {
      showPoints();
    } else if (points.length > 0 && topic === "state") {
      showTiles(inRange(points));
    }
  }

  function showPoints() {
    const { drift: points } = model();
    const shown = inRange(points);
    showTiles(shown);
    showChart(shown);
    showMap(shown);
    showLayers(points);
  }

  function showTiles(shown) {
    const { status } = model();
    const newest = shown.at(-1);
    setText(now.value, fixed(newest.value));
    now.value.dataset.over = newest.breached;
    setText(now.note, learnt(newest.threshold) === null ? "threshold still learnt" : `threshold ${fixed(newest.threshold)}`);
    setText(evidence.value, whole(status.breachedWindows));
    evidence.value.dataset.over = status.breachedWindows > 0;
    setText(evidence.note, `in a row; ${count(newest.requests, "request")} in the newest`);
    const highest = shown.reduce((top, point) => (point.value > top.value ? point : top));
    setText(peak.value, fixed(highest.value));
    setText(peak.note, `at ${moment(highest.end)}`);
  }

  function inRange(points) {
    if (range === 0) {
      return points;
    }
    const begin = Date.parse(points.at(-1).end) - range * 60_000;
    const shown = points.filter((point) => Date.parse(point.end) >= begin);
    return shown.length > 1 ? shown : points.slice(-2);
  }

  function showChart(points) {
    const marks = model().journal.filter((entry) => entry.kind === "activation");
    activations.splice(0, activations.length, ...marks.map((entry) => Date.parse(entry.at) / 1000));
    const breached = points.filter((point) => point.breached).length;
    chart.describe(
      `Drift from ${clock(points[0].end)} to ${clock(points.at(-1).end)}: now ${fixed(points.at(-1).value)} against a threshold of ${fixed(learnt(points.at(-1).threshold) ?? NaN)}; ${breached} of ${points.length} windows over it`,
    );
    chart.draw([
      points.map((point) => Date.parse(point.end) / 1000),
      points.map((point) => point.value),
      points.map((point) => learnt(point.threshold)),
      points.map((point) => (point.breached ? point.value : null)),
    ]);
  }

  function chartOptions() {
    const figure = (plot, value) => fixed(value ?? NaN);
    const showNewest = (plot) => {
      const newest = plot.data[0].length - 1;
      if (plot.cursor.idx === null || plot.cursor.idx === undefined) {
        plot.setLegend({ idx: newest }, false);
      }
    };
    return {
      cursor: { y: false, points: { size: 6 } },
      legend: { markers: { show: false } },
      scales: { y: { range: (plot, low, high) => [0, Math.max(high, 0.05) * 1.15] } },
      axes: [timeAxis(), axis({ size: 46, values: (plot, splits) => splits.map((value) => value.toFixed(2)) })],
      series: [
        { label: "window", value: (plot, at) => (at === null ? NONE : moment(at * 1000)) },
        { label: "drift", stroke: colour("accent"), width: 1.75, fill: colour("accent-soft"), points: { show: false }, value: figure },
        { label: "threshold", stroke: colour("text-2"), width: 1, dash: [5, 4], points: { show: false }, value: figure },
        {
          label: "breached",
          stroke: colour("bad"),
          width: 0,
          paths: () => null,
          points: { show: true, size: 4, fill: colour("bad"), stroke: colour("bad") },
          value: (plot, value) => (value === null ? "no" : "yes"),
        },
      ],
      hooks: { draw: [drawActivations], setData: [showNewest], setCursor: [showNewest], ready: [showNewest] },
    };
  }

  /** A line with a flag where another snapshot began to serve. */
  function drawActivations(plot) {
    const { ctx, bbox } = plot;
    const pixel = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour("good");
    ctx.fillStyle = colour("good");
    ctx.lineWidth = pixel;
    for (const at of activations) {
      const x = plot.valToPos(at, "x", true);
      if (x >= bbox.left && x <= bbox.left + bbox.width) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.beginPath();
        ctx.moveTo(x - 4 * pixel, bbox.top);
        ctx.lineTo(x + 4 * pixel, bbox.top);
        ctx.lineTo(x, bbox.top + 7 * pixel);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  /** Layers by time; several windows share a column where there are more than the eye can tell. */
  function showMap(points) {
    const each = Math.ceil(points.length / MOST_COLUMNS);
    const columns = [];
    for (let at = 0; at < points.length; at += each) {
      columns.push(points.slice(at, at + each));
    }
    const newest = points.at(-1);
    const names = newest.layers.map((layer) => layer.block);
    const data = columns.flatMap((windows, column) =>
      names.map((block, row) => {
        const values = windows.map((point) => point.layers[row]).filter((layer) => layer?.block === block);
        return [column, row, values.length === 0 ? "-" : Math.max(...values.map((layer) => layer.value))];
      }),
    );
    const threshold = learnt(newest.layers[0]?.threshold ?? newest.threshold) ?? LEAST_SCALE;
    const most = data.reduce((top, cell) => (cell[2] === "-" ? top : Math.max(top, cell[2])), threshold * 2);
    map.height(mapHeight(names.length));
    map.describe(`Drift of ${names.length} layers over time; the table 'Layers now' has the newest figures`);
    map.draw({
      ...baseOption(),
      grid: { left: 8, right: 8, top: 4, bottom: 46, containLabel: true },
      xAxis: category(columns.map((windows) => clock(windows.at(-1).end))),
      yAxis: category(names.map(layerName), { inverse: true }),
      visualMap: scale(0, most, [fixed(most, 2), "0"], ["ramp-0", "ramp-1", "ramp-2", "ramp-3", "ramp-4"]),
      tooltip: {
        ...baseOption().tooltip,
        formatter: ({ value: [column, row, value] }) => `${layerName(names[row])}\n${clock(columns[column].at(-1).end)}\ndrift ${typeof value === "number" ? fixed(value) : "–"}`,
      },
      series: [{ type: "heatmap", data }],
    });
  }

  function showLayers(points) {
    const newest = [...points.at(-1).layers].sort((left, right) => right.value - left.value);
    const past = points.slice(-60);
    replace(
      layers,
      table(
        "Drift of each layer in the newest window",
        [
          { title: "Layer", cell: (layer) => layerName(layer.block) },
          { title: "Last 60 windows", cell: (layer) => sparkline(past, layer) },
          { title: "Drift", number: true, cell: (layer) => h("span", { class: layer.breached ? "over" : null, text: fixed(layer.value) }) },
          { title: "Threshold", number: true, cell: (layer) => fixed(learnt(layer.threshold) ?? NaN) },
        ],
        all ? newest : newest.slice(0, FIRST_LAYERS),
        { className: "tight" },
      ),
      newest.length > FIRST_LAYERS ? moreButton(newest.length, points) : null,
    );
  }

  function moreButton(count, points) {
    const turn = () => {
      all = !all;
      showLayers(points);
    };
    return h("button", { type: "button", class: "quiet", onclick: turn }, all ? `Show the first ${FIRST_LAYERS}` : `Show all ${count}`);
  }
}

/** The drift of a layer over some windows, with its threshold. */
function sparkline(past, layer) {
  const values = past.map((point) => point.layers.find((other) => other.block === layer.block)?.value ?? 0);
  const threshold = learnt(layer.threshold);
  const most = Math.max((threshold ?? LEAST_SCALE) * 1.6, ...values);
  const y = (value) => (21 - (value / most) * 19).toFixed(1);
  const path = values.map((value, at) => `${at === 0 ? "M" : "L"}${((at / Math.max(1, values.length - 1)) * 118 + 1).toFixed(1)} ${y(value)}`).join("");
  return s(
    "svg",
    { class: "spark", viewBox: "0 0 120 22", "aria-hidden": "true", preserveAspectRatio: "none" },
    threshold === null ? null : s("line", { x1: 0, x2: 120, y1: y(threshold), y2: y(threshold) }),
    s("path", { d: path }),
  );
}

import { baseOption, colour, Picture, Series, axis, timeAxis } from "../charts.js";
import { h, replace, setText } from "../dom.js";
import { compact, count, fixed, layerName, percent, points, since, whole } from "../format.js";
import { effectiveExperts, movers, rates } from "../measures.js";
import { card, choice, empty, heading, table, tile } from "../parts.js";

/** Which experts the live traffic uses. */
export function traffic({ name, model }) {
  let shown = "frequency";
  let order = "number";
  let layer = 0;
  const effective = tile("Experts in effective use");
  const busiest = tile("Busiest expert");
  const moved = tile("Moved most since the baseline");
  const evidence = tile("Evidence");
  const map = new Picture("Heat map of activation frequency", "heat");
  const rate = new Series("Tokens a second over time", 280, () => ({
    legend: { show: false },
    cursor: { y: false },
    scales: { y: { range: (plot, low, high) => [0, high * 1.1 || 1] } },
    axes: [timeAxis(), axis({ size: 48, values: (plot, splits) => splits.map(compact) })],
    series: [{}, { stroke: colour("accent"), width: 1.5, fill: colour("accent-soft"), points: { show: false } }],
  }));
  const moversTable = h("div", {});
  const layerTable = h("div", {});
  const layerSelect = h("select", { "aria-label": "Layer", onchange: () => chooseLayer(layerSelect.selectedIndex) });
  const age = h("span", { class: "note" });
  const colourBy = choice("Colour by", [{ value: "frequency", label: "Share" }, { value: "change", label: "Against baseline" }], shown, (value) => {
    shown = value;
    showMap();
  });
  const orderBy = choice("Order experts by", [{ value: "number", label: "By number" }, { value: "use", label: "By use" }], order, (value) => {
    order = value;
    showMap();
  });
  const body = h(
    "div",
    { class: "view-body" },
    h("div", { class: "tiles" }, effective.element, busiest.element, moved.element, evidence.element),
    h(
      "div",
      { class: "columns wide-left" },
      h(
        "div",
        { class: "stack" },
        card("Activation frequency", { note: age, actions: h("div", { class: "actions" }, colourBy, orderBy) }, map.element),
        card("Tokens a second", { note: h("span", { class: "note", text: "seen by the tap, per window" }) }, rate.element),
      ),
      h(
        "div",
        { class: "stack" },
        card("Top movers", { note: h("span", { class: "note", text: "share of the layer's picks" }) }, moversTable),
        card("Experts of a layer", { actions: layerSelect }, layerTable),
      ),
    ),
  );
  const nothing = empty(
    "No window has closed yet",
    "Send requests through the proxy, or routing traces to the ingest address. The first window shows up here when it has closed.",
  );
  const element = h("div", { class: "view" }, heading("Traffic", `Which experts of ${name} the live traffic uses, older traffic counting less and less.`), nothing, body);
  update("models");

  return {
    element,
    update,
    tick: () => setText(age, model().trafficAt ? `updated ${since(model().trafficAt)} ago` : ""),
    destroy: () => {
      map.close();
      rate.close();
    },
  };

  function update(topic) {
    const { traffic: blocks, drift } = model();
    nothing.hidden = blocks.length > 0;
    body.hidden = blocks.length === 0;
    if (blocks.length === 0) {
      return;
    }
    if (topic === "traffic" || topic === "models") {
      showTiles(blocks);
      showMap();
      showMovers(blocks);
      showLayers(blocks);
    }
    if (topic === "drift" || topic === "models") {
      rate.draw(rates(drift.slice(-720)));
    }
  }

  function showTiles(blocks) {
    const experts = blocks[0].frequency.length;
    const inUse = blocks.map((block) => effectiveExperts(block.frequency));
    const mean = inUse.reduce((sum, value) => sum + value, 0) / inUse.length;
    const narrowest = inUse.indexOf(Math.min(...inUse));
    setText(effective.value, `${fixed(mean, 1)} of ${experts}`);
    setText(effective.note, `fewest in ${layerName(blocks[narrowest].block)}: ${fixed(inUse[narrowest], 1)}`);
    const tops = blocks.map((block) => Math.max(...block.frequency));
    const top = blocks[tops.indexOf(Math.max(...tops))];
    setText(busiest.value, percent(Math.max(...tops)));
    setText(busiest.note, `expert ${top.frequency.indexOf(Math.max(...tops))}, ${layerName(top.block)}`);
    const [most] = movers(blocks, 1);
    setText(moved.value, most ? points(most.change) : "–");
    setText(moved.note, most ? `expert ${most.expert}, ${layerName(most.block)}` : "no baseline yet");
    setText(evidence.value, `${compact(blocks[0].tokens)} tokens`);
    setText(evidence.note, `${count(Math.round(blocks[0].requests), "request")}, ${blocks[0].topK} experts a token`);
  }

  function showMap() {
    const { traffic: blocks } = model();
    const experts = blocks[0].frequency.length;
    const changes = shown === "change" && blocks.every((block) => block.baseline.length > 0);
    const values = blocks.map((block) => block.frequency.map((share, expert) => (changes ? share - block.baseline[expert] : share)));
    const data = blocks.flatMap((block, row) => ordered(block.frequency).map((expert, column) => [column, row, values[row][expert], expert]));
    const flat = values.flat();
    const extreme = Math.max(1e-9, ...flat.map(Math.abs));
    const colours = changes ? ["cold-2", "cold-1", "ramp-0", "hot-1", "hot-2"] : ["ramp-0", "ramp-1", "ramp-2", "ramp-3", "ramp-4"];
    map.height(mapHeight(blocks.length));
    map.describe(
      `Heat map of ${blocks.length} layers by ${experts} experts, ${changes ? "change since the baseline" : "share of picks"}, from ${percent(Math.min(...flat))} to ${percent(Math.max(...flat))}. The table 'Experts of a layer' has the figures.`,
    );
    map.draw(
      {
        ...baseOption(),
        grid: { left: 8, right: 8, top: 4, bottom: 56, containLabel: true },
        xAxis: category(Array.from({ length: experts }, (nothingHere, column) => column), {
          name: order === "use" ? "rank by use" : "expert",
          nameLocation: "middle",
          nameGap: 22,
          nameTextStyle: { color: colour("text-2"), fontSize: 11 },
        }),
        yAxis: category(blocks.map((block) => layerName(block.block)), { inverse: true }),
        visualMap: scale(changes ? -extreme : 0, extreme, [changes ? points(extreme) : percent(extreme), changes ? points(-extreme) : "0 %"], colours),
        tooltip: { ...baseOption().tooltip, formatter: ({ value }) => tip(blocks[value[1]], value[3]) },
        series: [
          {
            type: "heatmap",
            data,
            itemStyle: { borderWidth: experts > 40 ? 0 : 1, borderColor: colour("surface") },
            emphasis: { itemStyle: { borderColor: colour("text"), borderWidth: 1 } },
          },
        ],
      },
      ({ value }) => chooseLayer(value[1]),
    );
  }

  function ordered(frequency) {
    const experts = frequency.map((share, expert) => expert);
    return order === "use" ? experts.sort((left, right) => frequency[right] - frequency[left]) : experts;
  }

  function tip(block, expert) {
    const now = block.frequency[expert];
    const before = block.baseline[expert];
    const lines = [`${layerName(block.block)}, expert ${expert}`, `now ${percent(now, 2)}`];
    if (before !== undefined) {
      lines.push(`baseline ${percent(before, 2)} (${points(now - before)})`);
    }
    return lines.join("\n");
  }

  function showMovers(blocks) {
    const rows = movers(blocks, 10);
    replace(
      moversTable,
      rows.length === 0
        ? empty("No baseline yet", "Movers are told against the traffic that the active snapshot was built from.")
        : table(
            "Experts whose share has moved most",
            [
              { title: "Layer", cell: (row) => layerName(row.block).replace("layer ", "") },
              { title: "Expert", cell: (row) => whole(row.expert) },
              { title: "Before", number: true, cell: (row) => percent(row.before) },
              { title: "Now", number: true, cell: (row) => percent(row.now) },
              { title: "Change", number: true, cell: (row) => h("span", { class: row.change > 0 ? "up" : "down", text: points(row.change) }) },
            ],
            rows,
            { className: "tight" },
          ),
    );
  }

  function showLayers(blocks) {
    if (layerSelect.options.length !== blocks.length) {
      replace(layerSelect, blocks.map((block) => h("option", { text: layerName(block.block) })));
    }
    chooseLayer(Math.min(layer, blocks.length - 1));
  }

  function chooseLayer(chosen) {
    layer = chosen;
    layerSelect.selectedIndex = chosen;
    const block = model().traffic[layer];
    const most = Math.max(...block.frequency, ...block.baseline);
    const rows = block.frequency.map((now, expert) => ({ expert, now, before: block.baseline[expert] })).sort((left, right) => right.now - left.now);
    replace(
      layerTable,
      table(
        `Experts of ${layerName(block.block)}, most used first`,
        [
          { title: "Expert", cell: (row) => whole(row.expert) },
          { title: "Share", cell: (row) => bar(row, most) },
          { title: "Now", number: true, cell: (row) => percent(row.now) },
          { title: "Baseline", number: true, cell: (row) => percent(row.before) },
        ],
        rows,
        { className: "tight scroll" },
      ),
    );
  }

  function bar(row, most) {
    return h(
      "span",
      { class: "bar", "aria-hidden": "true" },
      h("span", { class: "bar-fill", style: { width: `${(row.now / most) * 100}%` } }),
      row.before === undefined ? null : h("span", { class: "bar-mark", style: { left: `${(row.before / most) * 100}%` } }),
    );
  }
}

/** Rows are as high as they can be for the map to fit a screen. */
export function mapHeight(rows) {
  const each = rows > 24 ? 13 : rows > 8 ? 18 : 46;
  return Math.min(640, 80 + rows * each);
}

/** An axis of names without lines. */
export function category(data, more = {}) {
  return {
    type: "category",
    data,
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: { color: colour("text-2"), fontSize: 10, hideOverlap: true },
    ...more,
  };
}

/** The key of colours under a heat map. */
export function scale(min, max, text, colours) {
  return {
    min,
    max,
    dimension: 2,
    orient: "horizontal",
    right: 8,
    bottom: 0,
    itemWidth: 10,
    itemHeight: 120,
    text,
    textStyle: { color: colour("text-2"), fontSize: 11 },
    inRange: { color: colours.map(colour) },
  };
}

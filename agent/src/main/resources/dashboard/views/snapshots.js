import { baseOption, colour, Picture } from "../charts.js";
import { h, replace, s, setText } from "../dom.js";
import { bytes, exact, fixed, layerName, percent, shortId, since, whole, words } from "../format.js";
import { difference, groupsOf } from "../measures.js";
import { card, choice, empty, heading, table } from "../parts.js";

const ROW = 58;
const LANE = 16;
const MOST_ALL = 40;
const OWN_REFS = ["previous", "base"];

/** Every snapshot, where it came from, how good it is and what it is made of. */
export function snapshots({ live, name, model }) {
  let selected = null;
  let against = null;
  let layer = 0;
  let shown = null;
  const lineage = h("ol", { class: "lineage", "aria-label": "Snapshots, newest first" });
  const count = h("span", { class: "note" });
  const detail = h("div", { class: "detail", "aria-live": "off" });
  const groups = new Picture("Experts flowing into merged experts", "sankey");
  const nothing = h("div", {});
  const body = h("div", { class: "columns lineage-and-detail" }, card("Lineage", { note: count }, lineage), detail);
  const element = h("div", { class: "view" }, heading("Snapshots", `The compressed versions of ${name}. They never change; refs say which one serves.`), nothing, body);
  update("models");
  return { element, update, destroy: () => groups.close() };

  function update(topic) {
    const known = model().snapshots;
    if (topic !== "snapshots" && topic !== "models" && topic !== "state") {
      return;
    }
    body.hidden = !known || known.list.length === 0;
    if (!known) {
      replace(nothing, h("div", { class: "skeleton" }));
      return;
    }
    if (known.list.length === 0) {
      replace(
        nothing,
        known.failure
          ? empty("The store does not answer", `${known.failure}. What serves goes on serving.`)
          : empty("No snapshot yet", "The first one is published when the profile rests on enough tokens, or when a person asks for a re-merge under Operate."),
      );
      return;
    }
    replace(nothing);
    const ids = known.list.map((snapshot) => snapshot.id);
    if (!ids.includes(selected)) {
      selected = ids.includes(model().status.active) ? model().status.active : ids[0];
    }
    showLineage(known);
    if (shown !== selected) {
      showDetail();
    }
  }

  function showLineage({ list, refs }) {
    setText(count, `${whole(list.length)} in the store · size, and bits per byte at the gate with the loss against the full model`);
    const focused = lineage.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const rails = railsOf(list);
    replace(lineage, list.map((snapshot, at) => row(snapshot, rails[at], refs)));
    if (focused) {
      lineage.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  function row(snapshot, rail, refs) {
    const { gate } = snapshot;
    const full = isFull(snapshot);
    const loss = gate?.candidate - gate?.full;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "snapshot",
          "data-id": snapshot.id,
          "aria-current": snapshot.id === selected ? "true" : null,
          onclick: () => choose(snapshot.id),
        },
        railPicture(rail, snapshot.id === model().status.served),
        h(
          "span",
          { class: "snapshot-text" },
          h("span", { class: "snapshot-id" }, h("code", { text: shortId(snapshot.id) }), marks(snapshot.id, refs)),
          h("span", { class: "snapshot-note", text: `${full ? "the full model" : `${words(snapshot.trigger)} · ${snapshot.strategy}`} · ${since(snapshot.createdAt)} ago` }),
        ),
        h(
          "span",
          { class: "snapshot-figures" },
          h("span", { text: full ? "full" : bytes(snapshot.bytes) }),
          h("span", { class: "snapshot-note", text: Number.isFinite(loss) ? `${fixed(gate.candidate)} (${signed(loss)})` : full ? "" : "not gated" }),
        ),
      ),
    );
  }

  function marks(id, refs) {
    const names = refs.filter((ref) => ref.snapshot === id).map((ref) => ref.name);
    const serving = model().status.served === id;
    const first = [names.includes("active") ? "active" : null, serving ? "serving" : null].filter(Boolean).join(" · ");
    return [
      first ? h("span", { class: `mark ${serving ? "served" : "active"}`, text: first }) : null,
      OWN_REFS.filter((ref) => names.includes(ref)).map((ref) => h("span", { class: "mark", text: ref })),
      pinMark(names.filter((ref) => ref !== "active" && !OWN_REFS.includes(ref))),
    ];
  }

  function pinMark(pins) {
    return pins.length === 0 ? null : h("span", { class: pins.length === 1 ? "mark pin" : "mark", text: pins.length === 1 ? pins[0] : `${pins.length} pins`, title: pins.join(", ") });
  }

  function choose(id) {
    selected = id;
    showLineage(model().snapshots);
    showDetail();
  }

  async function showDetail() {
    const id = selected;
    shown = id;
    replace(detail, h("div", { class: "skeleton tall" }));
    let manifest;
    try {
      manifest = await live.manifest(name, id);
    } catch (failure) {
      replace(detail, empty("This snapshot cannot be read", failure.message));
      return;
    }
    if (id !== selected) {
      return;
    }
    const others = model().snapshots.list.filter((other) => other.id !== id);
    against = others.find((other) => other.id === manifest.parent)?.id ?? others[0]?.id ?? null;
    replace(detail, facts(manifest), gateCard(manifest), groupsCard(manifest), others.length > 0 ? differenceCard(manifest, others) : null);
  }

  function facts(manifest) {
    const pairs = [
      ["Id", h("code", { text: manifest.id })],
      ["Published", `${exact(manifest.createdAt)} by ${manifest.publisher ?? "–"}`],
      ["Trigger", words(manifest.trigger)],
      ["Strategy", isFull(manifest) ? "none: the full model" : `${manifest.strategy}${manifest.plan?.similarity ? `, ${manifest.plan.similarity} similarity` : ""}${manifest.plan?.averageGroups ? `, ${manifest.plan.averageGroups} groups a layer` : ""}`],
      ["Made from", manifest.parent ? h("code", { text: manifest.parent }) : "–"],
      ["Expert bytes", isFull(manifest) ? "–" : `${bytes(manifest.bytes)} in ${whole(Object.keys(manifest.tensors ?? {}).length)} tensors, ${percent(manifest.bytes / model().status.fullExpertBytes, 0)} of the full model`],
      ["Checkpoint", h("code", { class: "digest", text: manifest.checkpointDigest })],
    ];
    return card(`Snapshot ${shortId(manifest.id)}`, {}, h("dl", { class: "facts" }, pairs.map(([term, value]) => h("div", {}, h("dt", { text: term }), h("dd", {}, value)))));
  }

  function gateCard(manifest) {
    const gate = manifest.gate ?? {};
    const bars = ["full", "candidate", "active"].filter((key) => Number.isFinite(gate[key]));
    if (bars.length === 0) {
      return isFull(manifest) ? null : card("Gate", {}, empty("Not judged", "No held-out text was configured (gate.texts) when this snapshot was made."));
    }
    const most = Math.max(...bars.map((key) => gate[key]));
    const labels = { full: "Full model", candidate: "This snapshot", active: "Served until then" };
    const weights = Object.entries(gate.weights ?? {}).sort((left, right) => right[1] - left[1]);
    return card(
      "Gate",
      { note: h("span", { class: "note", text: "bits per byte on held-out text, less is better" }) },
      h(
        "dl",
        { class: "bars" },
        bars.map((key) =>
          h(
            "div",
            { "data-key": key },
            h("dt", { text: labels[key] }),
            h("dd", {}, h("span", { class: "bar", "aria-hidden": "true" }, h("span", { class: "bar-fill", style: { width: `${(gate[key] / most) * 100}%` } })), h("span", { class: "figure", text: fixed(gate[key]) }), h("span", { class: "figure note", text: key === "full" || !Number.isFinite(gate.full) ? "" : signed(gate[key] - gate.full) })),
          ),
        ),
      ),
      weights.length > 0 ? h("p", { class: "note", text: `Weighed as the live traffic was: ${weights.map(([text, share]) => `${text} ${percent(share, 0)}`).join(", ")}.` }) : null,
    );
  }

  function groupsCard(manifest) {
    const layers = manifest.plan?.layers ?? [];
    if (layers.length === 0) {
      return null;
    }
    layer = Math.min(layer, layers.length - 1);
    let all = layers[0].labels.length <= MOST_ALL;
    const list = h("div", {});
    const select = h("select", { "aria-label": "Layer", onchange: () => showLayer(select.selectedIndex) }, layers.map((one) => h("option", { text: layerName(one.block) })));
    const which = choice("Which groups", [{ value: "merged", label: "Merged only" }, { value: "all", label: "All" }], all ? "all" : "merged", (value) => {
      all = value === "all";
      showLayer(layer);
    });
    const part = card("Groups of a layer", { actions: h("div", { class: "actions" }, which, select) }, groups.element, list);
    showLayer(layer);
    return part;

    function showLayer(chosen) {
      layer = chosen;
      select.selectedIndex = chosen;
      const one = layers[chosen];
      const every = groupsOf(one);
      const merged = every.filter((group) => group.members.length > 1);
      drawGroups(one, all ? every : merged);
      replace(
        list,
        h("p", { class: "note", text: `${one.labels.length} experts in ${every.length} groups, ${merged.length} of them of more than one expert.` }),
        h(
          "details",
          {},
          h("summary", { text: "Groups as a table" }),
          table(
            `Groups of ${layerName(one.block)}`,
            [
              { title: "Dominant", cell: (group) => whole(group.dominant) },
              { title: "Members", cell: (group) => group.members.join(", ") },
              { title: "Share", number: true, cell: (group) => percent(shareOf(one, group)) },
            ],
            every,
            { className: "tight scroll" },
          ),
        ),
      );
    }
  }

  function drawGroups(one, list) {
    const colours = ["flow-1", "flow-2", "flow-3", "flow-4", "flow-5", "flow-6"].map(colour);
    const members = list.flatMap((group) => group.members);
    groups.height(Math.max(180, members.length * 19 + 20));
    groups.describe(`${members.length} experts of ${layerName(one.block)} flowing into ${list.length} groups; the table below lists them`);
    groups.draw({
      ...baseOption(),
      tooltip: { ...baseOption().tooltip, formatter: ({ data }) => data.tip },
      series: [
        {
          type: "sankey",
          left: 70,
          right: 150,
          top: 6,
          bottom: 6,
          nodeWidth: 8,
          nodeGap: 6,
          draggable: false,
          layoutIterations: 0,
          emphasis: { focus: "adjacency" },
          label: { color: colour("text-2"), fontSize: 11 },
          lineStyle: { color: "source", opacity: 0.35, curveness: 0.5 },
          data: list.flatMap((group, at) => [
            ...group.members.map((expert) => ({
              name: `expert ${expert}`,
              tip: `expert ${expert}, ${percent(one.frequency[expert])} of the picks`,
              itemStyle: { color: colours[at % colours.length] },
              label: { position: "left", fontWeight: expert === group.dominant ? 700 : 400 },
            })),
            {
              name: `group of ${group.dominant}`,
              tip: `group of expert ${group.dominant}\nmembers ${group.members.join(", ")}\n${percent(shareOf(one, group))} of the picks`,
              itemStyle: { color: colours[at % colours.length] },
              label: { position: "right", formatter: `${group.members.length > 1 ? `${group.members.length} merged` : "alone"} · ${percent(shareOf(one, group))}` },
            },
          ]),
          links: list.flatMap((group) =>
            group.members.map((expert) => ({
              source: `expert ${expert}`,
              target: `group of ${group.dominant}`,
              value: Math.max(0.002, one.frequency[expert]),
              tip: `expert ${expert} into the group of ${group.dominant}`,
            })),
          ),
        },
      ],
    });
  }

  function differenceCard(manifest, others) {
    const result = h("div", {});
    const select = h("select", { "aria-label": "Compare with", onchange: () => compare(select.value) }, others.map((other) => h("option", { value: other.id, text: `${shortId(other.id)} · ${since(other.createdAt)} ago` })));
    select.value = against;
    compare(against);
    return card("Compared with", { actions: select }, result);

    async function compare(id) {
      replace(result, h("div", { class: "skeleton" }));
      try {
        const found = difference(await live.manifest(name, id), manifest);
        replace(result, describeDifference(found));
      } catch (failure) {
        replace(result, empty("These two cannot be compared", failure.message));
      }
    }
  }
}

/** A loss in bits per byte with its sign. */
function signed(loss) {
  return `${loss >= 0 ? "+" : "−"}${fixed(Math.abs(loss))}`;
}

function describeDifference(found) {
  const changed = found.layers.filter((one) => one.regrouped > 0 || one.before !== one.groups);
  return [
    h("p", { text: `${whole(found.changedTensors)} of ${whole(found.tensors)} tensors differ: ${bytes(found.changedBytes)} are new, ${bytes(found.sharedBytes)} are shared with the other snapshot.` }),
    found.layers.length > 0
      ? table(
          "Layers that differ",
          [
            { title: "Layer", cell: (one) => layerName(one.block) },
            { title: "Groups before", number: true, cell: (one) => (one.before === null ? "–" : whole(one.before)) },
            { title: "Groups", number: true, cell: (one) => whole(one.groups) },
            { title: "Regrouped", number: true, cell: (one) => whole(one.regrouped) },
          ],
          changed,
          { className: "tight scroll", nothing: "Every layer has the same groups." },
        )
      : null,
  ];
}

/** Whether a snapshot stands for the full model. */
export function isFull(snapshot) {
  return snapshot.strategy === "none";
}

function shareOf(layer, group) {
  return group.members.reduce((sum, expert) => sum + layer.frequency[expert], 0);
}

/** The lanes of each row of a list that is newest first: which lines come in, go on and go out. */
function railsOf(list) {
  const known = new Set(list.map((snapshot) => snapshot.id));
  let lanes = [];
  return list.map((snapshot) => {
    const before = lanes;
    let lane = before.indexOf(snapshot.id);
    if (lane < 0) {
      lane = before.indexOf(null) < 0 ? before.length : before.indexOf(null);
    }
    const after = before.map((waiting) => (waiting === snapshot.id ? null : waiting));
    after[lane] = snapshot.parent && known.has(snapshot.parent) ? snapshot.parent : null;
    while (after.length > 0 && after.at(-1) === null) {
      after.pop();
    }
    lanes = after;
    return { id: snapshot.id, before, after, lane };
  });
}

function railPicture({ id, before, after, lane }, serving) {
  const x = (at) => at * LANE + 12;
  const middle = ROW / 2;
  const lines = [];
  before.forEach((waiting, at) => {
    if (waiting === id) {
      lines.push(at === lane ? `M${x(at)} 0V${middle}` : `M${x(at)} 0C${x(at)} ${middle} ${x(lane)} ${middle / 2} ${x(lane)} ${middle}`);
    } else if (waiting !== null) {
      lines.push(`M${x(at)} 0V${ROW}`);
    }
  });
  if (after[lane]) {
    lines.push(`M${x(lane)} ${middle}V${ROW}`);
  }
  const width = Math.max(before.length, after.length, lane + 1) * LANE + 10;
  return s(
    "svg",
    { class: "rail", width, height: ROW, viewBox: `0 0 ${width} ${ROW}`, "aria-hidden": "true" },
    s("path", { d: lines.join("") }),
    s("circle", { cx: x(lane), cy: middle, r: serving ? 6.5 : 4.5, class: serving ? "serving" : "" }),
  );
}

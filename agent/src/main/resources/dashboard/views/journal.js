import { arrange, h } from "../dom.js";
import { capital, clock, count, exact, fieldName, fixed, local, moment, words } from "../format.js";
import { choice, empty } from "../parts.js";

const KINDS = [
  { value: "all", label: "All" },
  { value: "decision", label: "Decisions" },
  { value: "gate", label: "Gate" },
  { value: "swap", label: "Swaps" },
  { value: "operator", label: "People" },
  { value: "failure", label: "Failures" },
];
const SWAP = ["activation", "canary"];
const ROUTINE = "nothing to do: ";

/** What the loop did and why, newest first, with a choice of kind. Looks that led to nothing are folded into one line. */
export function journalList(entries, most = 60) {
  let kind = "all";
  let items = new Map();
  const list = h("ol", { class: "journal", tabindex: "0", "aria-label": "Journal, newest first" });
  const nothing = h("li", {}, empty("Nothing yet", "Everything that the loop decides or is asked is kept here with its reason."));
  const filter = choice("Kind of entry", KINDS, kind, (value) => {
    kind = value;
    update();
  });
  update();
  return { filter, list, update };

  function update() {
    const shown = folded(entries().filter((entry) => kind === "all" || entry.kind === kind || (kind === "swap" && SWAP.includes(entry.kind)))).slice(0, most);
    items = new Map(shown.map((run) => [keyOf(run), items.get(keyOf(run)) ?? item(run)]));
    keepOpen(shown);
    arrange(list, shown.length === 0 ? [nothing] : [...items.values()]);
  }

  /** A fold that has grown is another element; it stays open where it was. */
  function keepOpen(shown) {
    for (const run of shown.filter((one) => one.length > 1)) {
      const earlier = list.querySelector(`[data-begin="${CSS.escape(run.at(-1).at)}"] .fold[open]`);
      if (earlier) {
        items.get(keyOf(run)).querySelector(".fold").open = true;
      }
    }
  }
}

/** Entries in runs: one each, but looks in a row that led to nothing together. */
function folded(entries) {
  const runs = [];
  for (const entry of entries) {
    const last = runs.at(-1);
    if (last && routine(entry) && routine(last[0])) {
      last.push(entry);
    } else {
      runs.push([entry]);
    }
  }
  return runs;
}

function routine(entry) {
  return entry.kind === "decision" && entry.message.startsWith(ROUTINE);
}

function keyOf(run) {
  return `${run[0].at} ${run[0].message} ${run.length}`;
}

function item(run) {
  const [entry, ...earlier] = run;
  const figures = Object.entries(entry.figures ?? {});
  return h(
    "li",
    { "data-kind": entry.kind, "data-begin": run.at(-1).at },
    h("time", { datetime: entry.at, text: moment(entry.at), title: exact(entry.at) }),
    h("span", { class: "kind", text: words(entry.kind) }),
    h(
      "span",
      { class: "message" },
      entry.kind === "state" ? capital(local(entry.message)) : local(entry.message),
      figures.length > 0
        ? h(
            "details",
            {},
            h("summary", { text: "Figures" }),
            h("dl", {}, figures.flatMap(([name, value]) => [h("dt", { text: fieldName(name) }), h("dd", { text: figure(value) })])),
          )
        : null,
      earlier.length > 0
        ? h(
            "details",
            { class: "fold" },
            h("summary", { text: `${count(earlier.length, "earlier look")} since ${moment(earlier.at(-1).at)}` }),
            h("ul", { class: "earlier" }, earlier.map((one) => h("li", {}, h("time", { datetime: one.at, text: clock(one.at) }), local(one.message.slice(ROUTINE.length))))),
          )
        : null,
    ),
  );
}

function figure(value) {
  if (typeof value === "number") {
    return Number.isInteger(value) ? String(value) : fixed(value, 4);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

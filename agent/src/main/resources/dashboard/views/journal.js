import { h, replace } from "../dom.js";
import { fieldName, fixed, moment, words } from "../format.js";
import { choice, empty } from "../parts.js";

const KINDS = [
  { value: "all", label: "All" },
  { value: "decision", label: "Decisions" },
  { value: "operator", label: "People" },
  { value: "canary", label: "Canary" },
  { value: "failure", label: "Failures" },
];

/** What the loop did and why, newest first, with a choice of kind. */
export function journalList(entries, most = 60) {
  let kind = "all";
  const list = h("ol", { class: "journal", tabindex: "0", "aria-label": "Journal, newest first" });
  const filter = choice("Kind of entry", KINDS, kind, (value) => {
    kind = value;
    update();
  });
  update();
  return { filter, list, update };

  function update() {
    const shown = entries()
      .filter((entry) => kind === "all" || entry.kind === kind)
      .slice(0, most);
    replace(list, shown.length === 0 ? h("li", {}, empty("Nothing yet", "Everything that the loop decides or is asked is kept here with its reason.")) : shown.map(item));
  }
}

function item(entry) {
  const figures = Object.entries(entry.figures ?? {});
  return h(
    "li",
    { "data-kind": entry.kind },
    h("time", { datetime: entry.at, text: moment(entry.at), title: entry.at }),
    h("span", { class: "kind", text: words(entry.kind) }),
    h(
      "span",
      { class: "message" },
      entry.message,
      figures.length > 0
        ? h(
            "details",
            {},
            h("summary", { text: "Figures" }),
            h("dl", {}, figures.flatMap(([name, value]) => [h("dt", { text: fieldName(name) }), h("dd", { text: figure(value) })])),
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

import { h, replace, unique } from "./dom.js";

/** The head of a view. */
export function heading(title, lead) {
  return h("header", { class: "view-head" }, h("h1", { text: title }), lead ? h("p", { class: "lead", text: lead }) : null);
}

/** A titled part of a view. */
export function card(title, { actions = null, className = "", note = null } = {}, ...children) {
  const id = unique("card");
  return h(
    "section",
    { class: `card ${className}`, "aria-labelledby": id },
    h("header", { class: "card-head" }, h("h2", { id, text: title }), note, actions),
    children,
  );
}

/** What stands where there is nothing yet, and what to do about it. */
export function empty(title, text) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title", text: title }), h("p", { text }));
}

/** A choice of one among few, as a row of buttons. options: [{value, label}] */
export function choice(label, options, chosen, onchange) {
  const name = unique("choice");
  return h(
    "fieldset",
    { class: "choice" },
    h("legend", { class: "visually-hidden", text: label }),
    options.map(({ value, label: text }) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }),
        h("span", { text }),
      ),
    ),
  );
}

/** A table. columns: [{title, number?, cell: (row) => text or node}] */
export function table(caption, columns, rows, { className = "", nothing = "Nothing to show." } = {}) {
  if (rows.length === 0) {
    return h("p", { class: "note", text: nothing });
  }
  return h(
    "div",
    { class: `table-wrap ${className}`, tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden", text: caption }),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "number" : null, text: column.title })))),
      h(
        "tbody",
        {},
        rows.map((row) => h("tr", {}, columns.map((column) => h("td", { class: column.number ? "number" : null }, column.cell(row))))),
      ),
    ),
  );
}

/** A figure with a label and a word on it. */
export function tile(label) {
  const value = h("span", { class: "tile-value" });
  const note = h("span", { class: "tile-note" });
  return { value, note, element: h("div", { class: "tile" }, h("span", { class: "tile-label", text: label }), value, note) };
}

/**
 * Asks a person to confirm with a reason. effects: what it will do, in sentences; ask(reason) resolves to the
 * server's message or throws its refusal.
 */
export function confirmWithReason({ title, effects, verb, danger = false, ask, choose = null }) {
  const reason = h("textarea", { id: unique("reason"), rows: 2, maxlength: 500, required: true, placeholder: "Kept in the journal" });
  const result = h("p", { class: "result", role: "status" });
  const go = h("button", { type: "submit", class: danger ? "danger" : "primary" }, verb);
  const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const list = h("ul", { class: "effects" });
  const show = () => replace(list, effects().map((effect) => h("li", {}, effect)));
  const form = h(
    "form",
    {
      onsubmit: async (event) => {
        event.preventDefault();
        go.disabled = true;
        result.className = "result";
        result.textContent = "Asking the agent …";
        try {
          const answer = await ask(reason.value.trim().replaceAll(/\s+/g, " "));
          result.className = "result done";
          result.textContent = answer.message ?? "Done.";
          go.hidden = true;
          cancel.textContent = "Close";
          cancel.focus();
        } catch (failure) {
          result.className = "result refused";
          result.textContent = failure.status ? failure.message : `The agent did not answer: ${failure.message}`;
          go.disabled = false;
        }
      },
    },
    h("h2", { text: title }),
    choose ? choose(show) : null,
    h("p", { class: "label", text: "What this will do" }),
    list,
    h("label", { for: reason.id, text: "Reason" }),
    reason,
    result,
    h("div", { class: "buttons" }, cancel, go),
  );
  const dialog = h("dialog", { class: "ask", onclose: () => dialog.remove(), "aria-label": title }, form);
  show();
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}

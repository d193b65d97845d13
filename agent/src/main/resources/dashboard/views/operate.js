import { modelPath, post } from "../api.js";
import { h, replace, setText, unique } from "../dom.js";
import { bytes, capital, count, fixed, layerName, local, moment, shortId, since, whole, words } from "../format.js";
import { difference } from "../measures.js";
import { card, confirmWithReason, empty, heading } from "../parts.js";
import { journalList } from "./journal.js";
import { isFull } from "./snapshots.js";

const MOST_NAMED = 4;
const PIN_NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}";

/** What a person may ask of the loop; everything says first what it will do and asks for a reason. */
export function operate({ live, name, model, operates }) {
  const path = modelPath(name);
  const state = h("p", { class: "big-state" });
  const stateNote = h("p", { class: "note" });
  const decision = h("p", {});
  const progress = h("progress", { hidden: true, "aria-label": "Progress of the work in hand" });
  const viewer = h("p", { class: "callout", hidden: true, text: "This token is a viewer's: everything can be seen and nothing changed. Sign in with an operator's token to act." });
  const approval = h("div", {});
  const proposed = h("p", { class: "note" });
  const evidence = h("p", {});
  const buttons = [];
  const pins = h("div", {});
  const journal = journalList(() => model().journal);
  const actions = h(
    "div",
    { class: "operations" },
    operation("Re-merge now", "Builds a candidate from the traffic of now, whatever the drift. It serves only if the gate lets it pass.", "Re-merge …", () => only("observing"), askRemerge),
    operation("Pause the loop", "No re-merge starts until somebody resumes. Tap, windows and what serves go on.", "Pause …", () => only("observing", "canary"), askPause),
    operation("Resume the loop", "The loop watches and acts again as its mode says.", "Resume …", () => only("paused", "rolled-back"), askResume),
    operation("Roll back", "The engine serves the snapshot before the active one again. Nothing is rebuilt.", "Roll back …", () => (model().status.previous ? null : "no snapshot was active before"), askRollback, true),
    operation("Activate a snapshot", "The engine serves a snapshot of your choice.", "Activate …", () => (list().length > 1 ? null : "there is no other snapshot"), askActivate, true),
    operation("Pin a snapshot", "A pinned snapshot is kept when the store is cleaned up.", "Pin …", () => (list().length > 0 ? null : "there is no snapshot"), askPin),
  );
  const element = h(
    "div",
    { class: "view" },
    heading("Operate", `What the loop of ${name} does now, and what it can be asked. Every request is kept with its reason.`),
    viewer,
    approval,
    h("div", { class: "columns even" }, card("Now", {}, state, stateNote, progress, decision), card("Pins", { note: h("span", { class: "note", text: "snapshots that are kept" }) }, pins)),
    actions,
    card("Journal", { actions: journal.filter }, journal.list),
  );
  update("models");
  return { element, update, tick: showNow };

  function update(topic) {
    showNow();
    if (topic !== "traffic" && topic !== "drift") {
      journal.update();
      showApproval();
      showPins();
    }
    viewer.hidden = operates();
    for (const { button, hint, obstacle } of buttons) {
      const why = operates() ? obstacle() : null;
      button.disabled = !operates() || why !== null;
      hint.hidden = why === null;
      setText(hint, why === null ? "" : `Not now: ${why}.`);
    }
  }

  /** What stands in the way of something that is possible in some states only; null where nothing does. */
  function only(...states) {
    const now = model().status.state.state;
    return states.includes(now) ? null : `the loop is ${words(now).toLowerCase()}`;
  }

  function list() {
    return model().snapshots?.list ?? [];
  }

  function showNow() {
    const { status } = model();
    const now = status.state;
    setText(state, words(now.state));
    state.dataset.state = now.state;
    const why = now.why ?? now.reason ?? "";
    setText(stateNote, `for ${since(now.since)} · mode ${status.mode}${now.who ? ` · by ${now.who}` : ""}${why && why !== status.decision ? ` · ${local(why)}` : ""}`);
    setText(decision, local(status.decision));
    setText(evidence, now.state === "awaiting-approval" ? evidenceOf(model().drift) : "");
    setText(proposed, now.state === "awaiting-approval" ? `Proposed ${since(now.since)} ago.` : "");
    progress.hidden = !status.progress;
    if (status.progress) {
      progress.max = status.progress.total;
      progress.value = status.progress.done;
    }
  }

  function showApproval() {
    const { state: now } = model().status;
    const waiting = now.state === "awaiting-approval";
    if (!waiting) {
      replace(approval);
    } else if (approval.childElementCount === 0) {
      replace(
        approval,
        h(
          "section",
          { class: "card proposal", "aria-label": "Waiting for approval" },
          h("h2", { text: now.trigger === "recall" ? "An earlier snapshot waits for approval" : "A re-merge waits for approval" }),
          h("p", { text: `${capital(local(now.reason))}.` }),
          evidence,
          proposed,
          h(
            "div",
            { class: "buttons" },
            h("button", { type: "button", disabled: !operates(), onclick: askReject }, "Reject …"),
            h("button", { type: "button", class: "primary", disabled: !operates(), onclick: askApprove }, "Approve …"),
          ),
        ),
      );
    }
  }

  function showPins() {
    const refs = (model().snapshots?.refs ?? []).filter((ref) => !["active", "previous", "base"].includes(ref.name));
    replace(
      pins,
      refs.length === 0
        ? empty("Nothing is pinned", "The active snapshot, the one before it and the full model are always kept.")
        : h(
            "ul",
            { class: "pins" },
            refs.map((ref) =>
              h(
                "li",
                {},
                h("span", { class: "mark", text: ref.name }),
                h("code", { text: shortId(ref.snapshot), title: ref.snapshot }),
                h("button", { type: "button", class: "quiet", disabled: !operates(), onclick: () => askUnpin(ref) }, "Unpin …"),
              ),
            ),
          ),
    );
  }

  function operation(title, text, verb, obstacle, ask, danger = false) {
    const hint = h("p", { class: "hint", id: unique("hint"), hidden: true });
    const button = h("button", { type: "button", class: danger ? "danger-outline" : "", "aria-describedby": hint.id, onclick: ask }, verb);
    buttons.push({ button, hint, obstacle });
    return h("section", { class: "card operation" }, h("h2", { text: title }), h("p", { text }), hint, button);
  }

  function request(what) {
    return (reason, more = {}) => post(`${path}/${what}`, { reason, ...more });
  }

  function askRemerge() {
    confirmWithReason({
      title: "Re-merge now",
      verb: "Re-merge",
      ask: request("remerge"),
      effects: () => [
        `A candidate is planned from the profile of now, ${whole(model().status.profileTokens)} decayed tokens.`,
        ...judged(),
      ],
    });
  }

  function judged() {
    return [
      "It is merged and judged by the gate; a candidate that does not pass is dropped with its figures in the journal.",
      "If it passes, the engine swaps to it. Requests in flight finish on the old weights.",
    ];
  }

  function askApprove() {
    confirmWithReason({
      title: "Approve the re-merge",
      verb: "Approve",
      ask: request("approve"),
      effects: () => {
        const { state: now, profileTokens, served } = model().status;
        return now.trigger === "recall"
          ? [`${capital(local(now.reason))}.`, "The earlier snapshot is judged by the gate again; nothing is built.", "If it passes, the engine swaps to it. Requests in flight finish on the old weights."]
          : [`It was proposed because: ${local(now.reason ?? "")}.`, `A candidate is planned from the profile of now, ${whole(profileTokens)} decayed tokens. Until it serves, ${shortId(served)} does.`, ...judged()];
      },
    });
  }

  function askReject() {
    confirmWithReason({
      title: "Reject the re-merge",
      verb: "Reject",
      ask: request("reject"),
      effects: () => ["The proposal is dropped; what serves goes on serving.", "The cool-down starts anew. After it the loop may propose again when its policy says so."],
    });
  }

  function askPause() {
    confirmWithReason({
      title: "Pause the loop",
      verb: "Pause",
      ask: request("pause"),
      effects: () => ["No re-merge starts until somebody resumes.", `The engine goes on serving ${shortId(model().status.served)}, and windows and drift go on.`],
    });
  }

  function askResume() {
    confirmWithReason({
      title: "Resume the loop",
      verb: "Resume",
      ask: request("resume"),
      effects: () => [`The loop goes on in mode ${model().status.mode}.`, model().status.breachedWindows > 0 ? `Drift has been over its threshold for ${count(model().status.breachedWindows, "window")}, so a re-merge may start soon.` : "Drift is under its threshold; nothing starts by itself now."],
    });
  }

  function askRollback() {
    askServe("Roll back", "Roll back", model().status.previous, null, (reason, id) => request("rollback")(reason, { snapshot: id }));
  }

  function askActivate() {
    const others = list().filter((snapshot) => snapshot.id !== model().status.active);
    askServe("Activate a snapshot", "Activate", others[0].id, others, (reason, id) => request("activate")(reason, { snapshot: id }));
  }

  /** Asks for a swap; what it means for bytes and quality is read from the two manifests. */
  function askServe(title, verb, first, others, ask) {
    let target = first;
    let moved = "Reading what differs …";
    let refresh = () => {};
    const read = async (id) => {
      try {
        const { status } = model();
        const found = difference(await live.manifest(name, status.active), await live.manifest(name, id));
        moved = `${found.changedTensors} of ${found.tensors} expert tensors differ from what serves now, ${bytes(found.changedBytes)}.`;
      } catch (failure) {
        moved = `What differs cannot be read: ${failure.message}.`;
      }
      refresh();
    };
    read(target);
    confirmWithReason({
      title,
      verb,
      danger: true,
      ask: (reason) => ask(reason, target),
      choose: (show) => {
        refresh = show;
        return others ? snapshotSelect(others, (id) => {
          target = id;
          moved = "Reading what differs …";
          show();
          read(id);
        }) : null;
      },
      effects: () => {
        const to = list().find((snapshot) => snapshot.id === target);
        return [
          `The engine swaps from ${shortId(model().status.served)} to ${shortId(target)}${to ? `, ${isFull(to) ? "the full model" : `published ${since(to.createdAt)} ago`}` : ""}. Requests in flight finish on the old weights.`,
          to?.gate?.candidate ? `At its gate it had ${fixed(to.gate.candidate)} bits per byte, ${fixed(to.gate.candidate - to.gate.full)} more than the full model.` : null,
          moved,
          "From then on drift is told against the traffic that this snapshot was built for.",
          "The loop then rests and re-merges nothing until somebody resumes it.",
          model().status.state.state === "awaiting-approval" ? "The proposal that waits for approval is dropped." : null,
        ].filter(Boolean);
      },
    });
  }

  function snapshotSelect(others, onchange) {
    const select = h(
      "select",
      { id: unique("snapshot"), onchange: () => onchange(select.value) },
      others.map((snapshot) => h("option", { value: snapshot.id, text: `${shortId(snapshot.id)} · ${isFull(snapshot) ? "full model" : snapshot.strategy} · ${since(snapshot.createdAt)} ago` })),
    );
    return [h("label", { for: select.id, text: "Snapshot" }), select];
  }

  function askPin() {
    let target = model().status.active ?? list()[0].id;
    const pin = h("input", { id: unique("pin"), required: true, pattern: PIN_NAME, maxlength: 64, placeholder: "such as before-launch", title: "letters, digits, '.', '_' and '-'" });
    confirmWithReason({
      title: "Pin a snapshot",
      verb: "Pin",
      ask: async (reason) => {
        await move(pin.value, { expected: null, snapshot: target, reason });
        return { message: `${shortId(target)} is pinned as ${pin.value}.` };
      },
      choose: (show) => [
        snapshotSelect([...list()].sort((left) => (left.id === target ? -1 : 0)), (id) => {
          target = id;
          show();
        }),
        h("label", { for: pin.id, text: "Name of the pin" }),
        pin,
      ],
      effects: () => [`${shortId(target)} and its blobs are kept until the pin is taken away.`, "What serves does not change."],
    });
  }

  function askUnpin(ref) {
    confirmWithReason({
      title: `Unpin ${ref.name}`,
      verb: "Unpin",
      ask: async (reason) => {
        await move(ref.name, { expected: ref.snapshot, snapshot: null, reason });
        return { message: `${ref.name} is gone.` };
      },
      effects: () => [`${shortId(ref.snapshot)} may be deleted when the store is cleaned up, unless another ref names it.`],
    });
  }

  async function move(ref, body) {
    await post(`${path}/refs/${encodeURIComponent(ref)}`, body, "PUT");
    await live.loadSnapshots(name);
  }
}

/** Which layers have moved, how far, since when and over how many requests. */
function evidenceOf(points) {
  const newest = points.at(-1);
  if (!newest?.breached) {
    return "Drift is under its threshold at the moment.";
  }
  const calm = points.findLastIndex((point) => !point.breached);
  const over = points.slice(calm + 1);
  const layers = newest.layers.filter((layer) => layer.breached).sort((left, right) => right.value - left.value);
  const named = layers.slice(0, MOST_NAMED).map((layer) => `${layerName(layer.block)} by ${fixed(layer.value)}`);
  const others = layers.length > MOST_NAMED ? ` and ${count(layers.length - MOST_NAMED, "other")}` : "";
  const requests = over.reduce((sum, point) => sum + point.requests, 0);
  return `Over since ${moment(over[0].end)}, ${count(requests, "request")} in ${count(over.length, "window")}.${named.length > 0 ? ` Moved: ${named.join(", ")}${others}.` : ""}`;
}

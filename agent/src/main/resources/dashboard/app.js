import { keepToken, token } from "./api.js";
import { announce, h, replace, setText } from "./dom.js";
import { bytes, clock, compact, count, fixed, local, percent, shortId, since, words, NONE } from "./format.js";
import { Live } from "./live.js";
import { learnt, rateOf } from "./measures.js";
import { drift } from "./views/drift.js";
import { health } from "./views/health.js";
import { operate } from "./views/operate.js";
import { snapshots } from "./views/snapshots.js";
import { traffic } from "./views/traffic.js";

const VIEWS = [
  { name: "traffic", title: "Traffic", icon: "M3 3h5v5H3zM10 3h5v5h-5zM17 3h4v5h-4zM3 10h5v5H3zM10 10h5v5h-5zM17 10h4v5h-4zM3 17h5v4H3zM10 17h5v4h-5zM17 17h4v4h-4z", make: traffic },
  { name: "drift", title: "Drift", icon: "M3 18l5-6 4 3 5-9 4 4v2l-4-3-5 9-4-3-4 5z", make: drift },
  { name: "snapshots", title: "Snapshots", icon: "M6 2a3 3 0 0 1 1 5.8v8.4A3 3 0 1 1 5 16V7.800A3 3 0 0 1 6 2zm12 3a3 3 0 0 1 1 5.800C18.700 15 14 15 9 17v-2c4-1.500 7.500-2 8-4.200A3 3 0 0 1 18 5z", make: snapshots },
  { name: "operate", title: "Operate", icon: "M4 5h9v2H4zM17 5h3v2h-3zM13 3h4v6h-4zM4 11h3v2H4zM11 11h9v2h-9zM7 9h4v6H7zM4 17h9v2H4zM17 17h3v2h-3zM13 15h4v6h-4z", make: operate },
  { name: "health", title: "Health", icon: "M2 11h5l2-6 4 13 3-8 1 1h5v2h-6l-3 8-4-13-1 5H2z", make: health },
];

const CONNECTION = {
  connecting: "Connecting",
  live: "Live",
  lost: "Disconnected",
  unknown: "Signed out",
  forbidden: "Forbidden",
};

/** States in which a person is wanted, worst first, with the icon of the page in each. */
const WANTED = [
  { state: "degraded", icon: "icon-ill.svg" },
  { state: "awaiting-approval", icon: "icon-waits.svg" },
  { state: "rolled-back", icon: "icon-waits.svg" },
  { state: "paused", icon: "icon-waits.svg" },
];

const live = new Live();
let chosen = null;
let current = null;

const main = h("main", { id: "main", tabindex: "-1" });
const banner = h("div", { class: "banner", role: "alert", hidden: true });
const callText = h("span", {});
const callLink = h("a", { href: "#" }, "Go to Operate");
const call = h("div", { class: "call", role: "status", hidden: true }, callText, callLink);
const modelSelect = h("select", { id: "model", onchange: () => go(modelSelect.value, place().view) });
const modelName = h("span", { class: "model-name" });
const connectionText = h("span", {});
const connectionPill = h("span", { class: "connection", "data-kind": "connecting" }, h("span", { class: "dot" }), connectionText);
const identity = h("span", { class: "identity" });
const signOut = h("button", { type: "button", class: "quiet", onclick: forget, hidden: true }, "Sign out");
const themeButton = h("button", { type: "button", class: "quiet icon-button", onclick: otherTheme });
const summary = summaryStrip();
const navigation = h(
  "nav",
  { class: "navigation", "aria-label": "Views" },
  VIEWS.map((view) =>
    h(
      "a",
      { href: "#", "data-view": view.name },
      icon(view.icon),
      h("span", { text: view.title }),
      view.name === "operate" ? h("span", { class: "badge", hidden: true }, h("span", { class: "visually-hidden", text: "waits for you" })) : null,
    ),
  ),
);
const badge = navigation.querySelector(".badge");
const pageIcon = document.querySelector("link[rel=icon]");

document.getElementById("app").append(
  h(
    "div",
    { class: "shell" },
    h(
      "header",
      { class: "top" },
      h("a", { class: "brand", href: "#", "aria-label": "Smelt" }, h("img", { src: "icon.svg", alt: "", width: 26, height: 26 }), h("span", { text: "Smelt" })),
      h("label", { class: "visually-hidden", for: "model", text: "Model" }),
      modelSelect,
      modelName,
      h("span", { class: "spacer" }),
      connectionPill,
      identity,
      signOut,
      themeButton,
    ),
    navigation,
    h("div", { class: "content" }, banner, summary.element, call, main),
  ),
);

live.listen((topic, model) => {
  if (topic === "connection" || topic === "session") {
    showConnection();
  }
  if (topic === "models" || topic === "connection") {
    show();
  } else if (model === chosen && current) {
    current.update?.(topic);
  }
  if (model === chosen && topic === "state") {
    sayState(live.models.get(chosen).status);
  }
  summary.update();
  callPerson();
});
window.addEventListener("hashchange", () => show(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  nameTheme();
  rebuild();
});
setInterval(() => {
  showConnection();
  if (live.connection.kind !== "lost") {
    summary.update();
    current?.tick?.();
  }
}, 1000);
nameTheme();
showConnection();
live.start();

/** Where the address says we are: "#/model/view". */
function place() {
  const [, model, view] = location.hash.split("/").map(decodeURIComponent);
  return { model, view: VIEWS.find((known) => known.name === view) ?? VIEWS[0] };
}

function go(model, view) {
  location.hash = `#/${encodeURIComponent(model)}/${view.name}`;
}

/** Shows the view that the address names, or says why there is none. */
function show(byPerson = false) {
  const { model, view } = place();
  const names = [...live.models.keys()];
  chosen = names.includes(model) ? model : (names[0] ?? null);
  showModels(names);
  for (const link of navigation.querySelectorAll("a")) {
    const active = link.dataset.view === view.name;
    link.toggleAttribute("data-active", active);
    link.setAttribute("href", `#/${encodeURIComponent(chosen ?? "")}/${link.dataset.view}`);
    if (active) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  const kind = live.connection.kind;
  const key = kind === "unknown" || kind === "forbidden" ? kind : chosen ? `${chosen}/${view.name}` : kind;
  callPerson();
  if (current?.key === key) {
    current.update?.("models");
    return;
  }
  current?.destroy?.();
  current = { key, ...make(kind, view) };
  replace(main, current.element);
  if (byPerson) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/** Tells by title, icon, navigation and a line over the view where a person is wanted. */
function callPerson() {
  const { view } = place();
  const { kind } = live.connection;
  const shown = ["live", "lost"].includes(kind);
  const ranks = shown ? [...live.models.entries()].map(([name, { status }]) => ({ name, rank: WANTED.findIndex((one) => one.state === status.state.state) })) : [];
  const worst = ranks.filter(({ rank }) => rank >= 0).sort((left, right) => left.rank - right.rank || (left.name === chosen ? -1 : 1))[0];
  const own = ranks.find(({ name, rank }) => name === chosen && rank >= 0);
  const state = worst ? words(WANTED[worst.rank].state) : null;
  const news = kind === "live" || kind === "connecting" ? (state && worst.name !== chosen ? `${worst.name}: ${state}` : state) : CONNECTION[kind];
  const title = [news, ...(chosen && shown ? [view.title, chosen] : []), "Smelt"].filter(Boolean).join(" · ");
  if (document.title !== title) {
    document.title = title;
  }
  const picture = kind === "lost" ? "icon-ill.svg" : worst ? WANTED[worst.rank].icon : "icon.svg";
  if (pageIcon.getAttribute("href") !== picture) {
    pageIcon.setAttribute("href", picture);
  }
  badge.hidden = !own;
  badge.dataset.state = own ? WANTED[own.rank].state : "";
  call.hidden = !own || view.name === "operate" || kind !== "live";
  if (!call.hidden) {
    const { state: now } = live.models.get(chosen).status;
    const why = now.reason ?? now.why ?? "";
    setText(callText, `${words(now.state)}${why ? `: ${local(why)}` : ""}`);
    call.dataset.state = now.state;
    callLink.setAttribute("href", `#/${encodeURIComponent(chosen)}/operate`);
  }
}

function make(kind, view) {
  if (kind === "unknown") {
    return { element: signIn() };
  }
  if (kind === "forbidden") {
    return { element: signIn("Not allowed", `The agent, or a proxy in front of it, refused: ${live.connection.why}. Another token may be let in.`) };
  }
  if (!chosen) {
    return kind === "live"
      ? { element: notice("No model", "This agent looks after no model. Name one under 'models' in smelt.yaml and start it again.") }
      : { element: loading() };
  }
  return view.make({ live, name: chosen, model: () => live.models.get(chosen), operates: () => live.session?.role === "operator" });
}

function rebuild() {
  current?.destroy?.();
  current = null;
  show();
}

function showModels(names) {
  const shown = [...modelSelect.options].map((option) => option.value);
  if (names.join("\n") !== shown.join("\n")) {
    replace(modelSelect, names.map((name) => h("option", { value: name, text: name })));
  }
  modelSelect.hidden = names.length < 2;
  modelName.hidden = names.length !== 1;
  setText(modelName, names[0] ?? "");
  if (chosen) {
    modelSelect.value = chosen;
  }
}

function showConnection() {
  const { kind, retryAt, lastLive } = live.connection;
  connectionPill.dataset.kind = kind;
  setText(connectionText, CONNECTION[kind]);
  document.body.dataset.connection = kind;
  const session = live.session;
  setText(identity, session?.tokensRequired ? `${session.name} · ${session.role}` : "");
  signOut.hidden = !token() || kind === "unknown";
  connectionPill.title = `Times are those of ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  const lost = kind === "lost";
  if (banner.hidden === lost) {
    banner.hidden = !lost;
    if (lost) {
      replace(banner, h("span", { class: "banner-text" }), h("button", { type: "button", onclick: () => live.retryNow() }, "Try now"));
    }
  }
  if (lost) {
    const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const asOf = lastLive ? ` What you see is from ${clock(lastLive)}.` : "";
    setText(banner.querySelector(".banner-text"), `The agent does not answer.${asOf} Trying again${left > 0 ? ` in ${left} s` : ""}.`);
  }
}

let saidState = null;

function sayState(status) {
  if (saidState && saidState !== status.state.state) {
    announce(`${status.model}: ${words(status.state.state)}`);
  }
  saidState = status.state.state;
}

/** The line over every view: what the loop does, what drift there is, what serves. */
function summaryStrip() {
  const state = item("State");
  const driftItem = item("Drift");
  const serving = item("Serving");
  const experts = item("Experts in memory");
  const rate = item("Tokens");
  const meter = h("span", { class: "meter" }, h("span", { class: "meter-fill" }), h("span", { class: "meter-mark" }));
  driftItem.value.after(meter);
  const element = h("dl", { class: "summary", hidden: true }, [state, driftItem, serving, experts, rate].map((one) => one.element));
  return { element, update };

  function item(label) {
    const value = h("span", { class: "summary-value" });
    const note = h("span", { class: "summary-note" });
    return { value, note, element: h("div", {}, h("dt", { text: label }), h("dd", {}, value, note)) };
  }

  function update() {
    const model = chosen && live.models.get(chosen);
    element.hidden = !model || ["unknown", "forbidden"].includes(live.connection.kind);
    if (!model) {
      return;
    }
    const { status } = model;
    state.value.dataset.state = status.state.state;
    setText(state.value, words(status.state.state));
    const progress = status.progress;
    setText(state.note, progress ? `${progress.what}, ${progress.done} of ${progress.total}` : `for ${since(status.state.since)} · mode ${status.mode}`);
    const { drift: newest } = status;
    setText(driftItem.value, newest ? fixed(newest.value) : NONE);
    setText(driftItem.note, newest ? driftNote(newest, status.breachedWindows) : "no window since the baseline");
    driftItem.value.dataset.over = newest ? newest.value > newest.threshold : false;
    meter.hidden = !newest || learnt(newest.threshold) === null;
    if (!meter.hidden) {
      const scale = Math.max(newest.threshold * 2, newest.value);
      meter.firstChild.style.width = `${(newest.value / scale) * 100}%`;
      meter.lastChild.style.left = `${(newest.threshold / scale) * 100}%`;
      meter.dataset.over = newest.value > newest.threshold;
    }
    setText(serving.value, shortId(status.served));
    serving.value.title = status.served ?? "";
    const inStep = status.served && status.served === status.active;
    serving.value.dataset.over = !inStep;
    setText(serving.note, inStep ? "as the ref active says" : status.served ? `active is ${shortId(status.active)}` : "not known what the engine serves");
    setText(experts.value, bytes(status.activeExpertBytes));
    const saved = 1 - status.activeExpertBytes / status.fullExpertBytes;
    setText(experts.note, saved > 0.001 ? `${percent(saved, 0)} less than full` : "the full model");
    const tokens = rateOf(model);
    setText(rate.value, Number.isFinite(tokens) ? `${compact(tokens)}/s` : NONE);
    setText(rate.note, `${compact(status.profileTokens)} in the profile`);
  }
}

function driftNote({ threshold }, breached) {
  if (learnt(threshold) === null) {
    return "threshold still learnt";
  }
  return breached > 0 ? `over ${fixed(threshold)} for ${count(breached, "window")}` : `threshold ${fixed(threshold)}`;
}

function signIn(title = "Sign in", text = "This agent asks for a token, one of those under 'api.tokens' in its smelt.yaml. It is kept until this tab is closed.") {
  const secret = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true, minlength: 16 });
  const refused = token() && live.connection.kind === "unknown" ? h("p", { class: "error", role: "alert", text: "This token is not known to the agent." }) : null;
  return h(
    "form",
    {
      class: "sign-in card",
      onsubmit: (event) => {
        event.preventDefault();
        keepToken(secret.value.trim());
        live.start();
      },
    },
    h("h1", { text: title }),
    h("p", { text }),
    refused,
    h("label", { for: "token", text: "Token" }),
    secret,
    h("button", { type: "submit", class: "primary" }, "Sign in"),
  );
}

function forget() {
  keepToken(null);
  live.session = null;
  live.models.clear();
  live.start();
}

function notice(title, text, ...more) {
  return h("section", { class: "notice" }, h("h1", { text: title }), h("p", { text }), more);
}

function loading() {
  return h(
    "section",
    { class: "loading", "aria-busy": "true" },
    h("p", { class: "visually-hidden", text: "Loading" }),
    [1, 2, 3].map(() => h("div", { class: "skeleton" })),
  );
}

function otherTheme() {
  const dark = isDark();
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("smelt.theme", dark ? "light" : "dark");
  nameTheme();
  rebuild();
}

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function nameTheme() {
  const dark = isDark();
  themeButton.setAttribute("aria-label", dark ? "Use the light theme" : "Use the dark theme");
  themeButton.title = dark ? "Light theme" : "Dark theme";
  replace(themeButton, icon(dark ? "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11 1h2v4h-2zM11 19h2v4h-2zM1 11h4v2H1zM19 11h4v2h-4zM4 5.500L5.500 4 8 6.500 6.500 8zM16 17.500l1.500-1.500 2.500 2.500-1.500 1.500zM4 18.500L6.500 16 8 17.500 5.500 20zM16 6.500L18.500 4 20 5.500 17.500 8z" : "M20 14.500A8.500 8.500 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500z"));
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

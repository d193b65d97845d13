import { Events, get, modelPath, Refusal } from "./api.js";

const MOST_POINTS = 5000;
const MOST_ENTRIES = 500;

/**
 * Everything the page knows, kept up to date by events. Listeners are told the topic that changed:
 * "session", "connection", "models", or "state", "traffic", "drift", "journal", "snapshots" with the model.
 */
export class Live {
  session = null;
  connection = { kind: "connecting", since: Date.now() };
  models = new Map();
  #listeners = new Set();
  #events = null;
  /** Events that came while everything is read anew, to be told on top of it; null afterwards. */
  #early = [];

  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(topic, model) {
    this.#listeners.forEach((listener) => listener(topic, model));
  }

  /** Connects; call it again after the token has changed. */
  start() {
    this.#events?.close();
    this.#early = [];
    this.#connect({ kind: "connecting" });
    this.#events = new Events({
      open: () => this.#opened(),
      event: (type, data) => this.#event(type, data),
      lost: (wait) => this.#connect({ kind: "lost", retryAt: Date.now() + wait * 1000 }),
      refused: (refusal) => this.#refused(refusal),
    });
  }

  retryNow() {
    this.#events?.retryNow();
  }

  #connect(connection) {
    const was = this.connection;
    const since = was.kind === connection.kind ? was.since : Date.now();
    this.connection = { ...connection, since, lastLive: was.kind === "live" ? Date.now() : was.lastLive };
    this.#tell("connection");
  }

  #refused({ status, message }) {
    this.#connect(status === 401 ? { kind: "unknown" } : { kind: "forbidden", why: message });
  }

  async #opened() {
    try {
      this.session = await get("/v1/session");
      this.#tell("session");
      await this.#load();
      this.#connect({ kind: "live" });
    } catch (failure) {
      if (failure instanceof Refusal && (failure.status === 401 || failure.status === 403)) {
        this.#refused(failure);
      } else {
        this.#connect({ kind: "lost", retryAt: Date.now() + 1000 });
        this.#events.retryNow();
      }
    }
  }

  /** Reads everything anew: events tell changes only, and the agent may have been another one. */
  async #load() {
    const early = [];
    this.#early = early;
    const { models } = await get("/v1/models");
    const names = new Set(models.map((status) => status.model));
    for (const known of this.models.keys()) {
      if (!names.has(known)) {
        this.models.delete(known);
      }
    }
    await Promise.all(models.map((status) => this.#loadModel(status)));
    if (this.#early !== early) {
      return; // a later connection reads everything once more
    }
    this.#early = null;
    this.#tell("models");
    early.forEach(([type, data]) => this.#event(type, data));
  }

  async #loadModel(status) {
    const path = modelPath(status.model);
    const [traffic, drift, journal] = await Promise.all([
      get(`${path}/traffic`),
      get(`${path}/drift?most=${MOST_POINTS}`),
      get(`${path}/journal?most=${MOST_ENTRIES}`),
    ]);
    const known = this.models.get(status.model);
    this.models.set(status.model, {
      status,
      traffic: traffic.blocks,
      trafficAt: traffic.blocks.length > 0 ? Date.now() : null,
      drift: drift.points,
      journal: journal.entries,
      snapshots: known?.snapshots ?? null,
      manifests: known?.manifests ?? new Map(),
    });
    await this.loadSnapshots(status.model);
  }

  /** Reads the list of snapshots and refs; a store that does not answer leaves them unknown. */
  async loadSnapshots(name) {
    const model = this.models.get(name);
    try {
      const path = modelPath(name);
      const [snapshots, refs] = await Promise.all([get(`${path}/snapshots`), get(`${path}/refs`)]);
      model.snapshots = { list: snapshots.snapshots ?? snapshots, refs: refNames(refs.refs ?? refs) };
    } catch (failure) {
      model.snapshots = { list: [], refs: [], failure: failure.message };
    }
    this.#tell("snapshots", name);
  }

  /** A whole manifest; they never change, so each is read once. */
  manifest(name, id) {
    const { manifests } = this.models.get(name);
    if (!manifests.has(id)) {
      const asked = get(`${modelPath(name)}/snapshots/${encodeURIComponent(id)}`);
      manifests.set(id, asked);
      asked.catch(() => manifests.delete(id));
    }
    return manifests.get(id);
  }

  #event(type, data) {
    if (this.#early) {
      this.#early.push([type, data]);
      return;
    }
    const model = this.models.get(data.model);
    if (!model) {
      return;
    }
    if (type === "state") {
      this.#state(model, data);
    } else if (type === "traffic") {
      model.traffic = data.blocks;
      model.trafficAt = Date.now();
    } else if (type === "drift") {
      appendPoint(model.drift, data.point);
    } else if (type === "journal") {
      prependEntry(model.journal, data.entry);
    }
    this.#tell(type, data.model);
  }

  #state(model, status) {
    const moved =
      model.status.active !== status.active ||
      model.status.previous !== status.previous ||
      model.status.state.state === "publishing";
    model.status = status;
    if (moved) {
      this.loadSnapshots(status.model);
    }
    if (model.traffic.length === 0) {
      this.#loadTraffic(status.model);
    }
  }

  /** Windows that close before there is a baseline have no drift and so tell nothing by themselves. */
  async #loadTraffic(name) {
    const { blocks } = await get(`${modelPath(name)}/traffic`);
    const model = this.models.get(name);
    if (model && blocks.length > 0) {
      model.traffic = blocks;
      model.trafficAt = Date.now();
      this.#tell("traffic", name);
    }
  }
}

/** Refs as [{name, snapshot}], whether the store tells a list or a map. */
function refNames(refs) {
  return Array.isArray(refs)
    ? refs
    : Object.entries(refs).map(([name, ref]) => ({ name, snapshot: ref.snapshot ?? ref }));
}

function appendPoint(points, point) {
  const newest = points.at(-1);
  if (!newest || newest.end < point.end) {
    points.push(point);
    if (points.length > MOST_POINTS) {
      points.shift();
    }
  }
}

function prependEntry(entries, entry) {
  const known = entries.slice(0, 50).some((other) => other.at === entry.at && other.message === entry.message);
  if (!known) {
    entries.unshift(entry);
    entries.sort((left, right) => (left.at < right.at ? 1 : left.at > right.at ? -1 : 0));
    entries.length = Math.min(entries.length, MOST_ENTRIES);
  }
}

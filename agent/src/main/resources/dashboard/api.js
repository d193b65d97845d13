const TOKEN = "smelt.token";

/** An answer that is no success, with the server's words. */
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function token() {
  return sessionStorage.getItem(TOKEN);
}

export function keepToken(secret) {
  if (secret) {
    sessionStorage.setItem(TOKEN, secret);
  } else {
    sessionStorage.removeItem(TOKEN);
  }
}

function headers(more = {}) {
  const secret = token();
  return secret ? { ...more, Authorization: `Bearer ${secret}` } : more;
}

async function refusal(response) {
  let detail = `${response.status} ${response.statusText}`;
  try {
    const problem = await response.json();
    detail = problem.detail || problem.title || detail;
  } catch {
    // an answer without problem+json says nothing more than its status
  }
  return new Refusal(response.status, detail);
}

export async function get(path) {
  const response = await fetch(path, { headers: headers(), cache: "no-store" });
  if (!response.ok) {
    throw await refusal(response);
  }
  return response.json();
}

export async function post(path, body, method = "POST") {
  const response = await fetch(path, {
    method,
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
  });
  if (!response.ok) {
    throw await refusal(response);
  }
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}

export const modelPath = (model) => `/v1/models/${encodeURIComponent(model)}`;

/**
 * Server-sent events over fetch, since EventSource cannot send a token. Comes back by itself with the
 * id of the last event, waiting longer each time up to ten seconds.
 */
export class Events {
  #listener;
  #abort = new AbortController();
  #lastId = null;
  #wait = 0;
  #silence = null;
  #wake = null;

  /** listener: { open(), event(type, data), lost(secondsToWait), refused(status) } */
  constructor(listener) {
    this.#listener = listener;
    this.#run();
  }

  close() {
    this.#abort.abort();
    this.retryNow();
  }

  /** Ends the present wait. */
  retryNow() {
    if (this.#wake) {
      this.#wake();
    }
  }

  async #run() {
    while (!this.#abort.signal.aborted) {
      try {
        await this.#connect();
      } catch (failure) {
        if (failure instanceof Refusal) {
          this.#listener.refused(failure);
          return;
        }
      }
      if (this.#abort.signal.aborted) {
        return;
      }
      this.#wait = Math.min(10, this.#wait === 0 ? 1 : this.#wait * 2);
      this.#listener.lost(this.#wait);
      await new Promise((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, this.#wait * 1000);
      });
    }
  }

  async #connect() {
    const quiet = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, quiet.signal]);
    const response = await fetch("/v1/events", {
      headers: headers(this.#lastId ? { "Last-Event-ID": this.#lastId } : {}),
      cache: "no-store",
      signal,
    });
    if (response.status === 401 || response.status === 403) {
      throw await refusal(response);
    }
    if (!response.ok) {
      throw new Error(`${response.status}`);
    }
    this.#wait = 0;
    this.#listener.open();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
      for (;;) {
        this.#expectWithin(45, quiet);
        const { value, done } = await reader.read();
        if (done) {
          return;
        }
        const frames = (rest + value).split("\n\n");
        rest = frames.pop();
        frames.forEach((frame) => this.#frame(frame));
      }
    } finally {
      clearTimeout(this.#silence);
    }
  }

  /** The server says something every 15 s; a connection that is silent for longer is dead. */
  #expectWithin(seconds, quiet) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => quiet.abort(), seconds * 1000);
  }

  #frame(frame) {
    let type = "message";
    let data = "";
    for (const line of frame.split("\n")) {
      if (line.startsWith("id: ")) {
        this.#lastId = line.slice(4);
      } else if (line.startsWith("event: ")) {
        type = line.slice(7);
      } else if (line.startsWith("data: ")) {
        data += line.slice(6);
      }
    }
    if (data) {
      this.#listener.event(type, JSON.parse(data));
    }
  }
}

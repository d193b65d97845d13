const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"];
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compactNumber = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const timeOfDay = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const exactly = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const dayAndTime = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" });

export const NONE = "–";

export function whole(value) {
  return Number.isFinite(value) ? number.format(value) : NONE;
}

/** "7", "263", "31.6K": what is below a thousand has no fraction, save one digit below ten. */
export function compact(value) {
  if (!Number.isFinite(value)) {
    return NONE;
  }
  return Math.abs(value) >= 10 && Math.abs(value) < 1000 ? number.format(value) : compactNumber.format(value);
}

/** "1 window", "2 windows". */
export function count(value, one) {
  return `${whole(value)} ${one}${value === 1 ? "" : "s"}`;
}

export function fixed(value, digits = 3) {
  return Number.isFinite(value) ? value.toFixed(digits) : NONE;
}

export function percent(share, digits = 1) {
  return Number.isFinite(share) ? `${(share * 100).toFixed(digits)} %` : NONE;
}

/** A change of a share in percentage points, with its sign. */
export function points(share) {
  return `${share >= 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(1)} pp`;
}

export function bytes(value) {
  if (!Number.isFinite(value)) {
    return NONE;
  }
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < BYTES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size >= 100 || unit === 0 ? size.toFixed(0) : size.toFixed(1)} ${BYTES[unit]}`;
}

export function clock(instant) {
  return timeOfDay.format(new Date(instant));
}

export function moment(instant) {
  const date = new Date(instant);
  return date.toDateString() === new Date().toDateString() ? timeOfDay.format(date) : dayAndTime.format(date);
}

/** A moment with its day and its zone. */
export function exact(instant) {
  return exactly.format(new Date(instant));
}

/** A text of the agent with its instants, which are in UTC, in the zone of who reads. */
export function local(text) {
  return text.replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z/g, moment);
}

/** A span of time in its one or two largest units. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function since(instant) {
  return span(Date.now() - new Date(instant).getTime());
}

/** The part of a snapshot's id that tells it from others at a glance. */
export function shortId(id) {
  if (!id) {
    return NONE;
  }
  const digest = id.includes("-") ? id.slice(id.lastIndexOf("-") + 1) : id;
  return digest.length > 8 ? digest.slice(0, 8) : digest;
}

/** "model.layers.12.block_sparse_moe" as "layer 12"; names of another form stay. */
export function layerName(block) {
  const found = /^(?:(encoder|decoder)\.)?(?:\w+\.)*?(?:layers|block)\.(\d+)(?:\.|$)/.exec(block);
  return found ? `${found[1] ? `${found[1]} ` : ""}layer ${found[2]}` : block;
}

/** A text as the begin of a line. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "awaiting-approval" as "Awaiting approval". */
export function words(name) {
  return capital(name.replaceAll(/[-_]/g, " "));
}

/** "candidateBitsPerByte" as "Candidate bits per byte". */
export function fieldName(name) {
  return words(name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase());
}

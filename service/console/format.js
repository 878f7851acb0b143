// Values of the server as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  let number = Number(value ?? 0);
  let unit = 0;
  while (Math.abs(number) >= 1024 && unit + 1 < UNITS.length) {
    number /= 1024;
    ++unit;
  }
  return `${unit === 0 ? Math.round(number) : number.toFixed(number < 10 ? 2 : 1)} ${UNITS[unit]}`;
}

export function count(value) {
  return BigInt(value ?? 0).toLocaleString("en-US");
}

export function rate(value) {
  const number = Number(value ?? 0);
  return number >= 100 ? Math.round(number).toLocaleString("en-US") : String(Number(number.toPrecision(2)));
}

// "1.5s" of Protobuf's JSON as seconds.
export function seconds(duration) {
  return duration ? Number(duration.slice(0, -1)) : 0;
}

export function duration(value) {
  const s = Math.abs(value);
  if (s === 0) return "0 s";
  if (s < 0.001) return `${Number((value * 1e6).toPrecision(3))} µs`;
  if (s < 1) return `${Number((value * 1e3).toPrecision(3))} ms`;
  if (s < 120) return `${Number(value.toPrecision(3))} s`;
  if (s < 7200) return `${Math.round(value / 60)} min`;
  if (s < 172_800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86_400)} days`;
}

const pad = (number) => String(number).padStart(2, "0");

// A time of Protobuf's JSON in the zone of the browser.
export function time(text) {
  if (!text) return "";
  const date = new Date(text);
  return (
    `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ` +
    `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`
  );
}

// How far a time is from `now`, in milliseconds: "in 5 min", "3 s ago".
export function distance(text, now = Date.now()) {
  const s = (new Date(text).getTime() - now) / 1000;
  return s >= 0 ? `in ${duration(s)}` : `${duration(-s)} ago`;
}

// Text in which nothing is invisible: control characters, and those that turn the direction of text, are escaped.
export function visible(text) {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function fromBase64(text) {
  const binary = atob((text ?? "").replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

export function toBase64(data) {
  let binary = "";
  for (let i = 0; i < data.length; i += 8192) binary += String.fromCharCode(...data.subarray(i, i + 8192));
  return btoa(binary);
}

// Returns the text, or undefined if the bytes are no UTF-8.
export function toText(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return undefined;
  }
}

export function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Lines of 16 bytes with their offset and their ASCII.
export function hexDump(data) {
  const lines = [];
  for (let at = 0; at < data.length; at += 16) {
    const part = data.subarray(at, at + 16);
    const hex = Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const ascii = Array.from(part, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${ascii}`);
  }
  return lines.join("\n");
}

// Returns the bytes of hexadecimal digits, between which there may be blanks; undefined if it is none.
export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) return undefined;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function prettyJson(value) {
  return JSON.stringify(value, null, 2);
}

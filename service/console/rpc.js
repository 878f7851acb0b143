// Calls of the server by the Connect protocol, with JSON, under the token of the user.
//
// The token is kept for the tab (sessionStorage) and goes nowhere but into the header of calls to this origin.

const TOKEN = "holdfast.token";
const TIMEOUT_MS = 20_000;
const END_OF_STREAM = 2;

export class RpcError extends Error {
  constructor(code, message, details = []) {
    super(message ? `${code}: ${message}` : code);
    this.code = code;
    const info = details.find((detail) => detail.type === "google.rpc.ErrorInfo");
    this.reason = info?.debug?.reason;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (text) => (text ? sessionStorage.setItem(TOKEN, text) : sessionStorage.removeItem(TOKEN)),
};

// A new id for a request that changes something: 128 random bits.
export function newRequestId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function headers(type) {
  const all = { "Content-Type": type, "Connect-Protocol-Version": "1" };
  if (token.get()) all.Authorization = `Bearer ${token.get()}`;
  return all;
}

async function post(method, type, body, signal, more = {}) {
  try {
    return await fetch(`/${method}`, {
      method: "POST",
      headers: { ...headers(type), ...more },
      body,
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RpcError("unavailable", "the server can't be reached");
  }
}

// Returns the bytes of a file of the console.
export async function readFile(path, signal) {
  const response = await fetch(path, { headers: token.get() ? { Authorization: `Bearer ${token.get()}` } : {}, signal });
  if (!response.ok) throw new RpcError(`HTTP ${response.status}`, path);
  return new Uint8Array(await response.arrayBuffer());
}

async function errorOf(response) {
  const body = await response.json().catch(() => ({}));
  return new RpcError(body.code ?? `HTTP ${response.status}`, body.message ?? "", body.details ?? []);
}

// Returns the reply of a method with one request and one reply: call("holdfast.v1.CounterService/GetValue", {...}).
// Throws RpcError, or AbortError once `signal` is aborted.
export async function call(method, request = {}, signal = undefined) {
  const response = await post(method, "application/json", JSON.stringify(request), signal, {
    "Connect-Timeout-Ms": String(TIMEOUT_MS),
  });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

// Yields the replies of a method with a stream of them, until it ends or `signal` is aborted.
export async function* stream(method, request, signal) {
  const message = new TextEncoder().encode(JSON.stringify(request));
  const body = new Uint8Array(5 + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const response = await post(method, "application/connect+json", body, signal);
  if (!response.ok) throw await errorOf(response);
  const reader = response.body.getReader();
  let buffer = new Uint8Array(0);
  for (;;) {
    while (buffer.length >= 5) {
      const size = new DataView(buffer.buffer, buffer.byteOffset).getUint32(1);
      if (buffer.length < 5 + size) break;
      const reply = JSON.parse(new TextDecoder().decode(buffer.subarray(5, 5 + size)));
      if (buffer[0] & END_OF_STREAM) {
        if (reply.error) throw new RpcError(reply.error.code, reply.error.message ?? "", reply.error.details ?? []);
        return;
      }
      buffer = buffer.subarray(5 + size);
      yield reply;
    }
    const { done, value } = await reader.read();
    if (done) throw new RpcError("unavailable", "the stream broke off");
    const longer = new Uint8Array(buffer.length + value.length);
    longer.set(buffer);
    longer.set(value, buffer.length);
    buffer = longer;
  }
}

export const admin = (method, request, signal) => call(`holdfast.v1.AdminService/${method}`, request, signal);
export const object = (method, request, signal) => call(`holdfast.v1.ObjectService/${method}`, request, signal);

// Calls `work` for each item that is added, at most `width` at a time, until `signal` is aborted.
export function queue(width, work, signal) {
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < width && waiting.length > 0 && !signal.aborted) {
      ++running;
      Promise.resolve(work(waiting.shift())).finally(() => {
        --running;
        next();
      });
    }
  };
  return (item) => {
    waiting.push(item);
    next();
  };
}

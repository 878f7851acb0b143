// The durable objects that the benchmark calls in workerd, in the style of workerd's users: keys in the object's
// storage, RPC methods, and replies that the output gate holds back until their writes are on disk.
//
//   POST /counters/NAME/increment                           the new value
//   GET  /counters/NAME                                     the value
//   POST /limiters/NAME/check   {key, limit, windowMs}      {allowed, remaining}
//   POST /users/NAME/update     {id, name, email}           the user
//   POST /batches/NAME/add      the item, text              {sequence}
//   GET  /batches/NAME                                      how many items there are
//   POST /entries/NAME/setup    {rows, value}               makes the table, {rows}
//   POST /entries/NAME/update   {id, value}                 {rowsWritten}
//   GET  /entries/NAME/ID                                   the value of the row
//
// Any other request is answered with 400, and a request for a row that does not exist with 404.
import { DurableObject } from "cloudflare:workers";

const FLUSH_DELAY_MS = 5_000;

export class Counter extends DurableObject {
  async increment() {
    const value = ((await this.ctx.storage.get("value")) ?? 0) + 1;
    await this.ctx.storage.put("value", value);
    return value;
  }

  async getValue() {
    return (await this.ctx.storage.get("value")) ?? 0;
  }
}

// A sliding window: each key has a list of the times of the requests that were allowed.
export class Limiter extends DurableObject {
  async check(key, limit, windowMs) {
    const now = Date.now();
    const times = ((await this.ctx.storage.get(key)) ?? []).filter((time) => time > now - windowMs);
    const allowed = times.length < limit;
    if (allowed) {
      times.push(now);
      await this.ctx.storage.put(key, times);
    }
    return { allowed, remaining: limit - times.length };
  }
}

export class Users extends DurableObject {
  cache = new Map();

  async get(id) {
    if (!this.cache.has(id)) this.cache.set(id, await this.ctx.storage.get(id));
    return this.cache.get(id);
  }

  async update(id, fields) {
    const now = Date.now();
    const user = { createTime: now, ...(await this.get(id)), ...fields, id, updateTime: now };
    await this.ctx.storage.put(id, user);
    this.cache.set(id, user);
    return user;
  }
}

export class Batch extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      const [last] = (await ctx.storage.list({ prefix: "item:", reverse: true, limit: 1 })).keys();
      this.sequence = last === undefined ? 0 : Number(last.slice("item:".length));
    });
  }

  async add(item) {
    const sequence = ++this.sequence;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + FLUSH_DELAY_MS);
    await this.ctx.storage.put(`item:${String(sequence).padStart(12, "0")}`, item);
    return { sequence };
  }

  async alarm() {
    // The program of a real user would send the items somewhere here.
    const keys = [...(await this.ctx.storage.list({ prefix: "item:" })).keys()];
    const KEYS_MAX = 128; // keys in one call
    for (let i = 0; i < keys.length; i += KEYS_MAX) await this.ctx.storage.delete(keys.slice(i, i + KEYS_MAX));
  }

  async count() {
    return (await this.ctx.storage.list({ prefix: "item:" })).size;
  }
}

export class Entries extends DurableObject {
  async setup(rows, value) {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS entries(id INTEGER PRIMARY KEY, value TEXT)");
    for (let id = 0; id < rows; ++id) sql.exec("INSERT OR IGNORE INTO entries VALUES (?, ?)", id, value);
    return { rows };
  }

  async update(id, value) {
    const { rowsWritten } = this.ctx.storage.sql.exec("UPDATE entries SET value = ? WHERE id = ?", value, id);
    return rowsWritten > 0 ? { rowsWritten } : undefined;
  }

  async select(id) {
    return this.ctx.storage.sql.exec("SELECT value FROM entries WHERE id = ?", id).toArray()[0]?.value;
  }
}

class BadRequest extends Error {}

function expect(holds, message) {
  if (!holds) throw new BadRequest(message);
}

const isText = (value) => typeof value === "string" && value !== "";
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;

async function bodyOf(request) {
  let body;
  try {
    body = await request.json();
  } catch (error) {
    throw new BadRequest(error.message);
  }
  expect(body !== null && typeof body === "object", "the body is no object");
  return body;
}

// Each function returns the JSON reply, or undefined if there is no such row.
const routes = {
  "POST counters increment": (counter) => counter.increment(),
  "GET counters": (counter) => counter.getValue(),
  "POST limiters check": async (limiter, request) => {
    const { key, limit, windowMs } = await bodyOf(request);
    expect(isText(key) && isCount(limit) && limit > 0 && isCount(windowMs) && windowMs > 0, "key, limit and windowMs");
    return limiter.check(key, limit, windowMs);
  },
  "POST users update": async (users, request) => {
    const { id, name, email } = await bodyOf(request);
    expect(isText(id) && isText(name) && isText(email), "id, name and email");
    return users.update(id, { name, email });
  },
  "POST batches add": async (batch, request) => {
    const item = await request.text();
    expect(isText(item), "the item is empty");
    return batch.add(item);
  },
  "GET batches": (batch) => batch.count(),
  "POST entries setup": async (entries, request) => {
    const { rows, value } = await bodyOf(request);
    expect(isCount(rows) && isText(value), "rows and value");
    return entries.setup(rows, value);
  },
  "POST entries update": async (entries, request) => {
    const { id, value } = await bodyOf(request);
    expect(isCount(id) && isText(value), "id and value");
    return entries.update(id, value);
  },
  "GET entries": (entries, request, what) => {
    expect(isCount(Number(what)), "the row's id");
    return entries.select(Number(what));
  },
};

async function answer(request, env) {
  const [, kind, name, what] = new URL(request.url).pathname.split("/");
  const route = routes[`${request.method} ${kind}${request.method === "POST" ? ` ${what}` : ""}`];
  expect(route !== undefined && isText(name), "no such path");
  return route(env[kind].get(env[kind].idFromName(name)), request, what);
}

export default {
  async fetch(request, env) {
    try {
      const result = await answer(request, env);
      if (result !== undefined) return Response.json(result);
      return new Response("no such row", { status: 404 });
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      return new Response(error.message, { status: 400 });
    }
  },
};

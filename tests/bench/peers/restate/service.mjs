// The virtual objects that the benchmark calls through Restate, in the style of Restate's users.
//
//   node service.mjs PORT MODULES      serves on 127.0.0.1:PORT; MODULES is the node_modules where the SDK is
import http2 from "node:http2";
import { createRequire } from "node:module";
import { join } from "node:path";

// The SDK needs Promise.withResolvers when it is loaded, and Node 20 has none.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((onFulfilled, onRejected) => {
    resolve = onFulfilled;
    reject = onRejected;
  });
  return { promise, resolve, reject };
};

const [port, modules] = process.argv.slice(2);
const restate = createRequire(join(modules, "restate.cjs"))("@restatedev/restate-sdk");

const refuse = (message) => {
  throw new restate.TerminalError(message, { errorCode: 400 });
};

const isPositive = (value) => Number.isInteger(value) && value > 0;

const counter = restate.object({
  name: "Counter",
  handlers: {
    increment: async (ctx) => {
      const value = ((await ctx.get("value")) ?? 0) + 1;
      ctx.set("value", value);
      return value;
    },
    getValue: restate.handlers.object.shared(async (ctx) => (await ctx.get("value")) ?? 0),
  },
});

// A sliding window: each key has a list of the times of the requests that were allowed.
const limiter = restate.object({
  name: "Limiter",
  handlers: {
    check: async (ctx, request) => {
      const { key, limit, windowMs } = request ?? {};
      if (typeof key !== "string" || !isPositive(limit) || !isPositive(windowMs)) refuse("key, limit and windowMs");
      // The time comes from the journal, since a retry must see the same time.
      const now = await ctx.date.now();
      const times = ((await ctx.get(key)) ?? []).filter((time) => time > now - windowMs);
      const allowed = times.length < limit;
      if (allowed) times.push(now);
      ctx.set(key, times);
      return { allowed, remaining: limit - times.length };
    },
  },
});

const handler = restate.createEndpointHandler({
  services: [counter, limiter],
  logger: () => {}, // writing a log line for each call would be most of the work
});
http2.createServer(handler).listen(Number(port), "127.0.0.1");

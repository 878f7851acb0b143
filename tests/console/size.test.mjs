// The console with many objects and many keys: the first rows of each list come within 300 ms.
//
// HOLDFAST_OBJECTS and HOLDFAST_KEYS say how many; without them 1,000,000 and 100,000.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Console, launch } from "./browser.mjs";
import { Server, base64 } from "./server.mjs";

const OBJECTS = Number(process.env.HOLDFAST_OBJECTS ?? 1_000_000);
const KEYS = Number(process.env.HOLDFAST_KEYS ?? 100_000);
const ROWS_MS_MAX = 300;
const BATCH = 1000;
const CALLS_AT_A_TIME = 8;
const LARGE = { namespace: "large", name: "keys" };
let server, browser, ui;

const name = (i) => `object-${String(i).padStart(7, "0")}`;

// Does `work` for each number below `count`, some at a time.
async function each(count, work) {
  let next = 0;
  await Promise.all(
    Array.from({ length: CALLS_AT_A_TIME }, async () => {
      for (let i = next++; i < count; i = next++) await work(i);
    }),
  );
}

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
  const began = Date.now();
  await each(Math.ceil(OBJECTS / BATCH), (batch) =>
    server.call("CounterService/BatchIncrement", {
      increments: Array.from({ length: Math.min(BATCH, OBJECTS - batch * BATCH) }, (_, i) => ({ object: { namespace: "many", name: name(batch * BATCH + i) } })),
    }),
  );
  await each(Math.ceil(KEYS / 128), (batch) =>
    server.call("ObjectService/PutEntries", {
      object: LARGE,
      entries: Array.from({ length: Math.min(128, KEYS - batch * 128) }, (_, i) => {
        const number = batch * 128 + i;
        return { key: `key-${String(number).padStart(6, "0")}`, value: base64(JSON.stringify({ number })) };
      }),
    }),
  );
  console.log(`${OBJECTS} objects and ${KEYS} keys written in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  ui = await Console.open(browser, server, { principal: "admin" });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// Does `act`, and returns the milliseconds until the first cell of the list has the text, as the page itself sees it.
async function rowsAfter(act, text) {
  // As text, since the policy of the page lets it make no functions out of text.
  return ui.page.evaluate(`(async (wanted) => {
      const began = performance.now();
      ${act};
      while (document.querySelector("main .pager tbody td")?.innerText !== wanted) {
        if (performance.now() - began > 10_000) throw new Error(wanted + " did not come: " + document.querySelector("main").innerText.slice(0, 500));
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return performance.now() - began;
    })(${JSON.stringify(text)})`);
}

// The best of three, since the machine has other work: a page that is slow is slow each time.
async function bestOf(act, text, away) {
  const times = [];
  for (let i = 0; i < 3; ++i) {
    times.push(await rowsAfter(act, text));
    if (away) await rowsAfter(...away);
  }
  return Math.min(...times);
}

async function check(t, what, ms) {
  t.diagnostic(`${what}: ${ms.toFixed(0)} ms`);
  assert.ok(ms < ROWS_MS_MAX, `${what}: ${ms.toFixed(0)} ms`);
}

const type = (label, text) =>
  `const input = [...document.querySelectorAll("label")].find((each) => each.firstChild.textContent === ${JSON.stringify(label)}).querySelector("input");
   input.value = ${JSON.stringify(text)}; input.dispatchEvent(new Event("input"));`;

test(`${OBJECTS} objects`, async (t) => {
  const middle = name(Math.floor(OBJECTS / 2));
  const away = ['location.hash = "#/objects?ns=large"', LARGE.name];
  await ui.page.evaluate(() => (location.hash = "#/objects?ns=large"));
  await check(t, "the first page of all objects", await bestOf('location.hash = "#/objects?ns=many"', name(0), away));
  await rowsAfter('location.hash = "#/objects?ns=many"', name(0));
  const back = ['document.querySelector("[data-page=previous]").click()', name(0)];
  await check(t, "the next page", await bestOf('document.querySelector("[data-page=next]").click()', name(100), back));
  const all = [type("Name begins with", ""), name(0)];
  await check(t, "those that begin with a prefix, in the middle", await bestOf(type("Name begins with", middle), middle, all));
  assert.deepEqual(ui.problems, []);
});

test(`${KEYS} keys of an object`, async (t) => {
  const key = (i) => `key-${String(i).padStart(6, "0")}`;
  const place = (of, tab) => `location.hash = "#/object?" + new URLSearchParams({ ns: ${JSON.stringify(of.namespace)}, class: "Object", name: ${JSON.stringify(of.name)}, tab: "${tab}" })`;
  const away = ['location.hash = "#/objects?ns=many"', name(0)];
  await check(t, "the first page of the keys, with the object itself", await bestOf(place(LARGE, "keys"), key(0), away));
  await rowsAfter(place(LARGE, "keys"), key(0));
  const middle = key(Math.floor(KEYS / 2));
  const all = [type("From the key", ""), key(0)];
  await check(t, "from a key in the middle", await bestOf(type("From the key", middle), middle, all));
  const back = ['document.querySelector("[data-page=previous]").click()', key(0)];
  await check(t, "the next page", await bestOf('document.querySelector("[data-page=next]").click()', key(100), back));
  assert.deepEqual(ui.problems, []);
});

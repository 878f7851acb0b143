// Each screen of the console, used as a user does, and compared with grpcurl both ways: a change on the page is seen by
// grpcurl, and one by grpcurl on the page.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { Console, launch } from "./browser.mjs";
import { Server, base64, fromBase64, newToken } from "./server.mjs";

const run = promisify(execFile);
const CART = { namespace: "shop", name: "cart/été", objectClass: "Object" };
const EVIL = `<script>alert("run")</script><img src=x onerror=alert(1)>`;
let server, browser, ui;

async function seed() {
  const counters = Array.from({ length: 250 }, (_, i) => ({ object: { name: `visits-${String(i).padStart(3, "0")}` }, amount: String(i + 1) }));
  await server.call("CounterService/BatchIncrement", { increments: counters });
  await server.call("ObjectService/PutEntries", {
    object: CART,
    entries: [
      { key: "config", value: base64('{"limit":5,"names":["ada","bob"]}') },
      { key: "a large number", value: base64('{"n":12345678901234567890}') },
      { key: "bytes", value: Buffer.from([0, 1, 254, 255]).toString("base64") },
      ...Array.from({ length: 120 }, (_, i) => ({ key: `item/${String(i).padStart(4, "0")}`, value: base64(`value ${i}`) })),
    ],
  });
  await server.call("ObjectService/ExecuteSql", {
    object: CART,
    statements: [
      { sql: "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, weight REAL, photo BLOB)" },
      { sql: "INSERT INTO people VALUES (1, 'ada', 1.5, x'00ff'), (9007199254740993, 'bob', NULL, NULL)" },
    ],
  });
  await server.call("ObjectService/PutEntries", { object: { name: EVIL }, entries: [{ key: EVIL, value: base64(EVIL) }] });
  await server.call("ObjectService/ExecuteSql", {
    object: { name: EVIL },
    statements: [{ sql: 'CREATE TABLE "<img src=x onerror=alert(2)>"("<b>bold</b>" TEXT)' }, { sql: `INSERT INTO "<img src=x onerror=alert(2)>" VALUES (?1)`, params: [{ text: EVIL }] }],
  });
}

before(async () => {
  [server, browser] = await Promise.all([Server.start(), launch()]);
  await seed();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  const problems = ui?.problems;
  await ui?.close();
  ui = undefined;
  assert.deepEqual(problems ?? [], []);
});

test("a token is asked for, and kept in the tab alone", async () => {
  ui = await Console.open(browser, server);
  await ui.says("Sign in");
  await ui.fill("Token", newToken());
  await ui.click("Sign in", "form");
  await ui.says("unauthenticated");
  assert.equal(await ui.page.evaluate(() => sessionStorage.length), 0);
  await ui.signIn(server.tokens.admin);
  await ui.says("Overview", "h1");
  const kept = await ui.page.evaluate(() => ({ tab: JSON.stringify(sessionStorage), browser: JSON.stringify(localStorage), place: location.href, cookies: document.cookie }));
  assert.ok(kept.tab.includes(server.tokens.admin));
  for (const elsewhere of [kept.browser, kept.place, kept.cookies]) assert.ok(!elsewhere.includes("hf_"), elsewhere);
  await ui.page.reload();
  await ui.says("Overview", "h1");
  await ui.click("Sign out", "header");
  await ui.says("Sign in", "h1");
  assert.equal(await ui.page.evaluate(() => sessionStorage.length), 0);
});

test("objects are listed by namespace, class and prefix, page by page, as grpcurl lists them", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  await ui.go("objects");
  const names = async () => (await ui.rows()).map(([name]) => name);
  const first = await server.grpcurl("ObjectService/ListObjects", { pageSize: 100 });
  assert.deepEqual(await names(), first.objects.map((each) => each.object.name));
  await ui.page.keyboard.press("n");
  await ui.says("101 to 200");
  const second = await server.grpcurl("ObjectService/ListObjects", { pageSize: 100, pageToken: first.nextPageToken });
  assert.deepEqual(await names(), second.objects.map((each) => each.object.name));
  await ui.page.keyboard.press("p");
  await ui.says("1 to 100");
  await ui.fill("Name begins with", "visits-01");
  await ui.says("1 to 10, the last");
  assert.deepEqual(await names(), Array.from({ length: 10 }, (_, i) => `visits-01${i}`));
  await ui.fill("Class", "Object");
  await ui.says("There are no such objects");
  await ui.fill("Name begins with", "");
  await ui.fill("Namespace", "shop");
  await ui.says("cart/été");
  // An object that another client makes is there at the next look.
  await server.grpcurl("ObjectService/PutEntries", { object: { namespace: "shop", name: "made by grpcurl" }, entries: [{ key: "k" }] });
  await ui.click("Go", ".filters");
  await ui.says("made by grpcurl");
  const [cart] = (await ui.rows()).filter(([name]) => name === "cart/été");
  const { summary } = await server.grpcurl("ObjectService/DescribeObject", { object: CART });
  assert.equal(cart[1], "Object");
  assert.match(cart[2], /KiB$/);
  assert.equal(new Date(cart[3].replace(" ", "T")).getTime(), Math.floor(new Date(summary.updateTime).getTime() / 1000) * 1000);
  // Straight to one by its name.
  await ui.fill("Go to the object", "cart/été");
  await ui.click("Go", ".filters");
  await ui.page.waitForSelector(".screen.object");
  await ui.says("cart/été", "h1");
});

test("keys are shown as text, JSON and hex, and change both ways", async () => {
  ui = await Console.open(browser, server, { principal: "writer" });
  await ui.object(CART, "keys");
  await ui.says("1 to 100");
  await ui.fill("Key begins with", "item/011");
  await ui.says("1 to 10, the last");
  await ui.fill("Key begins with", "");
  await ui.says("config");

  await ui.click("config");
  assert.deepEqual(JSON.parse(await ui.text(".entry pre")), { limit: 5, names: ["ada", "bob"] });
  await ui.click("Hex", ".entry");
  assert.match(await ui.text(".entry pre"), /^000000 {2}7b 22 6c 69/);
  // An integer beyond 2^53 is not told through a double.
  await ui.click("a large number");
  assert.equal(await ui.text(".entry pre"), '{"n":12345678901234567890}');
  await ui.click("bytes");
  assert.match(await ui.text(".entry pre"), /^000000 {2}00 01 fe ff/);

  // The page changes, grpcurl sees it.
  await ui.click("config");
  await ui.click("Edit", ".entry");
  await ui.fill("Value", '{"limit": 6}');
  await ui.click("Save", ".entry");
  await ui.says("gets a value of", "dialog");
  await ui.confirm("Save");
  const read = async (key) => {
    const { entries } = await server.grpcurl("ObjectService/GetEntries", { object: CART, keys: [key] });
    return entries[0] && fromBase64(entries[0].value);
  };
  assert.equal(await read("config"), '{"limit": 6}');
  assert.match(ui.sent("ObjectService/ApplyBatch")[0].requestId, /^[0-9a-f]{32}$/);

  // grpcurl changes, the page sees it.
  await server.grpcurl("ObjectService/PutEntries", { object: CART, entries: [{ key: "config", value: base64("by grpcurl") }] });
  await ui.object(CART, "keys");
  await ui.click("config");
  assert.equal(await ui.text(".entry pre"), "by grpcurl");

  // A value that has changed since it was read is not overwritten. Pressed again, it is the same request.
  await ui.click("Edit", ".entry");
  await ui.fill("Value", "lost update");
  await server.grpcurl("ObjectService/PutEntries", { object: CART, entries: [{ key: "config", value: base64("newer") }] });
  await ui.click("Save", ".entry");
  await ui.click("Save");
  await ui.says("aborted", "dialog");
  await ui.click("Save again");
  await ui.says("aborted", "dialog");
  const ids = ui.sent("ObjectService/ApplyBatch").slice(1).map((each) => each.requestId);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  await ui.page.keyboard.press("Escape");
  assert.equal(await read("config"), "newer");

  // A new key, in hex, and away with it.
  await ui.click("New key");
  await ui.fill("Key", "made here");
  await ui.fill("Value as", "hex");
  await ui.fill("Value", "ff 00 61");
  await ui.click("Save", ".entry");
  await ui.confirm("Save");
  const { entries } = await server.grpcurl("ObjectService/GetEntries", { object: CART, keys: ["made here"] });
  assert.equal(entries[0].value, Buffer.from([255, 0, 0x61]).toString("base64"));
  await ui.fill("Key begins with", "made");
  await ui.says("1 to 1, the last");
  await ui.click("made here");
  await ui.click("Delete", ".entry");
  await ui.confirm("Delete");
  assert.equal(await read("made here"), undefined);
  await ui.says("There are no such keys");
});

test("SQL runs, is explained, and writes only when it is asked to", async () => {
  ui = await Console.open(browser, server, { principal: "writer" });
  await ui.object(CART, "sql");
  await ui.says("people");
  await ui.click("people");
  await ui.says("2 rows", ".result");
  assert.deepEqual(await ui.rows(".result"), [["1", "ada", "1.5", "x'00ff'"], ["9007199254740993", "bob", "NULL", "NULL"]]);
  await ui.fill("SQL", "SELECT name FROM people WHERE id = ?1");
  await ui.fill("Parameters", "[1]");
  await ui.page.focus("textarea");
  await ui.page.keyboard.down("Control");
  await ui.page.keyboard.press("Enter");
  await ui.page.keyboard.up("Control");
  await ui.says("1 rows", ".result");
  assert.deepEqual(await ui.rows(".result"), [["ada"]]);
  await ui.click("Plan");
  await ui.says("SEARCH people USING INTEGER PRIMARY KEY", ".result");
  await ui.fill("Parameters", "");
  await ui.fill("SQL", "INSERT INTO people(name) VALUES ('by the console')");
  await ui.click("Run");
  await ui.says("invalid_argument", ".result");
  const count = async () => {
    const request = { object: CART, readOnly: true, statements: [{ sql: "SELECT count(*) FROM people" }] };
    const { results } = await server.grpcurl("ObjectService/ExecuteSql", request);
    return results[0].rows[0].values[0].integer;
  };
  assert.equal(await count(), "2");
  await ui.click("Run and write");
  await ui.says("INSERT INTO people", "dialog");
  await ui.confirm("Run");
  await ui.says("The statement has run", ".result");
  assert.equal(await count(), "3");
  assert.match(ui.sent("ObjectService/ExecuteSql").at(-1).requestId, /^[0-9a-f]{32}$/);
  await server.grpcurl("ObjectService/ExecuteSql", { object: CART, statements: [{ sql: "INSERT INTO people(name) VALUES ('by grpcurl')" }] });
  await ui.fill("SQL", "SELECT name FROM people ORDER BY id DESC LIMIT 2");
  await ui.click("Run");
  await ui.says("2 rows", ".result");
  assert.deepEqual(await ui.rows(".result"), [["by grpcurl"], ["by the console"]]);
});

test("alarms are set, listed by their times, and told when they are late or have failed", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  await ui.object(CART, "alarm");
  await ui.says("No alarm is set");
  await ui.fill("Seconds from now", "7200");
  await ui.click("Set the alarm");
  await ui.confirm("Set");
  await ui.says("Next attempt");
  const { scheduledTime } = await server.grpcurl("ObjectService/GetAlarm", { object: CART });
  assert.ok(Math.abs(new Date(scheduledTime).getTime() - Date.now() - 7_200_000) < 60_000);

  // One is due and nobody watches; one is out to a watcher, and was failed once.
  await server.grpcurl("ObjectService/SetAlarm", { object: { namespace: "late", name: "nobody watches" }, delay: "0s" });
  const failing = { namespace: "failing", name: "fails", objectClass: "Object" };
  await server.grpcurl("ObjectService/SetAlarm", { object: failing, delay: "0s" });
  const watch = run(
    process.env.GRPCURL,
    ["-plaintext", "-max-time", "1.5", "-H", `authorization: Bearer ${server.tokens.admin}`, "-d", '{"namespace":"failing","lease":"60s"}', server.grpc,
      "holdfast.v1.ObjectService/WatchAlarms"],
  ).catch((ended) => ended);
  const [, deliveryToken] = (await watch).stdout.match(/"delivery_?[tT]oken": "([^"]+)"/);
  await server.grpcurl("ObjectService/AcknowledgeAlarm", { object: failing, deliveryToken, error: { code: 13, message: "no" } });
  await ui.go("alarms");
  await ui.until(() => [...document.querySelectorAll("main tbody tr")].every((row) => row.children[5].textContent !== ""));
  const rows = await ui.rows();
  assert.ok(rows.length >= 3, JSON.stringify(rows));
  const listed = await server.grpcurl("AdminService/ListAlarms", {});
  assert.deepEqual(rows.map(([name]) => name), listed.alarms.map((each) => each.object.name));
  const late = rows.find(([name]) => name === "nobody watches");
  assert.match(late[4], /^due, late by /);
  assert.equal(rows.find(([name]) => name === "fails")[5], "1");
  assert.equal(rows.find(([name]) => name === CART.name)[4], "set");
  const { alarms } = await server.grpcurl("AdminService/GetStatus", {});
  for (const [label, value] of [["Due, not taken", alarms.waiting], ["Watchers", alarms.watchers]]) {
    assert.match(await ui.text(".tiles"), new RegExp(`${label}\\s+${value}(\\s|$)`));
  }

  await ui.object(CART, "alarm");
  await ui.click("Delete the alarm");
  await ui.confirm("Delete");
  await ui.says("No alarm is set");
  assert.equal((await server.grpcurl("ObjectService/GetAlarm", { object: CART })).scheduledTime ?? null, null);
});

test("an object is described, exported and deleted", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  const folder = mkdtempSync(join(server.directory ?? tmpdir(), "downloads-"));
  const session = await ui.page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, browserContextId: ui.context.id });
  await ui.object(CART);
  const description = await server.grpcurl("ObjectService/DescribeObject", { object: CART });
  await ui.says(`Keys\n${description.keyCount}`);
  const saved = async (label, suffix) => {
    await ui.click(label);
    await ui.says("exported");
    for (let tries = 0; tries < 200; ++tries) {
      const name = readdirSync(folder).find((each) => each.endsWith(suffix));
      if (name) return readFileSync(join(folder, name));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no file ${suffix} in ${readdirSync(folder)}`);
  };
  assert.equal((await saved("Export the database", ".sqlite")).subarray(0, 15).toString(), "SQLite format 3");
  await ui.object(CART);
  const exported = await run(
    process.env.GRPCURL,
    ["-plaintext", "-H", `authorization: Bearer ${server.tokens.admin}`, "-d", JSON.stringify({ object: CART }), server.grpc, "holdfast.v1.ObjectService/ExportObject"],
    { maxBuffer: 64 << 20 },
  );
  const chunks = [...exported.stdout.matchAll(/"chunk": "([^"]*)"/g)].map(([, chunk]) => Buffer.from(chunk, "base64"));
  assert.equal((await saved("Export the object", ".holdfast")).length, Buffer.concat(chunks).length);

  await server.grpcurl("ObjectService/PutEntries", { object: { name: "away" }, entries: [{ key: "k" }] });
  await ui.object({ name: "away" });
  await ui.click("Delete everything");
  await ui.confirm("Delete");
  await ui.says("The object stores nothing");
  assert.equal((await server.grpcurl("ObjectService/DescribeObject", { object: { name: "away" } })).exists, false);

  // The console shows the value of a counter, and no edits of its own.
  await ui.object({ name: "visits-041", objectClass: "Counter" });
  await ui.says('"value": "42"');
  assert.equal(await ui.find("SQL"), null);
});

test("every method can be tried, and the lines to copy do the same", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  await ui.go("try");
  const offered = await ui.page.evaluate(() => [...document.querySelectorAll("[data-method]")].map((each) => each.dataset.method));
  const list = async (...words) =>
    (await run(process.env.GRPCURL, ["-plaintext", "-H", `authorization: Bearer ${server.tokens.admin}`, server.grpc, "list", ...words])).stdout.trim().split("\n");
  const services = (await list()).filter((name) => !name.startsWith("grpc.reflection."));
  const methods = (await Promise.all(services.map((name) => list(name)))).flat();
  assert.deepEqual([...offered].sort(), methods.map((name) => name.replace(/\.(\w+)$/, "/$1")).sort());

  const env = { ...process.env, HOLDFAST_TOKEN: server.tokens.admin, PATH: `${process.env.GRPCURL.replace(/\/[^/]*$/, "")}:${process.env.PATH}` };
  const shell = async (line) => (await run("bash", ["-c", line], { env, encoding: "buffer" })).stdout;
  const lines = async () => (await ui.page.$$eval("pre.line", (all) => all.map((each) => each.textContent)));

  await ui.go("try?method=holdfast.v1.CounterService%2FIncrement&ns=shop&name=it%27s");
  await ui.fill("Address of the gRPC port", server.grpc);
  await ui.fill("amount", "5");
  await ui.until(() => document.querySelector("main").innerText.includes('"amount": "5"') || [...document.querySelectorAll("textarea")].some((each) => each.value.includes('"amount": "5"')));
  await ui.shows("Send");
  await ui.click("Send");
  await ui.confirm("Send");
  await ui.says('"value": "5"', ".reply");
  const counter = { namespace: "shop", name: "it's" };
  assert.equal((await server.grpcurl("CounterService/GetValue", { object: counter })).value, "5");
  // The id is another one after a request that was done. Both lines have the same id, so they do it once.
  await ui.until((old) => !document.querySelector("pre.line").textContent.includes(old), ui.sent("CounterService/Increment")[0].requestId);
  const [grpcurl, curl] = await lines();
  assert.equal(JSON.parse(await shell(grpcurl)).value, "10");
  assert.equal(JSON.parse(await shell(curl)).value, "10");

  // A stream of replies.
  await ui.go("try?method=holdfast.v1.ObjectService%2FExportObject&ns=shop&name=it%27s");
  await ui.says("curl");
  const [, streaming] = await lines();
  const bytes = await shell(streaming);
  const size = bytes.readUInt32BE(1);
  assert.ok(JSON.parse(bytes.subarray(5, 5 + size)).chunk.length > 0);
  await ui.shows("Send");
  await ui.click("Send");
  await ui.says("OK, ", ".reply");

  // Fields of every kind: a oneof in a list, a time that JSON has as text, bytes.
  await ui.go("try?method=holdfast.v1.ObjectService%2FApplyBatch&ns=shop&name=tried");
  await ui.click("Add to steps");
  await ui.fill("step", "put");
  await ui.fill("key", "k");
  await ui.fill("value", "text");
  await ui.click("Add to steps");
  await ui.fill("step", "setAlarmDelay");
  await ui.page.evaluate(() => {
    const input = [...document.querySelectorAll("input[placeholder='10s']")].at(-1);
    input.value = "3600s";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await ui.until(() => [...document.querySelectorAll("textarea")].some((each) => each.value.includes('"setAlarmDelay": "3600s"')));
  await ui.shows("Send");
  await ui.click("Send");
  await ui.confirm("Send");
  await ui.says("OK, ", ".reply");
  const { entries } = await server.grpcurl("ObjectService/GetEntries", { object: { namespace: "shop", name: "tried" }, keys: ["k"] });
  assert.equal(fromBase64(entries[0].value), "text");

  // A service beside the contract has its whole name, and its fields of every kind: here a number in a wrapper.
  await ui.go("try?method=envoy.service.ratelimit.v3.RateLimitService%2FShouldRateLimit");
  assert.ok((await ui.text(".methods")).includes("envoy.service.ratelimit.v3.RateLimitService"));
  await ui.fill("domain", "edge");
  await ui.click("Add to descriptors");
  await ui.click("Add to entries");
  await ui.fill("key", "path");
  await ui.fill("value", "/login");
  await ui.page.evaluate(() => {
    // The one of the descriptor, not that of the request.
    const input = [...document.querySelectorAll("ol label")].find((each) => each.firstChild.textContent === "hitsAddend").querySelector("input");
    input.value = "2";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await ui.until(() => [...document.querySelectorAll("textarea")].some((each) => each.value.includes('"hitsAddend": "2"')));
  await ui.shows("Send");
  await ui.click("Send");
  await ui.confirm("Send");
  await ui.says('"limitRemaining": 3', ".reply");

  // The form of a method that is chosen at the end of the list is on the screen, and has the focus.
  await ui.click("ListUsers", ".methods");
  await ui.says("UserCacheService/ListUsers", ".method h2");
  assert.deepEqual(await ui.page.evaluate(() => [scrollY, document.activeElement.className]), [0, "method"]);

  // HTTP can't send a stream of requests.
  await ui.go("try?method=holdfast.v1.CounterService%2FStreamIncrement");
  await ui.says("use grpcurl");
  assert.equal(await ui.find("Send"), null);
});

test("signing out ends what is under way", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  const watchers = async (count) => {
    const until = Date.now() + 30_000;
    const now = async () => Number((await server.grpcurl("AdminService/GetStatus", {})).alarms?.watchers ?? 0);
    while ((await now()) !== count) assert.ok(Date.now() < until, `${count} watchers`);
  };
  await watchers(0);
  await ui.go("try?method=holdfast.v1.ObjectService%2FWatchAlarms&ns=shop");
  await ui.shows("Send");
  await ui.click("Send");
  await ui.confirm("Send");
  await watchers(1);
  await ui.click("Sign out", "header");
  await ui.says("Sign in", "h1");
  await watchers(0);
});

test("who may only read is offered no change", async () => {
  ui = await Console.open(browser, server, { principal: "reader" });
  await ui.says("Objects", "h1");
  assert.equal((await ui.text("nav")).replace(/\s+/g, " "), "Objects Try it");
  const changes = /New key|Edit|Delete|Save$|Set|write|Unload|Send/;
  const offers = [];
  for (const tab of ["summary", "keys", "sql", "alarm"]) {
    await ui.object(CART, tab);
    if (tab === "keys") await ui.click("config");
    offers.push(...(await ui.buttons()));
  }
  assert.deepEqual(offers.filter((label) => changes.test(label)), []);
  assert.ok(offers.includes("Run") && offers.includes("Export the object"), offers.join());
  await ui.go("try?method=holdfast.v1.CounterService%2FIncrement&name=a");
  await ui.says("You have no right to this");
  assert.equal(await ui.find("Send"), null);
  await ui.go("try?method=holdfast.v1.CounterService%2FGetValue&name=visits-041");
  await ui.shows("Send");
  await ui.click("Send");
  await ui.says('"value": "42"', ".reply");
  // Screens that are for others are not reached by their address either.
  await ui.page.evaluate(() => (location.hash = "#/overview"));
  await ui.says("Objects", "h1");

  // A writer has the edits in his namespace alone.
  await ui.close();
  ui = await Console.open(browser, server, { principal: "writer" });
  await ui.object(CART, "keys");
  assert.ok((await ui.buttons()).includes("New key"));
  await ui.go("objects?ns=default");
  await ui.says("permission_denied");
});

test("names and values with markup stay text", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  const evil = { name: EVIL };
  await ui.go("objects?class=Object");
  await ui.says(EVIL);
  for (const tab of ["summary", "keys", "sql", "alarm"]) {
    await ui.object(evil, tab);
    assert.equal(await ui.page.title(), `${EVIL} - Holdfast`);
    await ui.says(EVIL);
    if (tab === "keys") {
      await ui.click(EVIL);
      assert.equal(await ui.text(".entry pre"), EVIL);
      await ui.click("Delete", ".entry");
      await ui.says(EVIL, "dialog");
      await ui.page.keyboard.press("Escape");
    }
    if (tab === "sql") {
      await ui.click("<img src=x onerror=alert(2)>");
      await ui.says("1 rows", ".result");
      assert.deepEqual(await ui.rows(".result"), [[EVIL]]);
    }
  }
  await server.grpcurl("ObjectService/SetAlarm", { object: evil, delay: "3000s" });
  await ui.go("alarms");
  await ui.says(EVIL);
  const elements = await ui.page.evaluate(() => [document.scripts.length, document.images.length, document.querySelectorAll("main b").length]);
  assert.deepEqual(elements, [1, 0, 0]);
});

test("everything is reached with the keyboard, and the focus is seen", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  const { keyboard } = ui.page;
  await ui.page.evaluate(() => document.activeElement?.blur());
  await keyboard.press("?");
  await ui.says("these keys", "dialog");
  await keyboard.press("Escape");
  await ui.until(() => !document.querySelector("dialog[open]"));
  await keyboard.press("2");
  await ui.page.waitForSelector(".screen.objects tbody tr");
  await keyboard.press("/");
  await keyboard.type("visits-1");
  await ui.says("1 to 100");
  await ui.until(() => document.querySelector("tbody a")?.textContent.startsWith("visits-1"));
  await keyboard.press("Escape");
  await keyboard.press("j");
  await keyboard.press("j");
  assert.equal(await ui.page.evaluate(() => document.activeElement.textContent), "visits-101");
  const outline = await ui.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none");
  await keyboard.press("Enter");
  await ui.says("visits-101", "h1");
  for (const [key, screen] of [["3", "alarms"], ["4", "try"], ["1", "overview"]]) {
    await keyboard.press(key);
    await ui.page.waitForSelector(`.screen.${screen} h1`);
  }
  // An entry is on the screen, and has the focus until it is closed; then the row has it again.
  await ui.page.setViewport({ width: 1000, height: 700 });
  await ui.object(CART, "keys");
  await keyboard.press("j");
  await keyboard.press("j");
  const focused = () => ui.page.evaluate(() => document.activeElement.textContent);
  const row = await focused();
  await keyboard.press("Enter");
  await ui.says("etag", ".entry");
  assert.ok(await ui.page.evaluate(() => document.querySelector(".entry").contains(document.activeElement)));
  const bottom = await ui.page.evaluate(() => document.querySelector(".entry").getBoundingClientRect().bottom);
  assert.ok(bottom <= 701, `the entry ends at ${bottom}`);
  await keyboard.press("Escape");
  assert.equal(await focused(), row);
  await keyboard.press("j");
  assert.notEqual(await focused(), row);
  // Tab goes through every control of a screen, in order.
  await ui.object(CART, "sql");
  await ui.page.evaluate(() => document.activeElement?.blur());
  const controls = await ui.page.$$eval("a, button, input, select, textarea, summary", (all) => all.filter((each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0).length);
  const seen = new Set();
  for (let i = 0; i < controls + 5; ++i) {
    await keyboard.press("Tab");
    seen.add(await ui.page.evaluate(() => (document.activeElement.dataset.seen ??= String(Math.random()))));
  }
  assert.ok(seen.size >= controls, `${seen.size} of ${controls} controls`);
});

test("every screen fits into 1,000 pixels, light and dark", async () => {
  for (const dark of [false, true]) {
    ui = await Console.open(browser, server, { principal: "admin", width: 1000, dark });
    const back = new Set();
    const screens = ["overview", "objects", "alarms", "try", ...["summary", "keys", "sql", "alarm"].map((tab) => `object?${new URLSearchParams({ ns: "shop", class: "Object", name: CART.name, tab })}`)];
    for (const screen of screens) {
      await ui.go(screen);
      const { wide, colour } = await ui.page.evaluate(() => ({ wide: document.documentElement.scrollWidth, colour: getComputedStyle(document.body).backgroundColor }));
      assert.ok(wide <= 1000, `${screen} is ${wide} px wide`);
      back.add(colour);
    }
    assert.deepEqual([...back], [dark ? "rgb(20, 24, 27)" : "rgb(246, 247, 248)"]);
    if (!dark) await ui.close();
  }
  await ui.click("Auto", "header");
  await ui.until(() => getComputedStyle(document.body).backgroundColor === "rgb(246, 247, 248)");
});

test("the overview shows the numbers of the server, and goes on by itself", async () => {
  ui = await Console.open(browser, server, { principal: "admin" });
  for (let i = 0; i < 30; ++i) await server.call("CounterService/Increment", { object: { namespace: "shop", name: "busy" } });
  await ui.go("overview");
  const { version } = await server.grpcurl("AdminService/GetStatus", {});
  await ui.says(`Version ${version}, serving`);
  const { objects } = await server.grpcurl("AdminService/ListHotObjects", { order: "HOT_ORDER_REQUESTS" });
  const rows = await ui.rows("main");
  const busy = rows.find(([name]) => name === "busy");
  assert.equal(busy[3], objects.find((each) => each.object.name === "busy").requests);
  const { namespaces } = await server.grpcurl("AdminService/ListNamespaces", {});
  for (const { namespace } of namespaces) assert.ok(rows.some((row) => row[0] === namespace), namespace);
  const late = namespaces.find((each) => each.namespace === "late");
  assert.equal(rows.find((row) => row[0] === "late")[1], late.objects);
  // A point comes every 10 s.
  await ui.until(() => document.querySelector(".chart path.line")?.getAttribute("d").includes("L"));
  const { points } = await server.grpcurl("AdminService/GetHistory", {});
  assert.ok(points.length >= 2);
  await ui.page.focus(".plot");
  await ui.page.keyboard.press("ArrowLeft");
  await ui.page.waitForSelector("path.cursor");
  // A change on the server comes without a reload.
  await server.call("CounterService/Increment", { object: { namespace: "shop", name: "busy" } });
  const rowOf = `[...document.querySelectorAll("tbody tr")].find((row) => row.children[0].textContent === "busy")`;
  await ui.until(`Number(${rowOf}?.children[3].textContent) === ${Number(busy[3]) + 1}`);
  // Another order.
  await ui.fill("Order", "HOT_ORDER_BYTES_WRITTEN");
  const { objects: written } = await server.grpcurl("AdminService/ListHotObjects", { order: "HOT_ORDER_BYTES_WRITTEN" });
  await ui.until(`document.querySelector("main tbody td").textContent === ${JSON.stringify(written[0].object.name)}`);
});

// Makes the pictures of docs/console: each screen, light and dark.   node screenshots.mjs DIR

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Console, launch } from "./browser.mjs";
import { Server, base64 } from "./server.mjs";

const folder = process.argv[2];
const CART = { namespace: "shop", name: "cart/ada", objectClass: "Object" };
const LOAD_MS = 65_000; // some points of the graphs

const server = await Server.start();
const browser = await launch();
try {
  mkdirSync(folder, { recursive: true });
  await server.call("ObjectService/PutEntries", {
    object: CART,
    entries: [
      { key: "address", value: base64('{"street":"Lovelace Road 10","city":"London","verified":true}') },
      { key: "currency", value: base64("EUR") },
      { key: "fingerprint", value: Buffer.from([0x9f, 0, 0x17, 0xfe, 0x80, 0x33, 0xd1, 2]).toString("base64") },
      ...Array.from({ length: 9 }, (_, i) => ({ key: `item/${i}`, value: base64(JSON.stringify({ sku: `SKU-${100 + i * 7}`, quantity: (i % 3) + 1, price: `${9 + i}.90` })) })),
    ],
  });
  await server.call("ObjectService/ExecuteSql", {
    object: CART,
    statements: [
      { sql: "CREATE TABLE orders(id INTEGER PRIMARY KEY, item TEXT NOT NULL, price REAL, at TEXT)" },
      { sql: "CREATE INDEX orders_by_item ON orders(item)" },
      { sql: "INSERT INTO orders(item, price, at) VALUES ('tea', 4.5, '2026-01-02'), ('cup', 12.0, '2026-01-02'), ('pot', 38.25, '2026-01-05')" },
    ],
  });
  for (const [name, delay] of [["cart/ada", 3600], ["reminder/7", 0], ["reminder/8", 1], ["reminder/9", 90_000]]) {
    await server.call("ObjectService/SetAlarm", { object: { namespace: "shop", name }, delay: `${delay}s` });
  }
  const users = Array.from({ length: 40 }, (_, i) => `user/${String(i).padStart(2, "0")}`);
  for (const name of users) await server.call("ObjectService/PutEntries", { object: { namespace: "shop", name }, entries: [{ key: "seen", value: base64("today") }] });
  const end = Date.now() + LOAD_MS;
  for (let i = 0; Date.now() < end; ++i) {
    // A wave, so that the lines have a form.
    const width = 1 + Math.round(6 * (1 + Math.sin(i / 60)));
    await Promise.all(Array.from({ length: width }, (_, j) => server.call("CounterService/Increment", { object: { namespace: "shop", name: `visits/${j}` } })));
    if (i % 50 === 0) await server.call("CounterService/Increment", { object: { name: "" } }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  for (const dark of [false, true]) {
    const ui = await Console.open(browser, server, { principal: "admin", width: 1200, height: 800, dark });
    await ui.page.evaluate(() => localStorage.setItem("holdfast.grpc", "127.0.0.1:50051"));
    const shoot = (name) => ui.page.screenshot({ path: join(folder, `${name}-${dark ? "dark" : "light"}.png`) });
    await ui.go("overview");
    await shoot("overview");
    await ui.go("objects?ns=shop");
    await ui.until(() => document.querySelector("main tbody tr:last-child")?.children[2].textContent);
    await shoot("objects");
    await ui.object(CART, "keys");
    await ui.click("address");
    await shoot("keys");
    await ui.object(CART, "sql");
    await ui.click("orders");
    await ui.says("3 rows", ".result");
    await shoot("sql");
    await ui.go("alarms");
    await ui.until(() => [...document.querySelectorAll("main tbody tr")].every((row) => row.children[5].textContent !== ""));
    await shoot("alarms");
    await ui.go("try?method=holdfast.v1.CounterService%2FIncrement&ns=shop&name=visits%2F0");
    await ui.shows("Send");
    await shoot("try");
    await ui.close();
  }
} finally {
  await browser.close();
  await server.stop();
}

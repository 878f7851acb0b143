// connect-web's client in a browser, on a page of another origin: one reply, a stream of replies, errors with their
// details, in JSON and in binary, by GET, and what CORS refuses.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { Server, base64, freePort, newToken } from "./server.mjs";

const FOLDER = process.cwd(); // has node_modules and gen
const PACKAGES = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"];

// Where a browser finds the packages: what their own package.json exports.
function importMap() {
  const imports = {};
  for (const name of PACKAGES) {
    const { exports } = JSON.parse(readFileSync(join(FOLDER, "node_modules", name, "package.json")));
    for (const [path, { import: of }] of Object.entries(exports)) {
      if (!of) continue;
      imports[join(name, path)] = `/${join("node_modules", name, of.default ?? of)}`;
    }
  }
  return JSON.stringify({ imports });
}

const PAGE = `<!doctype html><meta charset="utf-8"><script type="importmap">${importMap()}</script>
<script type="module">
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { CounterService } from "/gen/holdfast/v1/counter_service_pb.js";
import { ObjectService } from "/gen/holdfast/v1/object_service_pb.js";
import { ErrorInfoSchema } from "/gen/google/rpc/error_details_pb.js";
window.clients = (baseUrl, token, options) => {
  const transport = createConnectTransport({
    baseUrl,
    ...options,
    interceptors: [(next) => (request) => {
      if (token) request.header.set("authorization", "Bearer " + token);
      return next(request);
    }],
  });
  return { counters: createClient(CounterService, transport), objects: createClient(ObjectService, transport) };
};
window.failure = async (call) => {
  try {
    await call();
  } catch (error) {
    const failed = ConnectError.from(error);
    return { code: Code[failed.code], message: failed.rawMessage, reason: failed.findDetails(ErrorInfoSchema)[0]?.reason };
  }
  return {};
};
</script>`;

let server, browser, pages, page, stranger;

before(async () => {
  const port = await freePort();
  [server, browser] = await Promise.all([Server.start({ origins: [`http://127.0.0.1:${port}`] }), launch()]);
  pages = createServer((request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    if (path === "/") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    // The browser asks for more than there is: for an icon.
    const file = join(FOLDER, path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": "text/javascript" }).end(readFileSync(file));
  });
  await new Promise((resolve) => pages.listen(port, "127.0.0.1", resolve));
  const open = async (origin) => {
    const opened = await browser.newPage();
    await opened.goto(origin);
    await opened.waitForFunction(() => window.clients);
    return opened;
  };
  page = await open(`http://127.0.0.1:${port}/`);
  stranger = await open(`http://localhost:${port}/`);
});
after(async () => {
  await browser?.close();
  pages?.close();
  await server?.stop();
});

for (const binary of [false, true]) {
  const options = { useBinaryFormat: binary };
  const form = binary ? "binary" : "JSON";

  test(`one reply, in ${form}`, async () => {
    const value = await page.evaluate(
      async (origin, token, how, name) => {
        const { counters } = window.clients(origin, token, how);
        await counters.increment({ object: { name }, amount: 9007199254740993n, requestId: name });
        await counters.increment({ object: { name }, amount: 9007199254740993n, requestId: name });
        return String((await counters.getValue({ object: { name } })).value);
      },
      server.origin, server.tokens.admin, options, `web ${form}`,
    );
    assert.equal(value, "9007199254740993");
    assert.equal((await server.grpcurl("CounterService/GetValue", { object: { name: `web ${form}` } })).value, value);
  });

  test(`an error with its reason, in ${form}`, async () => {
    const told = await page.evaluate(
      async (origin, token, wrong, how) => {
        const { counters, objects } = window.clients(origin, token, how);
        return [
          await window.failure(() => counters.increment({ object: { name: "" } })),
          await window.failure(() => objects.executeSql({ object: { name: "a" }, statements: [{ sql: "SELEC" }] })),
          await window.failure(() => window.clients(origin, wrong, how).counters.getValue({ object: { name: "a" } })),
          await window.failure(() => window.clients(origin, "", how).counters.getValue({ object: { name: "a" } })),
        ];
      },
      server.origin, server.tokens.admin, newToken(), options,
    );
    assert.deepEqual(
      told.map(({ code, reason }) => `${code} ${reason}`),
      ["InvalidArgument INVALID_FIELD", "InvalidArgument SQL_ERROR", "Unauthenticated CREDENTIALS_INVALID", "Unauthenticated CREDENTIALS_MISSING"],
    );
    assert.match(told[0].message, /object\.name/);
  });

  test(`a stream of replies, in ${form}`, async () => {
    const object = { name: `stream ${form}`, objectClass: "Object" };
    const entries = Array.from({ length: 40 }, (_, i) => ({ key: `${i}`, value: base64("x".repeat(50_000)) }));
    await server.call("ObjectService/PutEntries", { object, entries });
    const { chunks, bytes } = await page.evaluate(
      async (origin, token, how, of) => {
        const { objects } = window.clients(origin, token, how);
        let chunks = 0;
        let bytes = 0;
        for await (const { chunk } of objects.exportObject({ object: of })) {
          ++chunks;
          bytes += chunk.length;
        }
        return { chunks, bytes };
      },
      server.origin, server.tokens.admin, options, object,
    );
    assert.ok(chunks > 1, `${chunks} chunks`);
    assert.ok(bytes > 2_000_000, `${bytes} bytes`);
  });

  test(`a stream without an end is left by the client, and one that is refused says why, in ${form}`, async () => {
    const watch = { namespace: "shop", namePrefix: form };
    const told = await page.evaluate(
      async (origin, token, reader, how, request) => {
        const { objects } = window.clients(origin, token, how);
        const leave = new AbortController();
        setTimeout(() => leave.abort(), 300);
        const first = await window.failure(async () => {
          for await (const each of objects.watchAlarms(request, { signal: leave.signal })) void each;
        });
        const refused = await window.failure(async () => {
          for await (const each of window.clients(origin, reader, how).objects.watchAlarms(request)) void each;
        });
        return [first, refused];
      },
      server.origin, server.tokens.admin, server.tokens.reader, options, watch,
    );
    assert.deepEqual(told.map(({ code }) => code), ["Canceled", "PermissionDenied"]);
    assert.equal(told[1].reason, "PERMISSION_DENIED");
    // The watcher has gone from the server, too.
    for (let tries = 0; ; ++tries) {
      const { alarms } = await server.grpcurl("AdminService/GetStatus", {});
      if (alarms.watchers === "0") break;
      assert.ok(tries < 100, "the watcher stays");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
}

test("a read goes by GET where the client wants it", async () => {
  const methods = [];
  page.on("request", (request) => methods.push(request.method()));
  const value = await page.evaluate(
    async (origin, token) => {
      const { counters } = window.clients(origin, token, { useHttpGet: true });
      return String((await counters.getValue({ object: { name: "web JSON" } })).value);
    },
    server.origin, server.tokens.admin,
  );
  assert.equal(value, "9007199254740993");
  assert.ok(methods.includes("GET"), methods.join());
  assert.ok(!methods.includes("POST"), methods.join());
});

test("the page of an origin that is not allowed gets nothing, and does nothing", async () => {
  const told = await stranger.evaluate(
    async (origin, token) => {
      const { counters } = window.clients(origin, token, {});
      return window.failure(() => counters.increment({ object: { name: "stranger" } }));
    },
    server.origin, server.tokens.admin,
  );
  assert.match(told.message, /fetch/);
  assert.equal((await server.grpcurl("CounterService/GetValue", { object: { name: "stranger" } })).value, "0");
});

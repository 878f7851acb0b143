// The client of Connect for Node, as a user has it: unary calls, a stream, error details, GET, a time limit, and the
// end of a call by its client; in JSON and in protobuf's binary form.
import assert from "node:assert/strict";
import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { CounterService } from "./gen/holdfast/v1/counter_service_pb.js";
import { ObjectService } from "./gen/holdfast/v1/object_service_pb.js";
import { Health, HealthCheckResponse_ServingStatus as State } from "./gen/grpc/health/v1/health_pb.js";

const ENTRIES = 40;

// The methods of the requests that leave the client.
const seen = [];
const send = http.request;
http.request = (url, options, ...rest) => {
  seen.push(options.method);
  return send(url, options, ...rest);
};
syncBuiltinESMExports();

for (const useBinaryFormat of [false, true]) {
  const form = useBinaryFormat ? "binary" : "JSON";
  const transport = createConnectTransport({
    baseUrl: process.env.HOLDFAST_HTTP,
    httpVersion: "1.1",
    useBinaryFormat,
    useHttpGet: true,
      });
  const counters = createClient(CounterService, transport);
  const objects = createClient(ObjectService, transport);
  const health = createClient(Health, transport);
  const object = { name: `node-${form}` };

  test(`${form}: a change and a read, the read with GET`, async () => {
    assert.equal((await counters.increment({ object, amount: 5n })).value, 5n);
    assert.equal((await counters.getValue({ object })).value, 5n);
    assert.deepEqual(seen.slice(-2), ["POST", "GET"]);
  });

  test(`${form}: an error has its code, its message and its details`, async () => {
    const error = await counters.increment({ object: { name: "" } }).then(assert.fail, ConnectError.from);
    assert.equal(error.code, Code.InvalidArgument);
    assert.match(error.rawMessage, /object\.name/);
    const details = new Map(error.details.map((detail) => [detail.type, detail]));
    assert.equal(details.get("google.rpc.ErrorInfo").debug.reason, "INVALID_FIELD");
    assert.equal(details.get("google.rpc.BadRequest").debug.fieldViolations[0].field, "object.name");
    assert.ok(details.get("google.rpc.ErrorInfo").value.length > 0);
  });

  test(`${form}: metadata of a reply are headers`, async () => {
    const headers = [];
    const options = { onHeader: (found) => headers.push(found.get("holdfast-replayed")) };
    for (let i = 0; i < 2; ++i) await counters.increment({ object, requestId: `r-${form}` }, options);
    assert.deepEqual(headers, [null, "1"]);
  });

  test(`${form}: a stream of replies`, async () => {
    const value = new Uint8Array(50_000).fill(7);
    const entries = Array.from({ length: ENTRIES }, (_, i) => ({ key: `k${i}`, value }));
    await objects.putEntries({ object, entries });
    let bytes = 0;
    for await (const { chunk } of objects.exportObject({ object })) bytes += chunk.length;
    assert.ok(bytes > ENTRIES * value.length, `${bytes} bytes`);
  });

  test(`${form}: an error ends a stream`, async () => {
    const all = async () => {
      for await (const reply of objects.exportObject({ object: { name: "" } })) assert.fail(reply);
    };
    const error = await all().then(assert.fail, ConnectError.from);
    assert.equal(error.code, Code.InvalidArgument);
    assert.ok(error.details.some((detail) => detail.type === "google.rpc.BadRequest"));
  });

  test(`${form}: a client leaves a stream`, async () => {
    const leave = new AbortController();
    for await (const { status } of health.watch({}, { signal: leave.signal })) {
      assert.equal(status, State.SERVING);
      break;
    }
    leave.abort();
    assert.equal((await health.check({})).status, State.SERVING);
  });

  test(`${form}: a time limit ends a stream`, async () => {
    const all = async () => {
      for await (const { status } of health.watch({}, { timeoutMs: 500 })) assert.equal(status, State.SERVING);
    };
    const error = await all().then(assert.fail, ConnectError.from);
    assert.equal(error.code, Code.DeadlineExceeded);
  });

  test(`${form}: a method with a stream of requests says that it can't`, async () => {
    async function* requests() {
      yield { increment: { object } };
    }
    const all = async () => {
      for await (const reply of counters.streamIncrement(requests())) assert.fail(reply);
    };
    const error = await all().then(assert.fail, ConnectError.from);
    assert.equal(error.code, Code.Unimplemented);
  });
}

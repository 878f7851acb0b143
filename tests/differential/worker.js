// Shows the storage of a durable object over HTTP, so that a program outside can call it operation by operation.
//
//   POST /NAME/do       {"op": ..., ...}       one operation; the answer is {"value": ...} or {"refused": message}
//   POST /NAME/alarms   [attempt, ...]         what the handler does at its next runs; replaces what was left
//   GET  /NAME/alarms                          the handler's runs so far, as a list
//   POST /NAME/release  end                    lets a handler that holds go on, and says how it ends
//
// An attempt is {"ops": [...], "hold": anything, ...end}: the operations to make, and whether to wait for a release
// after them. An end is {"commit": batch, "fail": bool}: a batch to apply at last, and whether to throw. A batch that
// is not applied makes the handler throw too. Without an attempt the handler does nothing and succeeds.
//
// Attempts and runs are kept outside the objects, in the isolate that all objects share. An object's storage therefore
// has only the data of the operations, and reading the runs does not wake the object.
import { DurableObject } from "cloudflare:workers";

const HOLD_POLL_MS = 5;

const plans = new Map(); // id of the object -> {attempts, runs, release}

function planOf(id) {
  if (!plans.has(id)) plans.set(id, { attempts: [], runs: [], release: null });
  return plans.get(id);
}

class PreconditionFailed extends Error {}

async function inTransaction(storage, { preconditions, steps }) {
  await storage.transaction(async (transaction) => {
    for (const { key, present, value } of preconditions) {
      const stored = await transaction.get(key);
      const holds = value === undefined ? (stored !== undefined) === present : stored?.toBase64() === value;
      if (!holds) throw new PreconditionFailed(key);
    }
    for (const step of steps) {
      if (step.op === "put") await transaction.put(step.key, Uint8Array.fromBase64(step.value));
      else if (step.op === "delete") await transaction.delete(step.key);
      else if (step.op === "setAlarm") await transaction.setAlarm(step.time);
      else if (step.op === "deleteAlarm") await transaction.deleteAlarm();
      else throw new Error(`no step of a batch: ${step.op}`);
    }
  });
}

const pairs = (map) => [...map].map(([key, value]) => [key, value.toBase64()]);

// An SQL value in JSON: null, a number, a string, {"blob": base64}, or {"number": text} for numbers that JSON lacks.
const fromJson = (value) => (value?.blob === undefined ? value : Uint8Array.fromBase64(value.blob));

function toJson(value) {
  if (value instanceof ArrayBuffer) return { blob: new Uint8Array(value).toBase64() };
  return typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value;
}

class SqlFailed extends Error {
  constructor(statement, message) {
    super(message);
    this.statement = statement;
  }
}

// Runs all statements, or none.
function inSqlTransaction(storage, { statements }) {
  return storage.transactionSync(() =>
    statements.map(({ sql, params = [] }, index) => {
      try {
        const cursor = storage.sql.exec(sql, ...params.map(fromJson));
        const columns = cursor.columnNames;
        return { columns, rows: [...cursor.raw()].map((row) => row.map(toJson)) };
      } catch (error) {
        throw new SqlFailed(index, error.message);
      }
    }),
  );
}

const operations = {
  put: (storage, { key, value }) => storage.put(key, Uint8Array.fromBase64(value)),
  putMany: (storage, { entries }) =>
    storage.put(Object.fromEntries(entries.map(([key, value]) => [key, Uint8Array.fromBase64(value)]))),
  get: async (storage, { key }) => (await storage.get(key))?.toBase64(),
  getMany: async (storage, { keys }) => pairs(await storage.get(keys)),
  delete: (storage, { key }) => storage.delete(key),
  deleteMany: (storage, { keys }) => storage.delete(keys),
  list: async (storage, { options }) => pairs(await storage.list(options)),
  deleteAll: (storage) => storage.deleteAll(),
  cleanup: async (storage) => {
    await storage.deleteAlarm();
    await storage.deleteAll();
  },
  setAlarm: (storage, { time }) => storage.setAlarm(time),
  getAlarm: (storage) => storage.getAlarm(),
  deleteAlarm: (storage) => storage.deleteAlarm(),
  batch: inTransaction,
  sql: inSqlTransaction,
};

async function answer(storage, operation) {
  const run = operations[operation.op];
  if (run === undefined) throw new Error(`no operation: ${operation.op}`);
  try {
    return { value: (await run(storage, operation)) ?? null };
  } catch (error) {
    if (error instanceof PreconditionFailed) return { aborted: error.message };
    if (error instanceof SqlFailed) return { failed: error.statement, message: error.message };
    return { refused: `${error.name}: ${error.message}` };
  }
}

export class Probe extends DurableObject {
  async fetch(request) {
    const operation = await request.json();
    if (operation.op === "unload") this.ctx.abort("unload");
    return Response.json(await answer(this.ctx.storage, operation));
  }

  async alarm(info) {
    const started = Date.now();
    const plan = planOf(this.ctx.id.toString());
    const attempt = plan.attempts.shift() ?? {};
    const scheduled = Number(info.scheduledTime);
    const run = { scheduled, retryCount: info.retryCount, early: started < scheduled, started, answers: [] };
    plan.runs.push(run);
    for (const operation of attempt.ops ?? []) run.answers.push(await answer(this.ctx.storage, operation));
    let end = attempt;
    if (attempt.hold !== undefined) {
      run.holding = true;
      while (plan.release === null) await scheduler.wait(HOLD_POLL_MS);
      run.holding = false;
      end = plan.release;
      plan.release = null;
    }
    let fail = end.fail;
    if (end.commit) {
      const outcome = await answer(this.ctx.storage, { op: "batch", ...end.commit });
      run.answers.push(outcome);
      fail ||= !("value" in outcome);
    }
    run.ended = Date.now();
    if (fail) throw new Error("the handler fails, as it was told");
  }
}

export default {
  async fetch(request, env) {
    const [, name, what] = new URL(request.url).pathname.split("/");
    const id = env.objects.idFromName(name);
    const plan = planOf(id.toString());
    if (what === "alarms" && request.method === "GET") return Response.json(plan.runs);
    if (what === "alarms") plan.attempts = await request.json();
    else if (what === "release") plan.release = await request.json();
    else if (what === "do") {
      const body = await request.text();
      try {
        return await env.objects.get(id).fetch("http://object/", { method: "POST", body });
      } catch (error) {
        return Response.json({ broken: error.message });
      }
    } else return new Response("no such path", { status: 404 });
    return Response.json({});
  },
};

// A real holdfastd for the tests, with the console on its HTTP port, and grpcurl as the other client.
//
// It has Envoy's service beside its own. There are three principals: "admin" may do everything, "writer" may read and write in the namespace shop, "reader" may
// read everything.

import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const START_MS_MAX = 20_000;
const run = promisify(execFile);

// A loopback port on which nobody listens, below those that the kernel gives to outgoing connections.
export async function freePort() {
  for (let tries = 0; tries < 100; ++tries) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const free = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no free port in 100 tries");
}

export function newToken() {
  return `hf_${randomBytes(32).toString("base64url")}`;
}

// grpcurl names fields as the contract does; JSON of HTTP, and the page, by their JSON names.
function camelCase(key, value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const name = (each) => each.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([each, of]) => [name(each), of]));
}

export class Server {
  static async start({ access = true, origins = [] } = {}) {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "holdfast-console-"));
    server.grpc = `127.0.0.1:${await freePort()}`;
    const http = `127.0.0.1:${await freePort()}`;
    server.origin = `http://${http}`;
    server.tokens = Object.fromEntries(["admin", "writer", "reader"].map((name) => [name, newToken()]));
    const lines = Object.entries(server.tokens).map(
      ([name, token]) => `${name} ${createHash("sha256").update(token).digest("hex")}\n`,
    );
    writeFileSync(join(server.directory, "tokens"), lines.join(""));
    const rules = `authentication { token_file: "${server.directory}/tokens" }
authorization {
  rule { principal: "admin" verb: READ verb: WRITE verb: ADMIN }
  rule { principal: "writer" namespace: "shop" verb: READ verb: WRITE }
  rule { principal: "reader" verb: READ }
}
`;
    writeFileSync(join(server.directory, "limits.yaml"), "domain: edge\ndescriptors:\n  - key: path\n    rate_limit: {unit: day, requests_per_unit: 5}\n");
    const cors = origins.length ? `cors { ${origins.map((origin) => `allowed_origin: "${origin}"`).join(" ")} }` : "";
    writeFileSync(
      join(server.directory, "holdfast.textproto"),
      `listen: "${server.grpc}"
data_dir: "${server.directory}/data"
http { listen: "${http}" ${cors} }
rate_limit_service { rules_file: "${server.directory}/limits.yaml" }
${access ? rules : ""}`,
    );
    server.log = "";
    server.process = spawn(process.env.HOLDFASTD, ["--config", join(server.directory, "holdfast.textproto")]);
    for (const output of [server.process.stdout, server.process.stderr]) {
      output.on("data", (data) => (server.log += data));
    }
    try {
      await server.ready();
    } catch (error) {
      server.process.kill("SIGKILL");
      throw error;
    }
    return server;
  }

  async ready() {
    const began = Date.now();
    for (;;) {
      if (this.process.exitCode !== null) throw new Error(`holdfastd has ended:\n${this.log}`);
      const answer = await fetch(`${this.origin}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      if (Date.now() - began > START_MS_MAX) throw new Error(`holdfastd does not serve:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  // Calls a method with grpcurl, as a principal, and returns the reply; throws what grpcurl says.
  async grpcurl(method, request, principal = "admin") {
    const reply = await run(
      process.env.GRPCURL,
      ["-plaintext", "-emit-defaults", "-max-time", "20", "-H", `authorization: Bearer ${this.tokens[principal]}`, "-d",
        JSON.stringify(request), this.grpc, `holdfast.v1.${method}`],
      { maxBuffer: 64 << 20 },
    );
    return JSON.parse(reply.stdout, camelCase);
  }

  // Calls a method over HTTP, many times in little time.
  async call(method, request, principal = "admin") {
    const response = await fetch(`${this.origin}/holdfast.v1.${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.tokens[principal]}` },
      body: JSON.stringify(request),
    });
    const reply = await response.json();
    if (!response.ok) throw new Error(`${method}: ${reply.code}: ${reply.message}`);
    return reply;
  }

  async stop() {
    const ended = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await ended;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function base64(text) {
  return Buffer.from(text).toString("base64");
}

export function fromBase64(text) {
  return Buffer.from(text ?? "", "base64").toString();
}


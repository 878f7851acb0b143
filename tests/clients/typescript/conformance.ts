// Runs the cases of conformance through the code that protobuf-ts generates; conformance.py says how.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";
import { GrpcTransport } from "@protobuf-ts/grpc-transport";
import type { JsonValue } from "@protobuf-ts/runtime";
import { MethodInfo, RpcError, RpcMetadata, ServiceInfo, stackIntercept } from "@protobuf-ts/runtime-rpc";
import { BadRequest, ErrorInfo, RetryInfo } from "./gen/google/rpc/error_details";
import { Status } from "./gen/google/rpc/status";
import { BatchProcessorService } from "./gen/holdfast/v1/batch_processor_service";
import { CounterService } from "./gen/holdfast/v1/counter_service";
import { ObjectService } from "./gen/holdfast/v1/object_service";
import { RateLimiterService } from "./gen/holdfast/v1/rate_limiter_service";
import { UserCacheService } from "./gen/holdfast/v1/user_cache_service";

const TIMEOUT_MS = 20_000;
const SERVICES: ServiceInfo[] = [
  BatchProcessorService,
  CounterService,
  ObjectService,
  RateLimiterService,
  UserCacheService,
];
// JSON tells what is in an Any, if it knows the types.
const WRITE = { typeRegistry: [ErrorInfo, BadRequest, RetryInfo] };

interface Step {
  method: string;
  as?: string;
  timeoutMs?: number;
  request?: JsonValue;
  requests?: JsonValue[];
  take?: number;
  save?: Record<string, string>;
}
type Outcome = { reply?: JsonValue; replies?: JsonValue[]; error?: Failure; replayed?: true };
type Failure = { code: string; reason?: string; metadata?: Record<string, string>; fields?: string[]; retry?: true };

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** The transport of a principal: "writer", "reader", "nobody", "flaky" and "flaky-reads". */
function newTransport(who: string): GrpcTransport {
  let channelCredentials: ChannelCredentials = credentials.createSsl(readFileSync(variable("HOLDFAST_CA")));
  if (who !== "nobody") {
    const file = variable(who === "reader" ? "HOLDFAST_READER_TOKEN" : "HOLDFAST_TOKEN");
    const token = readFileSync(file, "utf8").trim();
    const bearer = credentials.createFromMetadataGenerator((_, done) => {
      const metadata = new Metadata();
      metadata.set("authorization", `Bearer ${token}`);
      done(null, metadata);
    });
    channelCredentials = credentials.combineChannelCredentials(channelCredentials, bearer);
  }
  const config = who === "flaky-reads" ? "service_config.json" : "service_config_with_ids.json";
  return new GrpcTransport({
    host: variable(who.startsWith("flaky") ? "HOLDFAST_FLAKY" : "HOLDFAST_ADDRESS"),
    channelCredentials,
    clientOptions: { "grpc.service_config": readFileSync(join(variable("HOLDFAST_CONFIGS"), config), "utf8") },
  });
}

const transports = new Map<string, GrpcTransport>();

function transportOf(who: string): GrpcTransport {
  let transport = transports.get(who);
  if (transport === undefined) transports.set(who, (transport = newTransport(who)));
  return transport;
}

async function run(step: Step): Promise<Outcome> {
  const [serviceName, methodName] = step.method.split("/");
  const service = SERVICES.find((one) => one.typeName === `holdfast.v1.${serviceName}`)!;
  const method = service.methods.find((one) => one.name === methodName)! as MethodInfo<object, object>;
  const transport = transportOf(step.as ?? "writer");
  const cut = new AbortController();
  const options = transport.mergeOptions({ timeout: step.timeoutMs ?? TIMEOUT_MS, abort: cut.signal });
  const make = (value?: JsonValue) => method.I.fromJson(value!);
  const toJson = (reply: object) => method.O.toJson(reply, WRITE);

  if (!method.serverStreaming) {
    try {
      if (!method.clientStreaming) {
        const call = await stackIntercept("unary", transport, method, options, make(step.request));
        const outcome: Outcome = { reply: toJson(call.response) };
        if (call.headers["holdfast-replayed"] === "1") outcome.replayed = true;
        return outcome;
      }
      const call = stackIntercept("clientStreaming", transport, method, options);
      // The server may end the call before it has read all; the response then has the error.
      const sent = (async () => {
        for (const request of step.requests!) await call.requests.send(make(request));
        await call.requests.complete();
      })();
      const [response] = await Promise.all([call.response, sent.catch(() => undefined)]);
      return { reply: toJson(response) };
    } catch (error) {
      return { error: failureOf(error) };
    }
  }
  const replies: JsonValue[] = [];
  try {
    let responses;
    if (method.clientStreaming) {
      const call = stackIntercept("duplex", transport, method, options);
      for (const request of step.requests!) await call.requests.send(make(request));
      await call.requests.complete();
      responses = call.responses;
    } else {
      responses = stackIntercept("serverStreaming", transport, method, options, make(step.request)).responses;
    }
    for await (const reply of responses) {
      replies.push(toJson(reply));
      if (replies.length === step.take) break;
    }
  } catch (error) {
    return { replies, error: failureOf(error) };
  } finally {
    cut.abort();
  }
  return { replies };
}

function detailsOf(meta: RpcMetadata): Status {
  const details = meta["grpc-status-details-bin"];
  return details === undefined ? Status.create() : Status.fromBinary(Buffer.from(details.toString(), "base64"));
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof RpcError)) throw error;
  const failure: Failure = { code: error.code };
  for (const detail of detailsOf(error.meta).details) {
    if (detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) {
      const info = ErrorInfo.fromBinary(detail.value);
      failure.reason = info.reason;
      if (Object.keys(info.metadata).length > 0) failure.metadata = info.metadata;
    } else if (detail.typeUrl.endsWith("/google.rpc.BadRequest")) {
      failure.fields = BadRequest.fromBinary(detail.value).fieldViolations.map((violation) => violation.field);
    } else if (detail.typeUrl.endsWith("/google.rpc.RetryInfo")) {
      failure.retry = true;
    }
  }
  return failure;
}

/** The text at a path as "entries.0.etag". */
function at(value: any, path: string): string {
  return path.split(".").reduce((inner, part) => inner[part], value);
}

async function main() {
  const text = readFileSync(process.argv[2], "utf8").replaceAll("$RUN", variable("HOLDFAST_RUN"));
  for (const one of JSON.parse(text) as { case: string; steps: Step[] }[]) {
    const saved: Record<string, string> = {};
    const outcomes: Outcome[] = [];
    for (const step of one.steps) {
      let filled = JSON.stringify(step);
      for (const [name, value] of Object.entries(saved)) filled = filled.replaceAll("${" + name + "}", value);
      const outcome = await run(JSON.parse(filled));
      outcomes.push(outcome);
      for (const [name, path] of Object.entries(step.save ?? {})) saved[name] = at(outcome.reply ?? outcome.replies, path);
    }
    console.log(JSON.stringify({ case: one.case, outcomes }));
  }
  for (const transport of transports.values()) transport.close();
}

void main();

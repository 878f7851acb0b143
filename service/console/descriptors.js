// The methods of the server with their messages, out of FileDescriptorSets.
//
// Only the fields of descriptor.proto that the forms need are read.

// For each field number of a message: [name, kind, repeated]. A kind that is no text is the table of a message.
const LOCATION = { 1: ["path", "packed"], 3: ["comment", "string"] };
const ENUM = { 1: ["name", "string"], 2: ["values", { 1: ["name", "string"] }, true] };
const FIELD = {
  1: ["name", "string"],
  4: ["label", "int"],
  5: ["type", "int"],
  6: ["typeName", "string"],
  9: ["oneofIndex", "int"],
  10: ["json", "string"],
  17: ["optional", "bool"],
};
const MESSAGE = {
  1: ["name", "string"],
  2: ["fields", FIELD, true],
  4: ["enums", ENUM, true],
  7: ["options", { 7: ["mapEntry", "bool"] }],
  8: ["oneofs", { 1: ["name", "string"] }, true],
};
MESSAGE[3] = ["nested", MESSAGE, true];
const METHOD = {
  1: ["name", "string"],
  2: ["input", "string"],
  3: ["output", "string"],
  4: ["options", { 34: ["idempotency", "int"] }],
  5: ["clientStreaming", "bool"],
  6: ["serverStreaming", "bool"],
};
const FILE = {
  1: ["name", "string"],
  2: ["package", "string"],
  4: ["messages", MESSAGE, true],
  5: ["enums", ENUM, true],
  6: ["services", { 1: ["name", "string"], 2: ["methods", METHOD, true] }, true],
  9: ["source", { 1: ["locations", LOCATION, true] }],
};
const FILES = { 1: ["files", FILE, true] };

const TYPES = {
  1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool", 9: "string",
  11: "message", 12: "bytes", 13: "uint32", 14: "enum", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
};
const CONTRACT = "holdfast.v1";
const REPEATED = 3;
const NO_SIDE_EFFECTS = 1;
const STREAMS_THAT_READ = ["ExportSql", "ExportObject", "WatchPlacement"];
const text = new TextDecoder();

function varint(data, at) {
  let value = 0;
  let factor = 1;
  for (;;) {
    const byte = data[at.place++];
    value += (byte & 127) * factor;
    if (byte < 128) return value;
    factor *= 128;
  }
}

function decode(data, fields) {
  const message = {};
  for (const [name, , repeated] of Object.values(fields)) if (repeated) message[name] = [];
  const at = { place: 0 };
  while (at.place < data.length) {
    const tag = varint(data, at);
    let value;
    if ((tag & 7) === 0) value = varint(data, at);
    else if ((tag & 7) === 2) {
      const size = varint(data, at);
      value = data.subarray(at.place, (at.place += size));
    } else if ((tag & 7) === 1) at.place += 8;
    else at.place += 4;
    const [name, kind, repeated] = fields[tag >>> 3] ?? [];
    if (!name) continue;
    if (kind === "string") value = text.decode(value);
    else if (kind === "bool") value = value !== 0;
    else if (kind === "packed") {
      const part = { place: 0 };
      const all = [];
      while (part.place < value.length) all.push(varint(value, part));
      value = all;
    } else if (typeof kind === "object") value = decode(value, kind);
    if (repeated) message[name].push(value);
    else message[name] = value;
  }
  return message;
}

// The full name of a thing in a package or a message; a file may have no package.
const within = (scope, name) => (scope ? `${scope}.${name}` : name);

// Adds the messages and enums of a file, or of a message, under their full names.
function addTypes(api, scope, messages, enums, path, comments) {
  for (const each of enums) api.enums.set(within(scope, each.name), each.values.map((value) => value.name));
  messages.forEach((message, m) => {
    const name = within(scope, message.name);
    const here = [...path, m];
    const fields = message.fields.map((field, f) => ({
      name: field.json,
      type: TYPES[field.type],
      typeName: (field.typeName ?? "").slice(1),
      repeated: field.label === REPEATED,
      optional: field.optional === true,
      oneof: field.oneofIndex === undefined || field.optional ? undefined : message.oneofs[field.oneofIndex].name,
      comment: comments.get([...here, 2, f].join()) ?? "",
    }));
    api.messages.set(name, { name, fields, map: message.options?.mapEntry === true });
    addTypes(api, name, message.nested, message.enums, [...here, 3], comments);
  });
}

// The text of a comment: each paragraph is one line. Lines that are indented stay, since they are tables.
function textOf(comment) {
  return comment.replace(/^ /gm, "").trim().replace(/([^\n])\n(?=\S)(?!Errors:)/g, "$1 ");
}

// Reads several FileDescriptorSets, which belong together.
export function readDescriptors(sets) {
  const api = { services: [], messages: new Map(), enums: new Map() };
  for (const file of sets.flatMap((data) => decode(data, FILES).files)) {
    const comments = new Map();
    for (const { path = [], comment } of file.source?.locations ?? []) {
      if (comment) comments.set(path.join(), textOf(comment));
    }
    addTypes(api, file.package, file.messages, file.enums, [4], comments);
    file.services.forEach((service, s) => {
      const name = within(file.package, service.name);
      const methods = service.methods.map((method, m) => ({
        name: method.name,
        service: name,
        path: `${name}/${method.name}`,
        input: method.input.slice(1),
        output: method.output.slice(1),
        clientStreaming: method.clientStreaming === true,
        serverStreaming: method.serverStreaming === true,
        // The contract of health checks is not ours and does not say it, nor do streams, which no GET asks for.
        reads:
          method.options?.idempotency === NO_SIDE_EFFECTS ||
          file.package === "grpc.health.v1" ||
          STREAMS_THAT_READ.includes(method.name),
        comment: comments.get([6, s, 2, m].join()) ?? "",
      }));
      // The services of the contract are known by their short names.
      api.services.push({ name, title: file.package === CONTRACT ? service.name : name, methods });
    });
  }
  return api;
}

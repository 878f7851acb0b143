// Forms for messages, out of their descriptors. Each editor is {element, read}: `read` gives the value as Protobuf's JSON
// has it, undefined where nothing is set, and throws an error that names the field.

import { newRequestId } from "./rpc.js";
import { button, field as labelled, h } from "./dom.js";
import { fromHex, toBase64 } from "./format.js";

const INTEGERS = /int|fixed/;
// Types whose JSON is text or a JSON value of its own.
const TEXTS = {
  "google.protobuf.Timestamp": "2030-01-01T00:00:00Z",
  "google.protobuf.Duration": "10s",
  "google.protobuf.FieldMask": "name,email",
};
const JSONS = ["google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Any"];
// Messages whose JSON is that of their one field.
const WRAPPERS = {
  "google.protobuf.DoubleValue": "double",
  "google.protobuf.FloatValue": "float",
  "google.protobuf.Int64Value": "int64",
  "google.protobuf.UInt64Value": "uint64",
  "google.protobuf.Int32Value": "int32",
  "google.protobuf.UInt32Value": "uint32",
  "google.protobuf.BoolValue": "bool",
  "google.protobuf.StringValue": "string",
  "google.protobuf.BytesValue": "bytes",
};
const ITEMS_MAX = 100;

// The value of an editor that must have one.
function needed(editor, name) {
  const value = editor.read();
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function textInput(placeholder, value, name) {
  return h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder, value: value ?? "", "aria-label": name });
}

function jsonEditor(name) {
  const input = h("textarea", { rows: 3, spellcheck: "false", placeholder: "JSON" });
  return {
    element: input,
    read: () => {
      if (input.value.trim() === "") return undefined;
      try {
        return JSON.parse(input.value);
      } catch {
        throw new Error(`${name} is no JSON`);
      }
    },
  };
}

function bytesEditor(name, told) {
  const input = textInput("bytes", "", name);
  const kind = h("select", { "aria-label": `${name} is` }, ["text", "base64", "hex"].map((each) => h("option", {}, each)));
  const read = () => {
    if (input.value === "" && !told) return undefined;
    if (kind.value === "base64") return input.value;
    const data = kind.value === "hex" ? fromHex(input.value) : new TextEncoder().encode(input.value);
    if (!data) throw new Error(`${name} is no hex`);
    return toBase64(data);
  };
  return { element: h("span", { class: "pair" }, input, kind), read };
}

function numberEditor(field) {
  const input = textInput(field.type);
  const read = () => {
    const text = input.value.trim();
    if (text === "") return undefined;
    if (INTEGERS.test(field.type)) {
      if (!/^-?\d+$/.test(text)) throw new Error(`${field.name} is no integer`);
      return /64/.test(field.type) ? text : Number(text);
    }
    if (/^(NaN|-?Infinity)$/.test(text)) return text;
    if (!Number.isFinite(Number(text))) throw new Error(`${field.name} is no number`);
    return Number(text);
  };
  return { element: input, read };
}

function choice(values, name) {
  const input = h("select", { "aria-label": name }, h("option", { value: "" }, "(not set)"), values.map((each) => h("option", {}, each)));
  return { element: input, read: () => input.value || undefined };
}

function boolEditor(field) {
  const editor = choice(["true", "false"], field.name);
  return { element: editor.element, read: () => editor.read() && editor.read() === "true" };
}

function requestIdEditor() {
  const input = textInput("request id", newRequestId(), "requestId");
  const renew = () => (input.value = newRequestId());
  const again = button("New id", () => {
    renew();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return { element: h("span", { class: "pair" }, input, again), read: () => input.value || undefined, renew };
}

function unwrapped(field) {
  const type = WRAPPERS[field.typeName];
  return type ? { ...field, type, typeName: "" } : field;
}

// One value of the field, whether it is repeated or not. `told`: also an empty text is told.
function valueEditor(api, field, initial, told) {
  if (field.type === "message") {
    if (TEXTS[field.typeName] !== undefined) {
      const input = textInput(TEXTS[field.typeName], initial);
      return { element: input, read: () => input.value.trim() || undefined };
    }
    if (JSONS.includes(field.typeName) || api.messages.get(field.typeName)?.map) return jsonEditor(field.name);
    return messageEditor(api, field.typeName, initial);
  }
  if (field.type === "enum") return choice(api.enums.get(field.typeName) ?? [], field.name);
  if (field.type === "bool") return boolEditor(field);
  if (field.type === "bytes") return bytesEditor(field.name, told);
  if (field.type !== "string") return numberEditor(field);
  if (field.name === "requestId") return requestIdEditor();
  const input = textInput("text", initial);
  return { element: input, read: () => (input.value === "" && !told ? undefined : input.value) };
}

// A value that is made when it is asked for: messages may contain themselves.
function laterEditor(make, name) {
  let editor;
  const element = h("div", { class: "later" });
  const changed = () => element.dispatchEvent(new Event("input", { bubbles: true }));
  const reset = () => {
    editor = undefined;
    element.replaceChildren(button("Set", set, { "aria-label": `Set ${name}` }));
  };
  const set = () => {
    editor = make();
    element.replaceChildren(editor.element, button("Leave out", () => (reset(), changed()), { "aria-label": `Leave out ${name}` }));
    changed();
  };
  reset();
  return { element, read: () => editor?.read() };
}

function listEditor(make, name) {
  const items = [];
  const list = h("ol");
  const element = h("div", {}, list);
  const changed = () => element.dispatchEvent(new Event("input", { bubbles: true }));
  const add = button(
    "Add",
    () => {
      if (items.length === ITEMS_MAX) return;
      const item = make();
      items.push(item);
      const line = h("li", {}, item.element, button("Remove", () => {
        items.splice(items.indexOf(item), 1);
        line.remove();
        changed();
      }));
      list.append(line);
      changed();
    },
    { "aria-label": `Add to ${name}` },
  );
  element.append(add);
  return { element, read: () => (items.length ? items.map((item) => needed(item, name)) : undefined) };
}

function fieldEditor(api, field, initial) {
  const message = field.type === "message" && TEXTS[field.typeName] === undefined && !JSONS.includes(field.typeName);
  if (field.repeated && api.messages.get(field.typeName)?.map) return jsonEditor(field.name);
  if (field.repeated) return listEditor(() => valueEditor(api, field, undefined, true), field.name);
  if (message && field.name !== "object") return laterEditor(() => valueEditor(api, field), field.name);
  return valueEditor(api, field, initial, false);
}

function oneofEditor(api, name, fields) {
  const chosen = h("select", { "aria-label": name }, h("option", { value: "" }, "(none)"), fields.map((field) => h("option", {}, field.name)));
  const place = h("div");
  let editor;
  chosen.addEventListener("change", () => {
    const field = fields.find((each) => each.name === chosen.value);
    editor = field && valueEditor(api, field, undefined, true);
    place.replaceChildren(...(field ? [h("small", {}, field.comment), editor.element] : []));
  });
  const read = () => (editor ? { [chosen.value]: needed(editor, chosen.value) } : {});
  return { element: h("div", {}, chosen, place), read };
}

// `initial` are values of fields that are known, such as {object: {name: "a"}}.
export function messageEditor(api, type, initial = {}) {
  const fields = api.messages.get(type).fields.map(unwrapped);
  const parts = []; // functions that add to the message
  const element = h("fieldset");
  const renews = [];
  const done = new Set();
  for (const field of fields) {
    if (field.oneof) {
      if (done.has(field.oneof)) continue;
      done.add(field.oneof);
      const editor = oneofEditor(api, field.oneof, fields.filter((each) => each.oneof === field.oneof));
      parts.push((message) => Object.assign(message, editor.read()));
      element.append(labelledEditor(`one of: ${field.oneof}`, editor.element, ""));
      continue;
    }
    const editor = fieldEditor(api, field, initial[field.name]);
    if (editor.renew) renews.push(editor.renew);
    parts.push((message) => {
      const value = editor.read();
      if (value !== undefined) message[field.name] = value;
    });
    element.append(labelledEditor(field.name, editor.element, field.comment));
  }
  if (fields.length === 0) element.append(h("p", { class: "quiet" }, "The request has no fields."));
  const read = () => {
    const message = {};
    for (const part of parts) part(message);
    return message;
  };
  return { element, read, renew: () => renews.forEach((renew) => renew()) };
}

function labelledEditor(name, element, comment) {
  if (element.matches("input, select, textarea")) return labelled(name, element, comment);
  return h("div", { class: "field", role: "group", "aria-label": name }, h("span", {}, name), element, comment && h("small", {}, comment));
}

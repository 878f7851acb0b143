// Every method, with a form for its request and the lines for grpcurl and curl that do the same.

import { call, object, readFile, stream, token } from "./rpc.js";
import { button, confirmChange, copyButton, errorBox, field, h } from "./dom.js";
import { prettyJson } from "./format.js";
import { messageEditor } from "./forms.js";
import { readDescriptors } from "./descriptors.js";

const GRPC_ADDRESS = "holdfast.grpc";
const REPLIES_SHOWN_MAX = 200;
const ADMIN_SERVICE = "holdfast.v1.AdminService";
const ADMIN_METHODS = ["ImportObject"];

// The descriptors, which do not change while the server runs. Who may ask for all of them is who may use the page.
let loaded;
async function descriptors() {
  loaded ??= Promise.all([readFile("/console/api.binpb"), readFile("/console/services.binpb")]).then(readDescriptors);
  return loaded.catch((error) => {
    loaded = undefined;
    throw error;
  });
}

// Text as one word of a shell.
const quote = (text) => `'${text.replace(/'/g, "'\\''")}'`;

function grpcurlLine(method, json, address) {
  const words = ["grpcurl"];
  if (location.protocol === "http:") words.push("-plaintext");
  if (token.get()) words.push(`-H "authorization: Bearer $HOLDFAST_TOKEN"`);
  words.push("-d", quote(json), address, method.path);
  return words.join(" ");
}

function curlLine(method, json) {
  const url = `${location.origin}/${method.path}`;
  const authorization = token.get() ? ` -H "authorization: Bearer $HOLDFAST_TOKEN"` : "";
  if (!method.serverStreaming) return `curl -H 'content-type: application/json'${authorization} -d ${quote(json)} ${url}`;
  // A message of a stream has five bytes before it: no flags, and its length.
  const size = new TextEncoder().encode(json).length;
  const prefix = [0, size >>> 24, size >>> 16, size >>> 8, size]
    .map((byte) => `\\${(byte & 255).toString(8).padStart(3, "0")}`)
    .join("");
  return (
    `printf '${prefix}%s' ${quote(json)} | curl -N -H 'content-type: application/connect+json'${authorization} ` +
    `--data-binary @- --output - ${url}`
  );
}

// Returns whether the caller may call the method on the object of the request, by the server's rules. Where these name
// no such class or namespace, the server itself answers.
async function allowed(method, request, rights, signal) {
  if (method.service === ADMIN_SERVICE) return rights.adminOfServer === true;
  if (method.reads) return true;
  const implied = method.service.split(".").pop().replace(/Service$/, "");
  const id = request.object ?? request.header?.object ?? { namespace: request.namespace };
  try {
    const its = await object(
      "GetRights",
      { namespace: id.namespace, objectClass: implied === "Object" ? id.objectClass : implied },
      signal,
    );
    return (ADMIN_METHODS.includes(method.name) ? its.admin : its.write) === true;
  } catch (error) {
    return error.code === "invalid_argument";
  }
}

function methodPanel(api, method, initial, rights, signal) {
  const form = messageEditor(api, method.input, initial);
  const json = h("textarea", { rows: 8, spellcheck: "false" });
  const failed = h("div");
  const reply = h("div", { class: "reply" });
  const address = h("input", {
    type: "text",
    value: localStorage.getItem(GRPC_ADDRESS) ?? `${location.hostname}:50051`,
    spellcheck: "false",
  });
  const grpcurl = h("pre", { class: "line" });
  const curl = h("pre", { class: "line" });
  const send = button("Send", () => run(), { class: "primary", title: "Ctrl+Enter", hidden: true });
  const refused = h("span", { class: "quiet" });
  const stop = button("Stop", () => stopping?.abort(), { hidden: true });
  let stopping;
  let asked = 0;

  const request = () => {
    try {
      return JSON.parse(json.value);
    } catch {
      throw new Error("The request is no JSON");
    }
  };
  // Shows the request in the lines, and Send only to those who may.
  async function told() {
    failed.replaceChildren();
    const mine = ++asked;
    let body;
    try {
      body = request();
    } catch (error) {
      send.hidden = true;
      return failed.replaceChildren(errorBox(error));
    }
    const oneLine = JSON.stringify(body);
    grpcurl.textContent = grpcurlLine(method, oneLine, address.value);
    curl.textContent = method.clientStreaming ? "" : curlLine(method, oneLine);
    if (method.clientStreaming) return;
    const may = await allowed(method, body, rights, signal);
    if (mine !== asked) return;
    send.hidden = !may;
    refused.textContent = may ? "" : "You have no right to this.";
  }
  function fromForm() {
    try {
      json.value = prettyJson(form.read());
      told();
    } catch (error) {
      send.hidden = true;
      failed.replaceChildren(errorBox(error));
    }
  }
  let typed;
  const soon = (work) => () => {
    clearTimeout(typed);
    typed = setTimeout(work, 100);
  };
  form.element.addEventListener("input", soon(fromForm));
  form.element.addEventListener("change", soon(fromForm));
  json.addEventListener("input", soon(told));
  address.addEventListener("input", () => {
    localStorage.setItem(GRPC_ADDRESS, address.value);
    told();
  });

  async function answer(body) {
    const began = performance.now();
    const lines = [];
    const show = (head) => reply.replaceChildren(h("p", { class: "quiet", role: "status" }, head), h("pre", {}, lines.join("\n")));
    const took = () => `${Math.round(performance.now() - began)} ms`;
    if (!method.serverStreaming) {
      lines.push(prettyJson(await call(method.path, body, signal)));
      return show(`OK, ${took()}`);
    }
    stopping = new AbortController();
    signal.addEventListener("abort", () => stopping.abort());
    stop.hidden = false;
    let replies = 0;
    try {
      for await (const each of stream(method.path, body, stopping.signal)) {
        if (++replies <= REPLIES_SHOWN_MAX) lines.push(prettyJson(each));
        show(`${replies} replies ...`);
      }
      show(`OK, ${replies} replies, ${took()}`);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      show(`Stopped after ${replies} replies`);
    } finally {
      stop.hidden = true;
    }
  }
  async function run() {
    let body;
    reply.replaceChildren(h("p", { class: "quiet" }, "calling ..."));
    try {
      body = request();
      if (method.reads) {
        await answer(body);
      } else {
        const what = h("div", {}, h("p", {}, h("b", {}, method.path)), h("pre", {}, prettyJson(body)));
        // A stream may have no end, so the dialog does not wait for it.
        const act = method.serverStreaming ? async () => {} : () => answer(body);
        if (!(await confirmChange("Send the request?", what, "Send", act))) return reply.replaceChildren();
        if (method.serverStreaming) await answer(body);
        form.renew();
        fromForm();
      }
    } catch (error) {
      if (!signal.aborted) reply.replaceChildren(errorBox(error));
    }
  }

  const panel = h(
    "section",
    { class: "method", tabindex: "-1" },
    h("h2", {}, method.path),
    h("p", { class: "comment" }, method.comment),
    form.element,
    field("Request", json),
    failed,
    h(
      "div",
      { class: "actions" },
      method.clientStreaming
        ? h("span", { class: "quiet" }, "The method takes a stream of requests, which HTTP can't send: use grpcurl.")
        : [send, stop, refused],
    ),
    reply,
    h("h3", {}, "grpcurl ", copyButton(() => grpcurl.textContent)),
    field("Address of the gRPC port", address),
    grpcurl,
    !method.clientStreaming && h("h3", {}, "curl ", copyButton(() => curl.textContent)),
    !method.clientStreaming && curl,
    token.get() ? h("p", { class: "quiet" }, "Put the token into $HOLDFAST_TOKEN.") : "",
  );
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !send.hidden) run();
  });
  fromForm();
  return panel;
}

export async function tryScreen(content, params, signal, rights) {
  const api = await descriptors();
  const methods = api.services.flatMap((service) => service.methods);
  const search = h("input", { type: "search", autocomplete: "off", spellcheck: "false", placeholder: "Method" });
  const list = h("div", { class: "methods" });
  const shown = h("div");
  let leave = new AbortController();
  signal.addEventListener("abort", () => leave.abort());
  const initial = params.get("name") ? { object: { namespace: params.get("ns") ?? "", name: params.get("name") } } : {};

  // `byUser`: the method was chosen from the list, which stays where it is; its form comes to the screen.
  function open(method, byUser = false) {
    leave.abort();
    leave = new AbortController();
    params.set("method", method.path);
    history.replaceState(null, "", `#/try?${params}`);
    for (const each of list.querySelectorAll("button")) each.setAttribute("aria-pressed", each.dataset.method === method.path);
    const panel = methodPanel(api, method, initial, rights, leave.signal);
    shown.replaceChildren(panel);
    if (!byUser) return;
    panel.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }
  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const chosen = params.get("method");
    list.replaceChildren(
      ...api.services.map((service) => {
        const found = service.methods.filter((method) => method.path.toLowerCase().includes(wanted));
        return found.length === 0
          ? ""
          : h(
              "div",
              {},
              h("h3", {}, service.title),
              found.map((method) =>
                button(method.name, () => open(method, true), {
                  class: "link",
                  "data-row": true,
                  "data-method": method.path,
                  "aria-pressed": String(method.path === chosen),
                }),
              ),
            );
      }),
    );
  }
  search.addEventListener("input", draw);
  content.append(h("h1", {}, "Try it"), h("div", { class: "split left" }, h("div", { class: "choice" }, search, list), shown));
  const method = methods.find((each) => each.path === params.get("method")) ?? methods[0];
  params.set("method", method.path);
  draw();
  open(method);
  const chosen = list.querySelector("[aria-pressed=true]");
  // Only the list moves, not the page.
  list.scrollTop = Math.max(0, chosen.offsetTop - list.offsetTop - list.clientHeight / 2);
}

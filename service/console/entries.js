// The keys of an object: a list page by page, and one entry as text, JSON or hex, to read and to change.
//
// A change says which value it replaces (its etag), so that what another client wrote meanwhile is not overwritten.

import { object } from "./rpc.js";
import { button, copyButton, download, errorBox, field, h } from "./dom.js";
import { bytes, fromBase64, fromHex, hexDump, prettyJson, toBase64, toHex, toText, visible } from "./format.js";
import { changeObject } from "./change.js";
import { pager } from "./pager.js";

const COLUMNS = [["Key"], ["Size", "number"], ["Value"]];
const PREVIEW_CHARS = 120;
// The page gets slow with more; the whole value can be saved as a file.
const SHOWN_BYTES_MAX = 256 * 1024;

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function preview(data) {
  const text = toText(data.subarray(0, 4 * PREVIEW_CHARS)) ?? toText(data);
  const shown = text === undefined ? toHex(data.subarray(0, PREVIEW_CHARS / 2)) : visible(text.slice(0, PREVIEW_CHARS));
  return h("code", { class: text === undefined ? "hex" : "" }, shown);
}

// How a value can be looked at: [title, text of the bytes or undefined, bytes of the text or undefined].
const VIEWS = {
  text: ["Text", toText, (text) => new TextEncoder().encode(text)],
  json: [
    "JSON",
    (data) => {
      const value = parseJson(toText(data) ?? "");
      return value === undefined ? undefined : prettyJson(value);
    },
    (text) => (parseJson(text) === undefined ? undefined : new TextEncoder().encode(text)),
  ],
  hex: ["Hex", hexDump, fromHex],
};

// Integers that a double does not hold would be changed by a detour over JSON.parse.
function bestView(data) {
  const text = toText(data);
  if (text === undefined) return "hex";
  return /^\s*[{[]/.test(text) && parseJson(text) !== undefined && !/\d{16}/.test(text) ? "json" : "text";
}

function showEntry({ id, canEdit, reload, show, close }, entry) {
  const data = fromBase64(entry.value);
  const cut = data.subarray(0, SHOWN_BYTES_MAX);
  const body = h("div");
  const tabs = h("div", { class: "tabs" });

  function view(name) {
    const [, show] = VIEWS[name];
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", tab.dataset.view === name);
    const text = show(name === "json" ? data : cut);
    body.replaceChildren(
      text === undefined ? h("p", { class: "quiet" }, "The value is none.") : h("pre", { class: "value" }, text.slice(0, 4 * SHOWN_BYTES_MAX)),
      cut.length < data.length ? h("p", { class: "quiet" }, `The first ${bytes(cut.length)} of ${bytes(data.length)}`) : "",
    );
  }
  tabs.append(
    ...Object.entries(VIEWS).map(([name, [title]]) =>
      h("button", { type: "button", "data-view": name, onclick: () => view(name) }, title),
    ),
  );
  view(bestView(data));

  const remove = async () => {
    const request = { preconditions: [{ etagEquals: { key: entry.key, etag: entry.etag } }], steps: [{ deleteKey: entry.key }] };
    const what = h("p", {}, "The key ", h("code", {}, visible(entry.key)), ` with its value of ${bytes(data.length)} is deleted.`);
    if (await changeObject(id, "Delete the key?", what, "Delete", "ApplyBatch", request)) reload();
  };
  const element = h(
    "section",
    { class: "entry", tabindex: "-1", "aria-label": "Entry" },
    h("h2", {}, h("code", {}, visible(entry.key))),
    h("p", { class: "quiet" }, `${bytes(data.length)}, etag ${entry.etag}`),
    tabs,
    body,
    h(
      "div",
      { class: "actions" },
      canEdit && data.length <= SHOWN_BYTES_MAX && button("Edit", () => show(editEntry({ id, reload, close }, entry))),
      canEdit && button("Delete", remove, { class: "danger" }),
      copyButton(() => toText(data) ?? toHex(data), "Copy the value"),
      button("Save as a file", () => download("value", [data])),
      button("Close", close, { title: "Esc" }),
    ),
  );
  return element;
}

// The form for a new entry, or for the value of one that is there.
function editEntry({ id, reload, close }, entry) {
  const before = fromBase64(entry?.value);
  const name = h("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", value: entry?.key ?? "", disabled: !!entry });
  const text = h("textarea", { rows: 12, spellcheck: "false" });
  const failed = h("div");
  let as = "text";
  const parse = () => VIEWS[as][2](text.value);
  const write = (data) => (as === "hex" ? toHex(data).replace(/(.{2})/g, "$1 ").replace(/(.{48})/g, "$1\n").trim() : VIEWS[as][1](data));

  const views = h("select", {
    "aria-label": "The value is",
    onchange: () => {
      const data = parse();
      const old = as;
      as = views.value;
      const shown = data && write(data);
      if (shown === undefined) {
        failed.replaceChildren(errorBox(new Error(`The value is no ${VIEWS[data ? as : old][0]}`)));
        as = views.value = old;
      } else {
        failed.replaceChildren();
        text.value = shown;
      }
    },
  }, Object.entries(VIEWS).map(([value, [title]]) => h("option", { value }, title)));
  as = entry ? bestView(before) : "text";
  views.value = as;
  text.value = write(before);

  const save = async (event) => {
    event.preventDefault();
    const data = parse();
    if (data === undefined) return failed.replaceChildren(errorBox(new Error(`The value is no ${VIEWS[as][0]}`)));
    failed.replaceChildren();
    const put = { key: name.value, value: toBase64(data) };
    const condition = entry ? { etagEquals: { key: entry.key, etag: entry.etag } } : { keyAbsent: name.value };
    const what = h(
      "p",
      {},
      "The key ",
      h("code", {}, visible(name.value)),
      entry ? ` gets a value of ${bytes(data.length)} in place of one of ${bytes(before.length)}.` : ` is created with ${bytes(data.length)}.`,
    );
    const request = { preconditions: [condition], steps: [{ put }] };
    if (await changeObject(id, entry ? "Change the value?" : "Create the key?", what, "Save", "ApplyBatch", request)) reload();
  };
  const element = h(
    "form",
    { class: "entry", tabindex: "-1", onsubmit: save, "aria-label": "Edit the entry" },
    h("h2", {}, entry ? "Edit" : "New key"),
    field("Key", name),
    field("Value as", views),
    field("Value", text),
    failed,
    h("div", { class: "actions" }, h("button", { class: "primary" }, "Save"), button("Cancel", close, { title: "Esc" })),
  );
  return element;
}

export async function entriesTab(content, { id, canEdit, signal }) {
  const prefix = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const start = h("input", { type: "text", autocomplete: "off", spellcheck: "false" });
  const side = h("div", { class: "side" });
  const list = pager({
    columns: COLUMNS,
    read: async (pageToken) => {
      const request = { object: id, pageSize: 100, pageToken, prefix: prefix.value };
      if (start.value) request.start = start.value;
      const page = await object("ListEntries", request, signal);
      return { items: page.entries ?? [], next: page.nextPageToken };
    },
    cells: (entry) => {
      const data = fromBase64(entry.value);
      const open = button(visible(entry.key), () => openEntry(entry), { class: "link", "data-row": true });
      return [open, bytes(data.length), preview(data)];
    },
    empty: "There are no such keys.",
  });
  let opener; // has the focus again when the entry is closed
  function show(element) {
    if (!side.contains(document.activeElement)) opener = document.activeElement;
    side.replaceChildren(element);
    // Beside the list the entry is on the screen already; below it, it comes there.
    (element.querySelector("input:not(:disabled), textarea") ?? element).focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  }
  function close() {
    side.replaceChildren();
    if (opener?.isConnected) opener.focus();
  }
  side.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.target.matches("input, textarea, select")) close();
  });
  const reload = () => {
    side.replaceChildren();
    list.again();
  };
  function openEntry(entry) {
    show(showEntry({ id, canEdit, reload, show, close }, entry));
  }
  let typed;
  for (const input of [prefix, start]) {
    input.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(() => list.first(), 150);
    });
  }
  content.append(
    h(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault() },
      field("Key begins with", prefix),
      field("From the key", start),
      canEdit && button("New key", () => show(editEntry({ id, reload, close }))),
    ),
    h("div", { class: "split" }, list.element, side),
  );
  await list.first();
}

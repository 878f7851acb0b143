// One object: what it is, its keys, its SQL database, its alarm, and what can be done with it.

import { call, object, stream } from "./rpc.js";
import { button, download, errorBox, h, notice, row, table } from "./dom.js";
import { bytes, count, fromBase64, prettyJson, time, visible } from "./format.js";
import { alarmTab } from "./alarm.js";
import { alarmText } from "./objects.js";
import { changeObject } from "./change.js";
import { entriesTab } from "./entries.js";
import { sqlTab } from "./sql.js";

// An export is put together in memory; the tool writes larger ones.
const EXPORT_BYTES_MAX = 256 * 1024 * 1024;
// The read that shows an object of a built-in class.
const CLASS_READS = {
  Counter: "holdfast.v1.CounterService/GetValue",
  BatchProcessor: "holdfast.v1.BatchProcessorService/GetBatchStatus",
  UserCache: "holdfast.v1.UserCacheService/ListUsers",
};
const STATES = { INACTIVE: "not in memory", LOADING: "is being loaded", ACTIVE: "in memory", PASSIVATING: "is being unloaded", BROKEN: "broken" };

function facts(description) {
  const { summary = {} } = description;
  const state = (description.activationState ?? "").replace("ACTIVATION_STATE_", "");
  return [
    ["Size", bytes(summary.sizeBytes)],
    ["Keys", count(description.keyCount)],
    ["Last change", time(summary.updateTime)],
    ["Created", time(summary.createTime)],
    ["Alarm", alarmText(description) || "none"],
    ["State", STATES[state] ?? ""],
    ["Requests that wait", count(description.mailboxDepth)],
    ["Storage", description.placement === "PLACEMENT_OWN_COLUMN_FAMILY" ? "a column family of its own" : "packed with others"],
    ["Shard", count(description.shard)],
    ...(Number(description.schemaVersion ?? 0) > 0 ? [["Version of its records", count(description.schemaVersion)]] : []),
  ];
}

async function exportTo(id, method, suffix, status, signal) {
  const parts = [];
  let size = 0;
  for await (const { chunk } of stream(`holdfast.v1.ObjectService/${method}`, { object: id }, signal)) {
    const part = fromBase64(chunk);
    size += part.length;
    if (size > EXPORT_BYTES_MAX) {
      throw new Error(`The file is over ${bytes(EXPORT_BYTES_MAX)}; the tool exports it: holdfast object export`);
    }
    parts.push(part);
    status.textContent = `${bytes(size)} ...`;
  }
  download(`${id.name.replace(/[^\w.-]+/g, "_").slice(0, 80)}.${suffix}`, parts);
  status.textContent = `${bytes(size)} exported`;
}

async function summaryTab(content, { id, description, rights, reload, signal }) {
  const status = h("span", { class: "quiet", role: "status" });
  const exporter = (label, method, suffix) =>
    button(label, () =>
      exportTo(id, method, suffix, status, signal).catch((error) => status.replaceChildren(errorBox(error))),
    );
  const change = async (title, text, label, method, request = {}) => {
    if (await changeObject(id, title, h("p", {}, text), label, method, request)) reload();
  };
  const shown = facts(description).filter(([, value]) => value);
  content.append(h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  const actions = h(
    "div",
    { class: "actions" },
    exporter("Export the object", "ExportObject", "holdfast"),
    id.objectClass === "Object" && exporter("Export the database", "ExportSql", "sqlite"),
    rights.write &&
      button("Unload from memory", async () => {
        try {
          await object("PassivateObject", { object: id }, signal);
          notice("Unloaded");
          reload();
        } catch (error) {
          status.replaceChildren(errorBox(error));
        }
      }),
    rights.write &&
      button(
        "Delete everything",
        () =>
          change(
            "Delete everything in the object?",
            "Its keys, its SQL database and its alarm are deleted. Nothing brings them back but a backup.",
            "Delete",
            "DeleteAll",
          ),
        { class: "danger" },
      ),
    status,
  );
  if (description.exists) content.append(actions);
  const read = CLASS_READS[id.objectClass];
  if (!read) return;
  const reply = await call(read, { object: { namespace: id.namespace, name: id.name } }, signal);
  const methods = `#/try?${new URLSearchParams({ method: read, ns: id.namespace, name: id.name })}`;
  content.append(
    h("h2", {}, read.split("/")[1]),
    h("pre", {}, prettyJson(reply)),
    h("p", {}, h("a", { href: methods }, "Call its methods")),
  );
  if (!description.tables) return;
  const columns = [["Records of the class"], ["Rows", "number"]];
  content.append(table(columns, description.tables.map((each) => row([each.name, count(each.rowCount)], columns))));
}

const TABS = [
  ["summary", "Summary", summaryTab],
  ["keys", "Keys", entriesTab],
  ["sql", "SQL", sqlTab],
  ["alarm", "Alarm", alarmTab],
];

export async function objectScreen(content, params, signal) {
  const id = {
    namespace: params.get("ns") ?? "default",
    objectClass: params.get("class") ?? "Object",
    name: params.get("name") ?? "",
  };
  const [description, rights] = await Promise.all([
    object("DescribeObject", { object: id }, signal),
    object("GetRights", { namespace: id.namespace, objectClass: id.objectClass }, signal),
  ]);
  // The objects of built-in classes are changed by their services alone, and SQL is for class Object.
  const own = id.objectClass === "Object";
  const tabs = TABS.filter(([name]) => own || name !== "sql");
  const shown = h("section", { role: "tabpanel" });
  const list = h("div", { role: "tablist", class: "tabs" });
  let leave = new AbortController();
  signal.addEventListener("abort", () => leave.abort());

  async function open(name) {
    leave.abort();
    leave = new AbortController();
    const mine = leave.signal;
    params.set("tab", name);
    history.replaceState(null, "", `#/object?${params}`);
    for (const tab of list.children) {
      const selected = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
    }
    const panel = h("div");
    shown.replaceChildren(panel);
    const [, , show] = tabs.find(([each]) => each === name);
    const reload = () => {
      content.replaceChildren();
      objectScreen(content, params, signal).catch((error) => content.append(errorBox(error)));
    };
    try {
      await show(panel, { id, description, rights, canEdit: own && rights.write === true, reload, signal: mine });
    } catch (error) {
      if (!mine.aborted) panel.append(errorBox(error));
    }
  }

  list.append(
    ...tabs.map(([name, title]) =>
      h("button", { type: "button", role: "tab", "data-tab": name, onclick: () => open(name) }, title),
    ),
  );
  list.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const at = [...list.children].indexOf(document.activeElement) + step;
    list.children[(at + tabs.length) % tabs.length].focus();
    document.activeElement.click();
  });
  content.append(
    h(
      "p",
      { class: "trail" },
      h("a", { href: `#/objects?${new URLSearchParams({ ns: id.namespace, class: id.objectClass })}` }, `Objects in ${id.namespace}`),
    ),
    h("h1", {}, visible(id.name), " ", h("small", {}, id.objectClass)),
    description.exists ? "" : h("p", { class: "quiet" }, "The object stores nothing. It needs no creation: its first write makes it."),
    list,
    shown,
  );
  const wanted = params.get("tab");
  await open(tabs.some(([name]) => name === wanted) ? wanted : "summary");
}

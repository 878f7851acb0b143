// The objects of a namespace, by class and by the beginning of their names.

import { admin, object, queue } from "./rpc.js";
import { field, h, suggestingInput } from "./dom.js";
import { bytes, distance, time } from "./format.js";
import { objectLink, objectPlace } from "./links.js";
import { pager } from "./pager.js";

const CLASSES = ["Object", "Counter", "RateLimiter", "BatchProcessor", "UserCache"];
const COLUMNS = [["Name"], ["Class", "words"], ["Size", "number"], ["Last change", "time"], ["Created", "time"], ["Alarm", "state"]];
const NAMESPACES = "holdfast.namespaces";
const REMEMBERED_MAX = 20;
// Descriptions of rows that are asked for at a time. They come after the list, which does not wait for them.
const DESCRIPTIONS = 4;

// The namespaces of the server as suggestions: they are asked for once in a while, since the server counts their objects.
const KNOWN_MS = 60_000;
const known = { at: 0, names: Promise.resolve([]) };

// The namespaces that were looked at in this browser, the last one first.
function remembered(add) {
  const all = JSON.parse(localStorage.getItem(NAMESPACES) ?? "[]");
  if (!add) return all;
  const now = [add, ...all.filter((each) => each !== add)].slice(0, REMEMBERED_MAX);
  localStorage.setItem(NAMESPACES, JSON.stringify(now));
  return now;
}

// The alarm of a description in few words.
export function alarmText(description, now = Date.now()) {
  const { alarm, alarmDelivery: delivery } = description;
  const retry = (of) => (of.retryCount ? `, attempt ${of.retryCount + 1}` : "");
  if (delivery) return `out until ${time(delivery.leaseExpireTime)}${retry(delivery)}`;
  if (!alarm) return "";
  const due = new Date(alarm.dueTime).getTime();
  return `${due < now ? "due " : ""}${distance(alarm.dueTime, now)}${retry(alarm)}`;
}

export async function objectsScreen(content, params, signal, rights) {
  const namespace = suggestingInput({ value: params.get("ns") ?? "default", placeholder: "default" }, remembered());
  const objectClass = suggestingInput({ value: params.get("class") ?? "", placeholder: "all" }, CLASSES);
  const prefix = h("input", { type: "text", value: params.get("prefix") ?? "", autocomplete: "off", spellcheck: "false" });
  const jump = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: "whole name" });
  const cellOf = new WeakMap(); // from a row to its object

  const describe = queue(
    DESCRIPTIONS,
    async ({ id, cell }) => {
      if (!cell.isConnected) return;
      try {
        cell.textContent = alarmText(await object("DescribeObject", { object: id }, signal));
      } catch (error) {
        if (signal.aborted) return;
        cell.textContent = "?";
        cell.title = error.message;
      }
    },
    signal,
  );
  // Only rows that are on the screen are described.
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      describe({ id: cellOf.get(target), cell: target.lastElementChild });
    }
  });
  signal.addEventListener("abort", () => seen.disconnect());

  const list = pager({
    columns: COLUMNS,
    read: async (pageToken) => {
      const request = {
        namespace: namespace.input.value.trim(),
        objectClass: objectClass.input.value.trim(),
        namePrefix: prefix.value,
        pageSize: 100,
        pageToken,
      };
      const page = await object("ListObjects", request, signal);
      return { items: page.objects ?? [], next: page.nextPageToken };
    },
    cells: (each) => [
      objectLink(each.object),
      each.object.objectClass,
      bytes(each.sizeBytes),
      time(each.updateTime),
      time(each.createTime),
      "",
    ],
    empty: "There are no such objects.",
    filled: (items, rows) => {
      if (items.length) remembered(items[0].object.namespace);
      seen.disconnect();
      rows.forEach((element, i) => {
        cellOf.set(element, items[i].object);
        seen.observe(element);
      });
    },
  });

  let typed;
  const changed = () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      const now = { ns: namespace.input.value.trim() || "default" };
      if (objectClass.input.value) now.class = objectClass.input.value.trim();
      if (prefix.value) now.prefix = prefix.value;
      // The place changes without a new screen, so that the focus stays.
      history.replaceState(null, "", `#/objects?${new URLSearchParams(now)}`);
      list.first();
    }, 150);
  };
  for (const input of [namespace.input, objectClass.input, prefix]) input.addEventListener("input", changed);

  content.append(
    h("h1", {}, "Objects"),
    h(
      "form",
      {
        class: "filters",
        onsubmit: (event) => {
          event.preventDefault();
          if (!jump.value) return list.first();
          location.hash = objectPlace({
            namespace: namespace.input.value.trim() || "default",
            objectClass: objectClass.input.value.trim() || "Object",
            name: jump.value,
          });
        },
      },
      field("Name begins with", prefix),
      field("Namespace", namespace.input),
      field("Class", objectClass.input),
      field("Go to the object", jump),
      h("button", {}, "Go"),
      namespace.list,
      objectClass.list,
    ),
    list.element,
  );
  await list.first();
  if (!rights.adminOfServer) return;
  if (Date.now() - known.at > KNOWN_MS) {
    known.at = Date.now();
    known.names = admin("ListNamespaces", { pageSize: 1000 }).then(
      ({ namespaces = [] }) => namespaces.map((each) => each.namespace),
      () => [],
    );
  }
  namespace.suggest([...new Set([...remembered(), ...(await known.names)])]);
}

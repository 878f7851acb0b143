// How the server is: rates, times, memory, disk and the busiest objects, drawn anew every few seconds.

import { admin } from "./rpc.js";
import { chart } from "./chart.js";
import { errorBox, h, row, select, table } from "./dom.js";
import { bytes, count, duration, rate, seconds } from "./format.js";
import { objectLink } from "./links.js";
import { pager } from "./pager.js";
import { redraw } from "./redraw.js";

// The most calls of ListNamespaces for one page of namespaces.
const CALLS_MAX = 20;
const HOT = [["Object"], ["Class", "words"], ["Namespace"], ["Requests", "number"], ["Time", "number"], ["Written", "number"]];

function tile(label) {
  const value = h("strong", {}, "-");
  const note = h("small", {}, "");
  return {
    element: h("div", { class: "tile" }, h("span", {}, label), value, note),
    set: (text, more = "", bad = false) => {
      value.textContent = text;
      value.classList.toggle("bad", bad);
      note.textContent = more;
    },
  };
}

function memoryTable(status) {
  const columns = [["Memory"], ["Bytes", "number"], ["Bound", "number"]];
  const rows = (status.memory ?? []).map((use) =>
    row([use.owner, bytes(use.bytes), use.bytesMax ? bytes(use.bytesMax) : ""], columns),
  );
  return table(columns, rows);
}

function executorTable(status) {
  const columns = [
    ["Executor", "number"],
    ["Processor time", "number"],
    ["Objects in memory", "number"],
    ["Their bytes", "number"],
    ["Waits for a commit", "number"],
    ["SQL waits", "number"],
  ];
  const rows = (status.executors ?? []).map((executor) =>
    row(
      executor.unresponsive
        ? [executor.number ?? 0, "does not answer"]
        : [
            executor.number ?? 0,
            duration(seconds(executor.cpuTime)),
            count(executor.activeObjects),
            bytes(executor.activeObjectBytes),
            bytes(executor.pendingCommitBytes),
            count(executor.sqlWaiting),
          ],
      columns,
    ),
  );
  return table(columns, rows);
}

function nodeTable(status) {
  if (!status.otherNodes) return "";
  const columns = [["Other node"], ["State"], ["Calls", "number"], ["Memory", "number"]];
  const rows = status.otherNodes.map(({ node, error, status: its = {} }) =>
    row(
      [
        node,
        error ?? (its.draining ? "draining" : "serving"),
        count(its.calls?.inProgress),
        bytes(its.memory?.find((use) => use.owner === "process")?.bytes),
      ],
      columns,
    ),
  );
  return table(columns, rows);
}

export async function overviewScreen(content, params, signal) {
  const tiles = Object.fromEntries(
    [
      ["rate", "Requests a second"],
      ["p50", "Median"],
      ["p99", "99th percentile"],
      ["errors", "Errors a second"],
      ["refusals", "Refused a second"],
      ["commits", "Commits a second"],
      ["memory", "Memory"],
      ["disk", "Disk"],
    ].map(([name, label]) => [name, tile(label)]),
  );
  const at = (read) => (point) => Number(read(point) ?? 0);
  const charts = [
    chart("Requests a second", [
      ["all", at((point) => point.requestsPerSecond)],
      ["errors", at((point) => point.errorsPerSecond)],
      ["refused", at((point) => point.refusalsPerSecond)],
    ], rate),
    chart("Time of a request", [
      ["median", (point) => seconds(point.requestP50)],
      ["99th percentile", (point) => seconds(point.requestP99)],
    ], duration),
    chart("Commits a second", [["commits", at((point) => point.commitsPerSecond)]], rate),
    chart("Time of a commit", [["99th percentile", (point) => seconds(point.commitP99)]], duration),
    chart("Memory", [["resident", at((point) => point.residentBytes)]], bytes, 1024),
    chart("Written to the log a second", [["bytes", at((point) => point.logBytesPerSecond)]], bytes, 1024),
    chart("Processors", [["used", at((point) => point.cpu)]], rate),
    chart("Alarms a second", [["alarms", at((point) => point.alarmsPerSecond)]], rate),
  ];
  const state = h("p", { class: "quiet" });
  const hot = h("div");
  const details = h("div", { class: "columns" });
  const failed = h("div");
  let order = "HOT_ORDER_REQUESTS";

  async function drawHot() {
    const { objects = [], window } = await admin("ListHotObjects", { order, limit: 20 }, signal);
    const rows = objects.map((each) =>
      row(
        [
          objectLink(each.object),
          each.object.objectClass,
          each.object.namespace,
          count(each.requests),
          duration(seconds(each.time)),
          bytes(each.bytesWritten),
        ],
        HOT,
      ),
    );
    const focus = document.activeElement?.getAttribute("href");
    hot.replaceChildren(
      rows.length
        ? table(HOT, rows, `Of the last ${Math.round(seconds(window))} s; the numbers are estimates`)
        : h("p", { class: "quiet" }, "No object had a request within the last minute."),
    );
    if (focus) [...hot.querySelectorAll("a")].find((link) => link.getAttribute("href") === focus)?.focus();
  }

  function drawStatus(status) {
    state.textContent =
      `Version ${status.version}, ${status.draining ? "draining" : "serving"} for ${duration(seconds(status.uptime))}; ` +
      `${count(status.calls?.inProgress)} calls on ${count(status.calls?.connections)} connections; ` +
      `${count(status.calls?.ended)} ended, ${count(status.calls?.refused)} of them refused`;
    const memory = status.memory?.find((use) => use.owner === "process")?.bytes;
    const objects = (status.executors ?? []).reduce((sum, each) => sum + Number(each.activeObjects ?? 0), 0);
    tiles.memory.set(bytes(memory), `${count(objects)} objects in memory`);
    const disk = status.disk ?? {};
    const full = Number(disk.freeBytes ?? 0) < 2 * Number(disk.reserveBytes ?? 0);
    tiles.disk.set(bytes(disk.tableBytes), disk.freeBytes ? `${bytes(disk.freeBytes)} free` : "", full);
    details.replaceChildren(memoryTable(status), executorTable(status), nodeTable(status));
  }

  function drawHistory({ points = [] }) {
    const last = points.at(-1) ?? {};
    tiles.rate.set(rate(last.requestsPerSecond));
    tiles.p50.set(duration(seconds(last.requestP50)), "at most");
    tiles.p99.set(duration(seconds(last.requestP99)), "at most");
    tiles.errors.set(rate(last.errorsPerSecond), "", last.errorsPerSecond > 0);
    tiles.refusals.set(rate(last.refusalsPerSecond), "", last.refusalsPerSecond > 0);
    tiles.commits.set(rate(last.commitsPerSecond), `99%: ${duration(seconds(last.commitP99))}`);
    for (const each of charts) each.draw(points);
  }

  const namespaces = pager({
    columns: [["Namespace"], ["Objects", "number"], ["Bytes", "number"]],
    // A call reads so many objects and no more, so it may end before the first namespace does.
    read: async (pageToken) => {
      let page = { nextPageToken: pageToken };
      for (let calls = 0; calls < CALLS_MAX && !page.namespaces && (calls === 0 || page.nextPageToken); ++calls) {
        page = await admin("ListNamespaces", { pageSize: 50, pageToken: page.nextPageToken }, signal);
      }
      return { items: page.namespaces ?? [], next: page.nextPageToken };
    },
    cells: (each) => [
      h("a", { href: `#/objects?${new URLSearchParams({ ns: each.namespace })}`, "data-row": true }, each.namespace),
      count(each.objects),
      bytes(each.sizeBytes),
    ],
    empty: "There are no objects.",
  });

  content.append(
    h("h1", {}, "Overview"),
    state,
    failed,
    h("div", { class: "tiles eight" }, Object.values(tiles).map((each) => each.element)),
    h("div", { class: "charts" }, charts.map((each) => each.element)),
    h(
      "h2",
      {},
      "Busiest objects by ",
      select(
        [
          ["HOT_ORDER_REQUESTS", "requests"],
          ["HOT_ORDER_TIME", "time"],
          ["HOT_ORDER_BYTES_WRITTEN", "bytes written"],
        ],
        order,
        (chosen) => {
          order = chosen;
          drawHot().catch((error) => failed.replaceChildren(errorBox(error)));
        },
        { "aria-label": "Order" },
      ),
    ),
    hot,
    h("h2", {}, "Namespaces"),
    namespaces.element,
    h("h2", {}, "Server"),
    details,
  );

  async function draw() {
    const [status, history] = await Promise.all([admin("GetStatus", {}, signal), admin("GetHistory", {}, signal), drawHot()]);
    drawStatus(status);
    drawHistory(history);
  }
  await draw();
  await namespaces.first();
  redraw(draw, failed, signal);
}

// The alarms of all objects: which are due, late or repeated, and how many watchers there are.

import { admin, object, queue } from "./rpc.js";
import { h } from "./dom.js";
import { count, distance, duration, rate, seconds, time } from "./format.js";
import { objectLink } from "./links.js";
import { pager } from "./pager.js";
import { redraw } from "./redraw.js";

const COLUMNS = [
  ["Object"],
  ["Class", "words"],
  ["Namespace"],
  ["Next attempt", "state"],
  ["State", "state"],
  ["Failed attempts", "number"],
];
const DESCRIPTIONS = 4;

// The server's clock, in milliseconds.
const clockOf = (status) => new Date(status.startTime).getTime() + 1000 * seconds(status.uptime);

export async function alarmsScreen(content, params, signal) {
  let offset = 0; // of the server's clock from the browser's
  const now = () => Date.now() + offset;
  const numbers = h("div", { class: "tiles" });
  const failed = h("div");

  const describe = queue(
    DESCRIPTIONS,
    async ({ id, cells }) => {
      if (!cells[4].isConnected) return;
      try {
        const { alarm, alarmDelivery: delivery } = await object("DescribeObject", { object: id }, signal);
        if (delivery) {
          const end = new Date(delivery.leaseExpireTime).getTime();
          cells[4].textContent = `out to a watcher until ${time(delivery.leaseExpireTime)}`;
          cells[3].textContent = end < now() ? "its lease has ended" : `lease ends ${distance(delivery.leaseExpireTime, now())}`;
          cells[4].classList.remove("bad");
        } else if (!alarm) {
          cells[4].textContent = "done";
        }
        cells[5].textContent = String((delivery ?? alarm)?.retryCount ?? 0);
      } catch (error) {
        if (signal.aborted) return;
        cells[5].textContent = "?";
        cells[5].title = error.message;
      }
    },
    signal,
  );

  const list = pager({
    columns: COLUMNS,
    read: async (pageToken) => {
      const page = await admin("ListAlarms", { pageSize: 50, pageToken }, signal);
      return { items: page.alarms ?? [], next: page.nextPageToken };
    },
    cells: (each) => {
      const late = now() - new Date(each.dueTime).getTime();
      return [
        objectLink(each.object),
        each.object.objectClass,
        each.object.namespace,
        late > 0 ? time(each.dueTime) : `${time(each.dueTime)}, ${distance(each.dueTime, now())}`,
        late > 0 ? `due, late by ${duration(late / 1000)}` : "set",
        "",
      ];
    },
    empty: "No alarm is set.",
    filled: (items, rows) => {
      rows.forEach((element, i) => {
        element.children[4].classList.toggle("bad", element.children[4].textContent.startsWith("due"));
        describe({ id: items[i].object, cells: element.children });
      });
    },
  });

  async function draw() {
    const [status, { points = [] }] = await Promise.all([admin("GetStatus", {}, signal), admin("GetHistory", {}, signal)]);
    offset = clockOf(status) - Date.now();
    const all = [status, ...(status.otherNodes ?? []).map((node) => node.status ?? {})].map((each) => each.alarms ?? {});
    const sum = (name) => count(all.reduce((total, each) => total + Number(each[name] ?? 0), 0));
    const backlog = Math.max(...all.map((each) => seconds(each.backlog)));
    const tiles = [
      ["Due, not taken", sum("waiting")],
      ["Run now", sum("running")],
      ["Watchers", sum("watchers")],
      ["Backlog", duration(backlog), "How late the next alarm is that only the bound on alarms a second holds back"],
      ["Alarms a second", rate(points.at(-1)?.alarmsPerSecond)],
    ];
    numbers.replaceChildren(
      ...tiles.map(([label, value, title]) => h("div", { class: "tile", title }, h("span", {}, label), h("strong", {}, value))),
    );
  }

  content.append(h("h1", {}, "Alarms"), failed, numbers, h("h2", {}, "By the time of the next attempt"), list.element);
  await draw();
  await list.first();
  redraw(draw, failed, signal);
}

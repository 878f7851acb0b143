// The alarm of one object.

import { button, errorBox, field, h } from "./dom.js";
import { distance, time } from "./format.js";
import { changeObject } from "./change.js";

function facts({ alarm, alarmDelivery: delivery }) {
  const all = [];
  if (alarm) {
    all.push(["Set for", time(alarm.scheduledTime)]);
    all.push(["Next attempt", `${time(alarm.dueTime)}, ${distance(alarm.dueTime)}`]);
    all.push(["Attempts that failed", String(alarm.retryCount ?? 0)]);
  }
  if (delivery) {
    all.push(["Out to a watcher until", `${time(delivery.leaseExpireTime)}, ${distance(delivery.leaseExpireTime)}`]);
    all.push(["Delivered for", time(delivery.scheduledTime)]);
    all.push(["Attempts that failed before", String(delivery.retryCount ?? 0)]);
  }
  return all;
}

export function alarmTab(content, { id, description, canEdit, reload }) {
  const all = facts(description);
  content.append(
    all.length
      ? h("dl", { class: "facts" }, all.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))
      : h("p", { class: "quiet" }, "No alarm is set."),
  );
  if (!canEdit) return;
  const delay = h("input", { type: "number", min: 0, step: "any", value: "60", required: true });
  const failed = h("div");
  const change = async (title, text, label, method, request) => {
    if (await changeObject(id, title, h("p", {}, text), label, method, request)) reload();
  };
  content.append(
    h(
      "form",
      {
        class: "filters",
        onsubmit: (event) => {
          event.preventDefault();
          const value = Number(delay.value);
          if (!(value >= 0)) return failed.replaceChildren(errorBox(new Error("The delay is a number of seconds.")));
          change("Set the alarm?", `It comes ${value} s from now, in place of one that is set.`, "Set", "SetAlarm", {
            delay: `${value.toFixed(6)}s`,
          });
        },
      },
      field("Seconds from now", delay),
      h("button", {}, "Set the alarm"),
      (description.alarm || description.alarmDelivery) &&
        button("Delete the alarm", () => change("Delete the alarm?", "Its retries stop, too.", "Delete", "DeleteAlarm", {}), {
          class: "danger",
        }),
    ),
    failed,
  );
}

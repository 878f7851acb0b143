// Changes of an object: asked for first, sent with a request id, with the rights of the user.

import { newRequestId, object } from "./rpc.js";
import { confirmChange, h, notice } from "./dom.js";
import { visible } from "./format.js";

function objectName(id) {
  return h(
    "span",
    { class: "object-name" },
    h("span", { class: "quiet" }, `${id.objectClass} in ${id.namespace} `),
    h("b", {}, visible(id.name)),
  );
}

// Asks for a change of the object, and sends it with a request id, which is the same one when it is sent again.
export function changeObject(id, title, content, label, method, request) {
  const requestId = newRequestId();
  return confirmChange(title, h("div", {}, h("p", {}, objectName(id)), content), label, async () => {
    await object(method, { object: id, requestId, ...request });
    notice(`${label}: done`);
  });
}

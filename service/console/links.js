// Where objects are in the page.

import { h } from "./dom.js";
import { visible } from "./format.js";

export function objectPlace(id, more = {}) {
  return `#/object?${new URLSearchParams({ ns: id.namespace, class: id.objectClass, name: id.name, ...more })}`;
}

export function objectLink(id) {
  return h("a", { href: objectPlace(id), "data-row": true }, visible(id.name));
}

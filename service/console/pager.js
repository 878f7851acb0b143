// A list that is read page by page. Only one page is on the screen, so the length of the list does not matter.

import { button, errorBox, h, row, table } from "./dom.js";
import { count } from "./format.js";

// `read(token)` resolves to {items, next}, where `next` is the token of the next page; `cells(item)` gives the cells of
// a row; `filled(items, rows)` is called once a page is on the screen.
export function pager({ columns, read, cells, empty, filled = () => {} }) {
  const body = h("div");
  const where = h("span", { class: "quiet", role: "status" });
  const next = button("Next", () => go(at + 1), { "data-page": "next", title: "Key n", disabled: true });
  const previous = button("Previous", () => go(at - 1), { "data-page": "previous", title: "Key p", disabled: true });
  const refresh = button("Refresh", () => go(at), { "data-page": "refresh", title: "Key r" });
  const element = h("div", { class: "pager" }, body, h("div", { class: "actions" }, previous, next, refresh, where));
  let tokens = [""]; // of the pages up to the next one
  let starts = [0]; // the place of the first item of each
  let at = 0;
  let asked = 0; // only the answer to the last question is shown

  async function go(page) {
    const mine = ++asked;
    const began = performance.now();
    next.disabled = previous.disabled = true;
    where.textContent = "reading ...";
    try {
      const { items, next: token } = await read(tokens[page]);
      if (mine !== asked) return;
      at = page;
      tokens = tokens.slice(0, page + 1);
      starts = starts.slice(0, page + 1);
      if (token) {
        tokens.push(token);
        starts.push(starts[page] + items.length);
      }
      const rows = items.map((item) => row(cells(item), columns));
      const none = token ? "Nothing on this page." : page > 0 ? "There are no more." : empty;
      body.replaceChildren(items.length ? table(columns, rows) : h("p", { class: "quiet" }, none));
      const took = `${Math.round(performance.now() - began)} ms`;
      where.textContent = items.length
        ? `${count(starts[page] + 1)} to ${count(starts[page] + items.length)}${token ? "" : ", the last"}; ${took}`
        : took;
      filled(items, rows);
    } catch (error) {
      if (mine !== asked || error.name === "AbortError") return;
      where.textContent = "";
      body.replaceChildren(errorBox(error));
    }
    next.disabled = at + 1 >= tokens.length;
    previous.disabled = at === 0;
  }

  return {
    element,
    // Reads the first page, with other arguments of `read` perhaps.
    first: () => {
      tokens = [""];
      starts = [0];
      return go(0);
    },
    // Reads the page that is shown again.
    again: () => go(at),
  };
}

// Elements of the page. Text of the server goes through text nodes and attributes only, so it can never become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

// Makes an element: h("a", {href: "#/", onclick: f}, "text", child). Properties that begin with "on" are listeners.
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

export function button(label, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, label);
}

// A label around its control.
export function field(label, control, note) {
  return h("label", { class: "field" }, h("span", {}, label), control, note && h("small", {}, note));
}

export function select(values, chosen, onchange, properties = {}) {
  const element = h(
    "select",
    { onchange: () => onchange(element.value), ...properties },
    values.map(([value, label]) => h("option", { value, selected: value === chosen }, label)),
  );
  return element;
}

let listsMade = 0;
// An input that suggests `values`, which may change later through the returned `suggest`.
export function suggestingInput(properties, values = []) {
  const id = `list-${++listsMade}`;
  const list = h("datalist", { id });
  const suggest = (all) => list.replaceChildren(...all.map((value) => h("option", { value })));
  suggest(values);
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", list: id, ...properties });
  return { input, list, suggest };
}

// A table. `columns` are [title, class]; the rows are `tr` that the caller makes with `row`.
export function table(columns, rows, caption) {
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      caption && h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)))),
      h("tbody", {}, rows),
    ),
  );
}

export function row(cells, columns, properties = {}) {
  return h("tr", properties, cells.map((cell, i) => h("td", { class: columns[i] && columns[i][1] }, cell)));
}

export function errorBox(error) {
  return h("p", { class: "error", role: "alert" }, error.message);
}

export function notice(text) {
  const element = h("p", {}, text);
  document.getElementById("notices").append(element);
  setTimeout(() => element.remove(), 5000);
}

// Opens a dialog, which Esc and its button close, and returns it.
export function openDialog(title, content, actions = []) {
  const dialog = h(
    "dialog",
    { "aria-label": title, onclose: () => dialog.remove() },
    h("h2", {}, title),
    content,
    h("div", { class: "actions" }, actions, button(actions.length ? "Cancel" : "Close", () => dialog.close())),
  );
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Asks before a change. `act` does it, once for each press; its error stays in the dialog, from which it can be tried
// again. Resolves to true when it was done, and to false when the user has left.
export function confirmChange(title, content, label, act) {
  return new Promise((resolve) => {
    let done = false;
    const failed = h("div");
    const go = button(
      label,
      async () => {
        go.disabled = true;
        failed.replaceChildren();
        try {
          await act();
          done = true;
          dialog.close();
        } catch (error) {
          failed.replaceChildren(errorBox(error));
          go.textContent = `${label} again`;
        }
        go.disabled = false;
      },
      { class: "primary" },
    );
    const dialog = openDialog(title, h("div", {}, content, failed), [go]);
    dialog.addEventListener("close", () => resolve(done));
    go.focus();
  });
}

// A button that copies the text that `text` returns. Browsers let pages do so with TLS, or on this machine.
export function copyButton(text, label = "Copy") {
  return button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      notice("Copied");
    } catch {
      notice("The browser does not let this page copy");
    }
  });
}

// Hands bytes to the user as a file.
export function download(name, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type: "application/octet-stream" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

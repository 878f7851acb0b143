// The page: who is signed in, which screen is shown, and the keys that work everywhere.

import { button, errorBox, field, h, openDialog } from "./dom.js";
import { object, token } from "./rpc.js";
import { alarmsScreen } from "./alarms.js";
import { objectScreen } from "./object.js";
import { objectsScreen } from "./objects.js";
import { overviewScreen } from "./overview.js";
import { tryScreen } from "./try.js";

// Key, title, whether the screen is for those who run the server alone.
const SCREENS = {
  overview: { key: "1", title: "Overview", admin: true, show: overviewScreen },
  objects: { key: "2", title: "Objects", show: objectsScreen },
  alarms: { key: "3", title: "Alarms", admin: true, show: alarmsScreen },
  try: { key: "4", title: "Try it", show: tryScreen },
  object: { show: objectScreen },
};
const THEMES = ["system", "light", "dark"];
const main = document.getElementById("main");

let rights; // of the caller on the server; undefined until they are known
let leave = new AbortController(); // ends what the screen that is shown has under way

function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path, params: new URLSearchParams(query ?? "") };
}

function screens() {
  return Object.entries(SCREENS).filter(([, screen]) => screen.key && (!screen.admin || rights?.adminOfServer));
}

function drawHeader(path) {
  const links = screens().map(([name, screen]) =>
    h(
      "a",
      {
        href: `#/${name}`,
        title: `Key ${screen.key}`,
        "aria-current": name === path || (name === "objects" && path === "object") ? "page" : undefined,
      },
      screen.title,
    ),
  );
  document.getElementById("nav").replaceChildren(...(rights ? links : []));
  const sign = document.getElementById("sign");
  sign.hidden = !rights; // the form to sign in is there, or will be
  sign.textContent = token.get() ? "Sign out" : "Sign in";
}

async function show() {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  if (!rights) {
    drawHeader("");
    main.replaceChildren(h("p", { class: "quiet" }, "Asking the server ..."));
    try {
      rights = await object("GetRights", {}, signal);
    } catch (error) {
      if (signal.aborted) return;
      showSignIn(error);
      return;
    }
  }
  let { path, params } = place();
  if (!Object.hasOwn(SCREENS, path) || (SCREENS[path].admin && !rights.adminOfServer)) path = screens()[0][0];
  drawHeader(path);
  document.title = `${SCREENS[path].title ?? params.get("name")} - Holdfast`;
  const content = h("div", { class: `screen ${path}`, "aria-busy": "true" });
  main.replaceChildren(content);
  try {
    await SCREENS[path].show(content, params, signal, rights);
  } catch (error) {
    if (signal.aborted) return;
    if (error.code === "unauthenticated") showSignIn(error);
    else content.append(errorBox(error));
  }
  content.setAttribute("aria-busy", "false");
}

function showSignIn(error) {
  leave.abort(); // nothing goes on under a token that is no longer used
  rights = undefined;
  const refused = error?.code === "unauthenticated";
  const tried = token.get();
  if (refused) token.set("");
  drawHeader("");
  const input = h("input", { type: "password", autocomplete: "off", size: 60, required: true, "aria-label": "Token" });
  main.replaceChildren(
    h(
      "form",
      {
        class: "sign-in",
        onsubmit: (event) => {
          event.preventDefault();
          token.set(input.value.trim());
          show();
        },
      },
      h("h1", {}, "Sign in"),
      error && (!refused || tried) ? errorBox(error) : "",
      field("Token", input, "It stays in this tab, and is sent to this server only."),
      h("div", { class: "actions" }, h("button", { class: "primary" }, "Sign in"), error && !refused && button("Try again", show)),
    ),
  );
  input.focus();
}

function signOut() {
  token.set("");
  showSignIn();
}

function theme(next) {
  const now = localStorage.getItem("holdfast.theme") ?? "system";
  const chosen = next ? THEMES[(THEMES.indexOf(now) + 1) % THEMES.length] : now;
  localStorage.setItem("holdfast.theme", chosen);
  document.documentElement.dataset.theme = chosen;
  const element = document.getElementById("theme");
  element.textContent = { system: "Auto", light: "Light", dark: "Dark" }[chosen];
  element.title = "Colours: as the system, light or dark (t)";
}

function help() {
  const keys = [
    ...screens().map(([, screen]) => [screen.key, screen.title]),
    ["/", "to the first filter"],
    ["j, k", "next and previous row or method; Enter opens it"],
    ["n, p", "next and previous page"],
    ["r", "read the page again"],
    ["Ctrl+Enter", "run the SQL, or send the request"],
    ["← →", "move through a graph that has the focus"],
    ["t", "colours"],
    ["Esc", "leave an input, close an entry or a dialog"],
    ["?", "these keys"],
  ];
  openDialog("Keyboard", h("dl", { class: "facts" }, keys.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])));
}

// Moves the focus among the links of rows.
function moveRow(step) {
  const links = [...main.querySelectorAll("[data-row]")].filter((link) => link.offsetParent);
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + step))].focus();
}

const KEYS = {
  "?": help,
  t: () => theme(true),
  "/": () => main.querySelector("input:not([type=checkbox])")?.focus(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  n: () => main.querySelector("[data-page=next]:not(:disabled)")?.click(),
  p: () => main.querySelector("[data-page=previous]:not(:disabled)")?.click(),
  r: () => main.querySelector("[data-page=refresh]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select")) {
    // The entry or the screen around the input has the focus next.
    if (event.key === "Escape") (event.target.closest("[tabindex='-1']") ?? main).focus();
    return;
  }
  const screen = screens().find(([, each]) => each.key === event.key);
  if (screen && rights) location.hash = `#/${screen[0]}`;
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
});

document.getElementById("theme").addEventListener("click", () => theme(true));
document.getElementById("help").addEventListener("click", help);
document.getElementById("sign").addEventListener("click", () => (token.get() ? signOut() : showSignIn()));
window.addEventListener("hashchange", show);
theme(false);
show();

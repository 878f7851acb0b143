// A headless Chromium, and a page of the console as a user has it: what he reads, clicks and types.
//
// A page watches for everything that must never happen: a script of the data that runs, a request to another host, an
// error in a script of the page, a violation of its policy. `problems` has what was seen.

import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const WAIT_MS_MAX = 30_000;

export async function launch() {
  if (!existsSync(CHROMIUM)) throw new Error(`there is no ${CHROMIUM}: deploy/install-deps.sh --tools`);
  // Chromium's own sandbox needs rights that a container does not have; the pages are ours, on loopback.
  return puppeteer.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"],
  });
}

export class Console {
  // A page in a browser of its own kind of user: cookies and storage are shared with no other.
  static async open(browser, server, { principal, hash = "", width = 1200, height = 900, dark = false } = {}) {
    const ui = new Console();
    ui.context = await browser.createBrowserContext();
    ui.page = await ui.context.newPage();
    ui.server = server;
    ui.problems = [];
    ui.requests = []; // {method, body} of the calls
    ui.page.setDefaultTimeout(WAIT_MS_MAX);
    await ui.page.setViewport({ width, height });
    await ui.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
    ui.page.on("dialog", (dialog) => {
      ui.problems.push(`a script of the data has run: ${dialog.message()}`);
      dialog.dismiss();
    });
    ui.page.on("pageerror", (error) => ui.problems.push(`error in the page: ${error.stack ?? error}`));
    ui.page.on("console", (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) ui.problems.push(message.text());
    });
    ui.page.on("request", (request) => {
      const url = request.url();
      if (url.startsWith("blob:") || url.startsWith("data:")) return;
      if (!url.startsWith(`${server.origin}/`)) ui.problems.push(`a request to ${url}`);
      if (request.method() !== "POST") return;
      const body = request.postData();
      ui.requests.push({ method: url.slice(server.origin.length + 1), body: body?.startsWith("{") ? JSON.parse(body) : body });
    });
    await ui.page.goto(`${server.origin}/${hash}`);
    if (principal) await ui.signIn(server.tokens[principal]);
    return ui;
  }

  async signIn(token) {
    await this.fill("Token", token);
    await this.click("Sign in", "form");
    await this.page.waitForSelector(".screen");
  }

  // Goes to a screen, and waits until its lists are there.
  async go(hash) {
    await this.page.evaluate((to) => {
      // The screen that is there is not the one that is waited for.
      document.querySelector(".screen")?.setAttribute("aria-busy", "true");
      // The same place again is no change, so the page would not notice.
      if (location.hash === to) window.dispatchEvent(new HashChangeEvent("hashchange"));
      else location.hash = to;
    }, `#/${hash}`);
    await this.page.waitForSelector(`.screen.${hash.split("?")[0]}[aria-busy=false]`);
    await this.settled();
  }

  async object(id, tab = "summary") {
    await this.go(`object?${new URLSearchParams({ ns: id.namespace ?? "default", class: id.objectClass ?? "Object", name: id.name, tab })}`);
    await this.page.waitForSelector(`[data-tab=${tab}][aria-selected=true]`);
    await this.settled();
  }

  // Waits until no list is being read.
  async settled() {
    await this.until(() => ![...document.querySelectorAll("[role=status], .quiet")].some((each) => /^(reading|running|calling|Asking)/.test(each.textContent)));
  }

  until(condition, ...values) {
    return this.page.waitForFunction(condition, { polling: 20 }, ...values);
  }

  // Clicks the button or link with this name, as a screen reader has it.
  async click(name, within = "body") {
    const found = await this.find(name, within);
    if (!found) throw new Error(`no button "${name}" on the page:\n${await this.text()}`);
    await found.evaluate((element) => element.scrollIntoView({ block: "center" }));
    await found.click();
  }

  async find(name, within = "body") {
    const handle = await this.page.evaluateHandle(
      (wanted, place) => {
        const dialog = document.querySelector("dialog[open]");
        const root = dialog ?? document.querySelector(place);
        return [...(root?.querySelectorAll("button, a, summary") ?? [])].find(
          (each) => (each.getAttribute("aria-label") ?? each.textContent).trim() === wanted && each.checkVisibility(),
        );
      },
      name,
      within,
    );
    return handle.asElement();
  }

  // Waits for the button with this name.
  async shows(name) {
    const began = Date.now();
    while (!(await this.find(name))) {
      if (Date.now() - began > WAIT_MS_MAX) throw new Error(`no button "${name}" came:\n${await this.text()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  // Puts text into the control with this label, as typing does.
  async fill(label, text) {
    await this.until(
      (wanted, value) => {
        const named = (each) =>
          each.getAttribute("aria-label") === wanted || each.closest("label")?.querySelector("span")?.textContent === wanted;
        const control = [...document.querySelectorAll("input, textarea, select")].filter(named).at(-1);
        if (!control) return false;
        control.focus();
        control.value = value;
        control.dispatchEvent(new Event("input", { bubbles: true }));
        control.dispatchEvent(new Event("change", { bubbles: true }));
        return true;
      },
      label,
      text,
    );
  }

  value(label) {
    return this.page.evaluate((wanted) => {
      const named = (each) =>
        each.getAttribute("aria-label") === wanted || each.closest("label")?.querySelector("span")?.textContent === wanted;
      return [...document.querySelectorAll("input, textarea, select")].filter(named).at(-1)?.value;
    }, label);
  }

  text(selector = "main") {
    return this.page.evaluate((wanted) => document.querySelector(wanted)?.innerText ?? "", selector);
  }

  // Waits for text in the part of the page.
  async says(text, selector = "main") {
    await this.page
      .waitForFunction((wanted, place) => document.querySelector(place)?.innerText.includes(wanted), { polling: 20 }, text, selector)
      .catch(async () => {
        throw new Error(`"${text}" did not come in ${selector}:\n${await this.text(selector)}`);
      });
  }

  // The cells of the rows of the tables in a part of the page.
  rows(selector = "main") {
    return this.page.evaluate(
      (wanted) => [...document.querySelectorAll(`${wanted} tbody tr`)].map((row) => [...row.children].map((cell) => cell.innerText)),
      selector,
    );
  }

  // The names of all buttons that are shown.
  buttons(selector = "main") {
    return this.page.evaluate(
      (wanted) => [...document.querySelectorAll(`${wanted} button`)].filter((each) => each.checkVisibility()).map((each) => each.textContent.trim()),
      selector,
    );
  }

  // Confirms the dialog that is open, and waits until it has closed.
  async confirm(label) {
    await this.page.waitForSelector("dialog[open]");
    await this.click(label);
    await this.until(() => !document.querySelector("dialog[open]"));
  }

  // The requests of a method since the page was opened.
  sent(method) {
    return this.requests.filter((each) => each.method === `holdfast.v1.${method}`).map((each) => each.body);
  }

  close() {
    return this.context.close();
  }
}

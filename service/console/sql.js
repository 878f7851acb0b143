// The SQL database of an object: its tables, and a box for statements with their results or their plan.

import { object } from "./rpc.js";
import { button, errorBox, field, h, row, table } from "./dom.js";
import { bytes, count, fromBase64, toHex, visible } from "./format.js";
import { changeObject } from "./change.js";

const ROWS_SHOWN_MAX = 1000;

// A parameter out of JSON: null, an integer, another number, or text.
function toValue(value) {
  if (value === null) return {};
  if (Number.isSafeInteger(value)) return { integer: String(value) };
  if (typeof value === "number") return { real: value };
  if (typeof value === "string") return { text: value };
  throw new Error("A parameter is a number, text or null.");
}

function parseParams(text) {
  if (text.trim() === "") return [];
  let all;
  try {
    all = JSON.parse(text);
  } catch {
    all = undefined;
  }
  if (!Array.isArray(all)) throw new Error('The parameters are a JSON array, such as [1, "ada", null].');
  return all.map(toValue);
}

function cell(value) {
  if (value.integer !== undefined) return String(value.integer);
  if (value.real !== undefined) return String(value.real);
  if (value.text !== undefined) return visible(value.text);
  if (value.blob === undefined) return h("i", { class: "quiet" }, "NULL");
  const data = fromBase64(value.blob);
  return h("code", { class: "hex", title: bytes(data.length) }, `x'${toHex(data.subarray(0, 64))}'${data.length > 64 ? " ..." : ""}`);
}

function resultTable({ columns = [], rows = [], vmSteps, rowsWritten }, took) {
  const titles = columns.map((column) => [visible(column.name)]);
  const shown = rows.slice(0, ROWS_SHOWN_MAX);
  const cut = shown.length < rows.length ? `; the first ${count(shown.length)} are shown` : "";
  return [
    h("p", { class: "quiet", role: "status" }, `${count(rows.length)} rows${cut}, ${count(rowsWritten)} written, ${count(vmSteps)} steps, ${took} ms`),
    columns.length > 0 && table(titles, shown.map(({ values = [] }) => row(values.map(cell), titles))),
  ];
}

// The rows of EXPLAIN QUERY PLAN as a tree.
function planTree({ rows = [] }) {
  const depths = new Map([["0", 0]]);
  const lines = rows.map(({ values }) => {
    const [id, parent, , detail] = values.map((value) => value.integer ?? value.text);
    const depth = depths.get(parent) ?? 0;
    depths.set(id, depth + 1);
    return `${"  ".repeat(depth)}${detail}`;
  });
  return h("pre", { class: "plan" }, lines.join("\n"));
}

export function sqlTab(content, { id, description, canEdit, signal }) {
  const sql = h("textarea", { rows: 6, spellcheck: "false", "aria-label": "SQL", placeholder: "SELECT ..." });
  const params = h("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: '[1, "ada", null]' });
  const result = h("div", { class: "result" });

  const statement = () => ({ sql: sql.value, params: parseParams(params.value) });
  async function run(prefix, show) {
    const began = performance.now();
    result.replaceChildren(h("p", { class: "quiet" }, "running ..."));
    try {
      const { sql: text, params: values } = statement();
      const request = { object: id, statements: [{ sql: prefix + text, params: values }], readOnly: true };
      const { results = [] } = await object("ExecuteSql", request, signal);
      result.replaceChildren(...[show(results.at(-1) ?? {}, Math.round(performance.now() - began))].flat().filter(Boolean));
    } catch (error) {
      if (!signal.aborted) result.replaceChildren(errorBox(error));
    }
  }
  const query = () => run("", resultTable);
  async function write() {
    try {
      const one = statement();
      const what = h("div", {}, h("p", {}, "The statement may change the database:"), h("pre", {}, one.sql));
      if (await changeObject(id, "Run and write?", what, "Run", "ExecuteSql", { statements: [one] })) {
        await listTables();
        result.replaceChildren(h("p", { class: "quiet", role: "status" }, "The statement has run."));
      }
    } catch (error) {
      result.replaceChildren(errorBox(error));
    }
  }

  const tables = h("div");
  const columns = [["Table"], ["Rows", "number"], ["Schema"]];
  function drawTables(all = []) {
    const rows = all.map((each) => {
      const open = () => {
        sql.value = `SELECT * FROM "${each.name.replace(/"/g, '""')}" LIMIT 100`;
        query();
      };
      const schema = h("details", {}, h("summary", {}, "CREATE"), h("pre", {}, each.sql));
      const rowCount = Number(each.rowCount ?? 0) < 0 ? "not counted" : count(each.rowCount);
      return row([button(visible(each.name), open, { class: "link", "data-row": true }), rowCount, schema], columns);
    });
    tables.replaceChildren(rows.length ? table(columns, rows) : h("p", { class: "quiet" }, "The database has no tables."));
  }
  async function listTables() {
    drawTables((await object("DescribeObject", { object: id }, signal)).tables);
  }
  drawTables(description.tables);

  sql.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    query();
  });
  content.append(
    tables,
    field("SQL", sql),
    field("Parameters", params, "of ?1, ?2, ...: a JSON array"),
    h(
      "div",
      { class: "actions" },
      button("Run", query, { class: "primary", title: "Reads only (Ctrl+Enter)" }),
      button("Plan", () => run("EXPLAIN QUERY PLAN ", planTree)),
      canEdit && button("Run and write", write, { class: "danger" }),
    ),
    result,
  );
}

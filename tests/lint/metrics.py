#!/usr/bin/env python3
"""Everything that names a metric names one that exists.

    metrics.py ROOT            checks, and exits 1 if something is wrong
    metrics.py ROOT --write    writes what is made: docs/metrics.md and deploy/monitoring/dashboard.json

The table is service/metrics/metric_table.cc. Checked against it: docs/metrics.md, which is made of it; each query of the
dashboard, which deploy/monitoring/dashboard.py makes; each expression of deploy/monitoring/alerts.yml and of its tests.
Each alert has a summary, a severity, and a runbook_url whose anchor is a section of docs/runbook.md; each section under
"Alerts" there has an alert.
"""
import ast
import difflib
import importlib.util
import json
import pathlib
import re
import sys

TABLE = "service/metrics/metric_table.cc"
DOCUMENT = "docs/metrics.md"
DASHBOARD = "deploy/monitoring/dashboard.json"
ALERTS = "deploy/monitoring/alerts.yml"
RUNBOOK = "docs/runbook.md"
# Prometheus itself makes this one.
OF_PROMETHEUS = {"up"}

ROW = re.compile(r'\{Metric::k\w+,\s*"(\w+)",\s*k(Counter|Gauge|Histogram),\s*(\{\}|k\w+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
LABELS = re.compile(r"constexpr string_view (k\w+)\[\] = \{([^}]*)\};")

HEAD = """\
# Metrics

<!-- Written by tests/lint/metrics.py from service/metrics/metric_table.cc: change the metrics there. -->

With `metrics { listen: "127.0.0.1:9464" }` in its configuration the server has an endpoint for [Prometheus](https://prometheus.io), `GET /metrics`. Without an address there is none. The endpoint has no TLS and asks nobody who he is, so it takes no other address than loopback unless `metrics.insecure_listen` is true; a scrape names no object and no namespace. [configuration.md](configuration.md#metrics) has its settings. The HTTP port has the same page, for those who may read it ([http.md](http.md#tls-and-who-may-call)).

`deploy/monitoring` has a dashboard for Grafana (`dashboard.json`) and rules for alerts (`alerts.yml`); [the runbook](runbook.md#alerts) says what to do at each.

Labels have few values, which clients do not choose: `service` and `method` of a call, its `code`, the `reason` of a refusal, the `class` of an object. Two executors' numbers are one sum. Counters begin at 0 when the server starts. A metric beginning with `exposer_` is of the library that serves the endpoint.

A histogram `x_seconds` has the series `x_seconds_bucket`, `x_seconds_sum` and `x_seconds_count`; the last is also the number of its events.

| metric | type | labels | what it is |
|---|---|---|---|
"""


def table(root):
    """The metrics as {name: (type, labels, help)}, in the order of the table."""
    text = (root / TABLE).read_text()
    labels = {name: re.findall(r'"(\w+)"', values) for name, values in LABELS.findall(text)}
    labels["{}"] = []
    found = {}
    for name, kind, by, help_text in ROW.findall(text):
        found[name] = (kind.lower(), labels[by], "".join(ast.literal_eval(part) for part in re.findall(r'"(?:[^"\\]|\\.)*"', help_text)))
    return found


def document(metrics):
    rows = [f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {help_text} |"
            for name, (kind, labels, help_text) in metrics.items()]
    return HEAD + "\n".join(rows) + "\n"


def series(metrics):
    """The names that a query may use."""
    names = set(OF_PROMETHEUS)
    for name, (kind, _, _) in metrics.items():
        names.update([f"{name}_{part}" for part in ("bucket", "sum", "count")] if kind == "histogram" else [name])
    return names


def names_in(query):
    """The names of metrics in a query of Prometheus. All of ours have one of two prefixes; `up` is looked for by itself."""
    bare = re.sub(r'"[^"]*"', '""', query)
    return set(re.findall(r"\b(?:holdfast|process)_\w+|\bup\b(?=\s*[{=\[)]|$)", bare))


def labels_in(query):
    """Pairs of a metric and a label that a query selects by."""
    for name, selector in re.findall(r"\b((?:holdfast|process)_\w+)\{([^}]*)\}", query):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            yield name, label


def faults_of_query(where, query, metrics):
    known = series(metrics)
    names = names_in(query)
    if not names:
        yield f"{where}: {query!r} names no metric"
    for name in sorted(names - known):
        yield f"{where}: there is no metric {name}"
    for name, label in labels_in(query):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        labels = metrics.get(name, metrics.get(base, ("", [], "")))[1]
        if label not in [*labels, "le", "job", "instance"]:
            yield f"{where}: {name} has no label {label}"


def alerts_in(text):
    """The alerts of a file of rules as {name: {field: value}}. Fields are on one line each, but for `expr: |`."""
    alerts, current, block = {}, None, None
    for line in text.splitlines():
        started = re.match(r"\s*- alert: (\w+)$", line)
        field = re.match(r"\s*(\w+):(?: (.*))?$", line)
        if started:
            current, block = alerts.setdefault(started[1], {}), None
        elif current is not None and field:
            block = field[1] if field[2] == "|" else None
            current[field[1]] = "" if block else (field[2] or "").strip('"')
        elif block:
            current[block] += line.strip() + " "
    return alerts


def anchor_of(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def sections_of_alerts(text):
    part = re.split(r"^## ", text.split("\n## Alerts\n", 1)[1], flags=re.M)[0] if "\n## Alerts\n" in text else ""
    return re.findall(r"^### (.+)$", part, re.M)


def faults_of_alerts(root, metrics):
    alerts = alerts_in((root / ALERTS).read_text())
    runbook = root / RUNBOOK
    sections = sections_of_alerts(runbook.read_text()) if runbook.exists() else []
    if not alerts:
        yield f"{ALERTS} has no alerts"
    for name, fields in alerts.items():
        yield from faults_of_query(f"{ALERTS}: {name}", fields.get("expr", ""), metrics)
        for field in ("severity", "summary", "description"):
            if not fields.get(field):
                yield f"{ALERTS}: {name} has no {field}"
        url = fields.get("runbook_url", "")
        if not url.endswith(f"{RUNBOOK}#{anchor_of(name)}"):
            yield f"{ALERTS}: the runbook_url of {name} does not end in {RUNBOOK}#{anchor_of(name)}"
        if name not in sections:
            yield f"{RUNBOOK}: there is no section about the alert {name}"
    for section in sections:
        if section not in alerts:
            yield f"{RUNBOOK}: there is no alert {section}"


def dashboard(root):
    path = root / "deploy/monitoring/dashboard.py"
    spec = importlib.util.spec_from_file_location("dashboard", path)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module.dashboard()


def faults_of_dashboard(made, metrics):
    queries = 0
    for panel in made["panels"]:
        for target in panel.get("targets", []):
            queries += 1
            yield from faults_of_query(f"dashboard: {panel['title']}", target["expr"], metrics)
    if queries == 0:
        yield "the dashboard has no queries"


def main(root, write):
    metrics = table(root)
    # Each row of the enumeration has one in the table, which the compiler checks; this checks how the table is read.
    rows = len(re.findall(r"\{Metric::k\w+,", (root / TABLE).read_text()))
    faults = [] if len(metrics) == rows and rows else [f"{TABLE}: {len(metrics)} of {rows} rows can be read"]
    made = dashboard(root)
    faults += [*faults_of_dashboard(made, metrics), *faults_of_alerts(root, metrics)]
    for path, wanted in ((DOCUMENT, document(metrics)), (DASHBOARD, json.dumps(made, indent=2) + "\n")):
        if write:
            (root / path).write_text(wanted)
        there = (root / path).read_text() if (root / path).exists() else ""
        if there != wanted:
            sys.stdout.writelines(list(difflib.unified_diff(there.splitlines(True), wanted.splitlines(True), path, "made"))[:40])
            faults.append(f"{path} is out of date; write it with: tests/lint/metrics.py {root} --write")
    for fault in faults:
        print(fault)
    print(f"metrics: {len(metrics)} metrics, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), "--write" in sys.argv[2:]))

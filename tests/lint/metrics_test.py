#!/usr/bin/env python3
"""metrics.py finds a query of a metric that is not there, a label that it has not, and an alert without a section."""
import sys

sys.dont_write_bytecode = True
import metrics

KNOWN = {
    "holdfast_a_total": ("counter", ["reason"], ""),
    "holdfast_b_seconds": ("histogram", [], ""),
}
failed = 0


def expect(what, found, wanted):
    global failed
    if found != wanted:
        failed += 1
        print(f"{what}: {found!r}, not {wanted!r}")


def faults(query):
    return list(metrics.faults_of_query("q", query, KNOWN))


expect("a counter", faults('sum by (reason) (rate(holdfast_a_total{job="x",reason=~"A|B"}[5m]))'), [])
expect("a histogram", faults("rate(holdfast_b_seconds_bucket{le=\"1\"}[5m]) / rate(holdfast_b_seconds_count[5m])"), [])
expect("up", faults('up{job="holdfast"} == 0'), [])
expect("an unknown metric", faults("rate(holdfast_c_total[5m])"), ["q: there is no metric holdfast_c_total"])
expect("a histogram by its bare name", faults("holdfast_b_seconds"), ["q: there is no metric holdfast_b_seconds"])
expect("an unknown label", faults('holdfast_a_total{code="OK"}'), ["q: holdfast_a_total has no label code"])
expect("no metric", len(faults("vector(1)")), 1)
expect("a name in a text is none", faults('holdfast_a_total{reason="holdfast_x"}'), [])

ALERTS = """
      - alert: First
        expr: |
          holdfast_a_total > 0
        labels:
          severity: critical
        annotations:
          summary: "s: t"
      - alert: Second
        expr: up == 0
"""
expect("alerts", metrics.alerts_in(ALERTS), {
    "First": {"expr": "holdfast_a_total > 0 ", "labels": "", "severity": "critical", "annotations": "", "summary": "s: t"},
    "Second": {"expr": "up == 0"},
})
expect("sections", metrics.sections_of_alerts("# R\n\n## Alerts\n\n### First\n\n1. x\n\n### Second\n\n## Other\n\n### Third\n"), ["First", "Second"])
expect("no sections", metrics.sections_of_alerts("# R\n"), [])
print(f"metrics_test: {failed} failed")
sys.exit(1 if failed else 0)

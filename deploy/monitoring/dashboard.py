#!/usr/bin/env python3
"""The dashboard of Holdfast for Grafana. dashboard.json is made of this file by tests/lint/metrics.py ROOT --write, which
also checks that each query names a metric that exists.

A row below is a title and its panels; a panel is a title, a unit, and pairs of a legend and a query.
"""

SECONDS, BYTES, BYTES_PER_S, PER_S, NUMBER, SHARE = "s", "bytes", "Bps", "ops", "short", "percentunit"
OF = 'job="$job",instance=~"$instance"'


def rate(metric, by="", where=""):
    selector = OF + (f",{where}" if where else "")
    total = f"rate({metric}{{{selector}}}[$__rate_interval])"
    return f"sum by ({by}) ({total})" if by else f"sum({total})"


def gauge(metric, by=""):
    return f"sum by ({by}) ({metric}{{{OF}}})" if by else f"sum({metric}{{{OF}}})"


def quantile(share, metric, by=""):
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{OF}}}[$__rate_interval])))"


def quantiles(metric):
    return [(f"p{int(share * 100)}", quantile(share, metric)) for share in (0.5, 0.9, 0.99)]


def mean(metric):
    return f"{rate(metric + '_sum')} / {rate(metric + '_count')}"


ROWS = [
    ("Calls", [
        ("Calls a second", PER_S, [("{{method}}", rate("holdfast_requests_total", "method"))]),
        ("Calls that failed, by code", PER_S, [("{{code}}", rate("holdfast_requests_total", "code", 'code!="OK"'))]),
        ("Time of a call", SECONDS, quantiles("holdfast_request_duration_seconds")),
        ("Time of a call, p99 by method", SECONDS, [("{{method}}", quantile(0.99, "holdfast_request_duration_seconds", "method"))]),
        ("Refused before they began", PER_S, [("{{reason}}", rate("holdfast_refusals_total", "reason"))]),
        ("In progress", NUMBER, [("calls", gauge("holdfast_requests_in_progress")), ("streams", gauge("holdfast_streams_in_progress")), ("connections", gauge("holdfast_connections"))]),
        ("Bytes of messages", BYTES_PER_S, [("received", rate("holdfast_received_bytes_total")), ("sent", rate("holdfast_sent_bytes_total"))]),
        ("Memory of calls in progress", BYTES, [("requests and replies", gauge("holdfast_call_memory_bytes"))]),
    ]),
    ("Objects", [
        ("Objects in memory", NUMBER, [("{{class}}", gauge("holdfast_active_objects", "class"))]),
        ("Memory of objects", BYTES, [("objects", gauge("holdfast_active_object_bytes"))]),
        ("Turns a second", PER_S, [("{{class}}", rate("holdfast_turn_duration_seconds_count", "class"))]),
        ("Time of a turn, p99", SECONDS, [("{{class}}", quantile(0.99, "holdfast_turn_duration_seconds", "class"))]),
        ("Depth of the mailbox, p99", NUMBER, [("{{class}}", quantile(0.99, "holdfast_mailbox_depth", "class"))]),
        ("Loads and unloads", PER_S, [("loaded", rate("holdfast_load_duration_seconds_count")), ("unloaded", rate("holdfast_passivations_total")), ("failed", rate("holdfast_load_failures_total"))]),
        ("Time of a load", SECONDS, quantiles("holdfast_load_duration_seconds")),
        ("Executors: share of a processor", SHARE, [("{{executor}}", rate("holdfast_executor_cpu_seconds_total", "executor"))]),
    ]),
    ("Commits, log and fold", [
        ("Time of a commit", SECONDS, quantiles("holdfast_commit_duration_seconds")),
        ("Commits and syncs a second", PER_S, [("commits", rate("holdfast_commit_duration_seconds_count")), ("syncs of the log", rate("holdfast_log_sync_duration_seconds_count")), ("failed", rate("holdfast_commit_failures_total"))]),
        ("Objects in a commit", NUMBER, [("mean", mean("holdfast_commit_keyspaces")), ("p99", quantile(0.99, "holdfast_commit_keyspaces"))]),
        ("Bytes of a commit", BYTES, [("mean", mean("holdfast_commit_bytes")), ("p99", quantile(0.99, "holdfast_commit_bytes"))]),
        ("Bytes written", BYTES_PER_S, [("log", rate("holdfast_log_bytes_total")), ("fold", rate("holdfast_fold_bytes_total")), ("flushes", rate("holdfast_flushed_bytes_total")), ("compactions", rate("holdfast_compaction_written_bytes_total"))]),
        ("Writes not in the store yet", BYTES, [("not synced", gauge("holdfast_pending_commit_bytes")), ("not folded", gauge("holdfast_unfolded_bytes")), ("bound", gauge("holdfast_unfolded_limit_bytes"))]),
        ("Time of a fold", SECONDS, quantiles("holdfast_fold_duration_seconds")),
        ("Time of a sync of the log", SECONDS, quantiles("holdfast_log_sync_duration_seconds")),
    ]),
    ("Store and disk", [
        ("Free on the disk", BYTES, [("free", gauge("holdfast_disk_free_bytes")), ("reserve", gauge("holdfast_disk_reserve_bytes"))]),
        ("Size of the store", BYTES, [("tables", gauge("holdfast_table_bytes")), ("in memory", gauge("holdfast_memtable_bytes")), ("to be compacted", gauge("holdfast_pending_compaction_bytes"))]),
        ("Block cache: share of hits", SHARE, [("hits", f"{rate('holdfast_block_cache_hits_total')} / ({rate('holdfast_block_cache_hits_total')} + {rate('holdfast_block_cache_misses_total')})")]),
        ("Block cache", BYTES, [("used", gauge("holdfast_block_cache_bytes")), ("bound", gauge("holdfast_block_cache_limit_bytes"))]),
        ("Stalls", PER_S, [("begun", rate("holdfast_store_stalls_total")), ("families held back now", gauge("holdfast_store_stalled_families"))]),
        ("Flushes and compactions", PER_S, [("flushes", rate("holdfast_flushes_total")), ("compactions", rate("holdfast_compactions_total"))]),
        ("Compactions at work", SHARE, [("share of the time", rate("holdfast_compaction_seconds_total"))]),
        ("Families of objects", NUMBER, [("used", gauge("holdfast_families")), ("bound", gauge("holdfast_families_limit"))]),
        ("Moves of objects", PER_S, [("to {{to}}, {{outcome}}", rate("holdfast_moves_total", "to, outcome"))]),
    ]),
    ("Alarms", [
        ("Alarms a second", PER_S, [("{{class}}", rate("holdfast_alarm_lateness_seconds_count", "class"))]),
        ("How late alarms begin", SECONDS, quantiles("holdfast_alarm_lateness_seconds")),
        ("Failed and dropped", PER_S, [("failed", rate("holdfast_alarm_failures_total")), ("dropped", rate("holdfast_alarms_dropped_total"))]),
        ("Alarms now", NUMBER, [("running", gauge("holdfast_alarms_running")), ("wait for a client", gauge("holdfast_alarms_waiting")), ("clients that watch", gauge("holdfast_alarm_watchers"))]),
        ("Backlog", SECONDS, [("the next alarm is late by", gauge("holdfast_alarm_backlog_seconds"))]),
    ]),
    ("SQL and request ids", [
        ("Transactions of SQL a second", PER_S, [("{{place}}", rate("holdfast_sql_duration_seconds_count", "place"))]),
        ("Time of a transaction, p99", SECONDS, [("{{place}}", quantile(0.99, "holdfast_sql_duration_seconds", "place"))]),
        ("Wait for a thread for SQL", SECONDS, quantiles("holdfast_sql_wait_seconds")),
        ("Transactions that wait", NUMBER, [("wait", gauge("holdfast_sql_waiting"))]),
        ("Replies kept for request ids", NUMBER, [("records", gauge("holdfast_request_records"))]),
        ("Bytes of those replies", BYTES, [("used", gauge("holdfast_request_record_bytes")), ("bound", gauge("holdfast_request_record_limit_bytes"))]),
    ]),
    ("Process", [
        ("Processor", SHARE, [("process", rate("process_cpu_seconds_total"))]),
        ("Memory", BYTES, [("resident", gauge("process_resident_memory_bytes"))]),
        ("Open files", NUMBER, [("open", gauge("process_open_fds")), ("limit", gauge("process_max_fds"))]),
        ("Version", NUMBER, [("{{version}}, format {{storage_format}}", gauge("holdfast_build_info", "version, storage_format"))]),
        ("Not well", NUMBER, [("executors that do not answer", gauge("holdfast_executors_unresponsive")), ("draining", gauge("holdfast_draining"))]),
    ]),
]

WIDTH, HEIGHT, ACROSS = 6, 7, 4


def variable(name, query, multi):
    return {"name": name, "type": "query", "datasource": {"type": "prometheus", "uid": "$datasource"}, "query": query,
            "refresh": 2, "multi": multi, "includeAll": multi}


def panel(number, place, title, unit, queries):
    targets = [{"refId": chr(ord("A") + i), "expr": query, "legendFormat": legend} for i, (legend, query) in enumerate(queries)]
    return {"id": number, "type": "timeseries", "title": title, "gridPos": place, "targets": targets,
            "datasource": {"type": "prometheus", "uid": "$datasource"},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}}


def dashboard():
    panels, top, number = [], 0, 1
    for title, of_row in ROWS:
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": WIDTH * ACROSS, "x": 0, "y": top}})
        number, top = number + 1, top + 1
        for i, (name, unit, queries) in enumerate(of_row):
            place = {"h": HEIGHT, "w": WIDTH, "x": i % ACROSS * WIDTH, "y": top + i // ACROSS * HEIGHT}
            panels.append(panel(number, place, name, unit, queries))
            number += 1
        top += (len(of_row) + ACROSS - 1) // ACROSS * HEIGHT
    return {
        "uid": "holdfast", "title": "Holdfast", "tags": ["holdfast"], "schemaVersion": 38, "editable": True,
        "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "timezone": "",
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus"},
            variable("job", "label_values(holdfast_build_info, job)", False),
            variable("instance", 'label_values(holdfast_build_info{job="$job"}, instance)', True),
        ]},
        "panels": panels,
    }

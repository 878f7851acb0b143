#!/usr/bin/python3
"""deploy/compose.yaml is right, as far as it can be seen without its images: the real server and the real Prometheus run
with its configurations, all alerts are evaluated, and under a load of the tool each query of the dashboard has numbers.

    compose.py ROOT HOLDFASTD HOLDFAST

Only addresses, paths and intervals are changed. Of Grafana the files are checked against the services that they name.
Prometheus comes with deploy/install-deps.sh --tools; without it the test fails. The file itself is read by the library of
Docker Compose, if tests/deploy/build_tools.sh has built it; otherwise that check is skipped, with a line that says so.
"""
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

PROMETHEUS = "/usr/local/share/holdfast/promtool/prometheus"
SECONDS_MAX = 60
# The load, and the panels whose queries may have no number after it, and why. All others must have one.
WORKLOADS = ["increment", "add", "sql-update", "limit"]
NO_NUMBER_YET = {"Block cache: share of hits": "a new store answers from its memory"}
faults = []


def wait_for(what, look):
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            found = look()
            if found:
                return found
        time.sleep(0.05)  # another process gets there when it gets there
    sys.exit(f"compose: {what} did not happen within {SECONDS_MAX} s")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def process(log, *command):
    with open(log, "w") as out:
        started = subprocess.Popen([str(each) for each in command], stdout=out, stderr=out)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(SECONDS_MAX)


def check_files(deploy, compose, version):
    services = compose["services"]
    if services["holdfast"]["image"] != f"holdfast:{version}":
        faults.append(f"the image is not of version {version}")
    for name, service in services.items():
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                faults.append(f"{name}: port {port} is not of this machine alone")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./") and not (deploy / source).is_file():
                faults.append(f"{name}: there is no {source}")
            if not source.startswith("./") and source not in compose["volumes"]:
                faults.append(f"{name}: the volume {source} is not declared")
    if not services["holdfast"]["read_only"] or services["holdfast"]["cap_drop"] != ["ALL"]:
        faults.append("the server's container is not read-only without capabilities")
    source = yaml.safe_load((deploy / "compose/grafana-datasource.yml").read_text())["datasources"][0]
    url = urllib.parse.urlparse(source["url"])
    if url.hostname not in services or not any(port.endswith(f":{url.port}") for port in services[url.hostname]["ports"]):
        faults.append(f"Grafana asks {source['url']}, which is no service")
    folder = yaml.safe_load((deploy / "compose/grafana-dashboards.yml").read_text())["providers"][0]["options"]["path"]
    if not any(f"dashboard.json:{folder}/" in volume for volume in services["grafana"]["volumes"]):
        faults.append(f"no dashboard is mounted in {folder}")


def check_specification(root):
    reader = root / "build/tools/deploy/compose-spec"
    if not reader.exists():
        print("compose: SKIPPED the check against the specification of Compose: tests/deploy/build_tools.sh builds what it needs")
        return
    done = subprocess.run([reader, root / "deploy/compose.yaml"], capture_output=True, text=True)
    if done.returncode != 0:
        faults.append(f"compose.yaml: {done.stderr.strip()}")
    else:
        print("compose: the library of Compose reads the file")


def edited(file, *changes):
    text = file.read_text()
    for old, new in changes:
        if old not in text:
            sys.exit(f"compose: {file} does not say {old!r}")
        text = text.replace(old, new)
    return text


def silent_panels(deploy, ask):
    """Asks Prometheus each query as Grafana would. Returns how many there are, and the panels without a number."""
    queries, silent = 0, set()
    for panel in json.loads((deploy / "monitoring/dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "5m").replace("$job", "holdfast").replace("$instance", ".*")
            queries += 1
            try:
                found = ask("query", query=query)["result"]
            except OSError as error:
                sys.exit(f"compose: {panel['title']}: {query}: {error}")
            # A quantile or a share of nothing is not a number.
            if all(each["value"][1] == "NaN" for each in found):
                silent.add(panel["title"])
    return queries, silent


def check_dashboard(deploy, ask):
    """Each query gets its number in the end: a batch is processed, and a file is written, some time after the load."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        queries, silent = silent_panels(deploy, ask)
        missing = sorted(silent - NO_NUMBER_YET.keys())
        if not missing or time.monotonic() > until:
            break
        time.sleep(0.5)  # the next scrape comes in its own time
    faults.extend(f"{title}: a query of the dashboard has no number" for title in missing)
    print(f"compose: {queries} queries of the dashboard answered; no number yet: {', '.join(sorted(silent)) or 'none'}")


def check_alerts(evaluated, ask):
    for rule in evaluated:
        if rule["health"] != "ok":
            faults.append(f"{rule['name']}: {rule.get('lastError')}")
        if rule["state"] == "firing":
            faults.append(f"{rule['name']} fires on a server that is well")
        # A scrape must have had each metric, be it 0, or the alert could never fire. The last one may have been late.
        for name in sorted(set(re.findall(r"\b(?:holdfast|process)_\w+", rule["query"]))):
            if not ask("query", query=f"count(last_over_time({name}[5m]))")["result"]:
                faults.append(f"{rule['name']}: there is no {name}")
    print(f"compose: {len(evaluated)} alerts evaluated, none fires, and the scrape has their metrics")


def main():
    root, holdfastd, tool = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    deploy = root / "deploy"
    version = re.search(r"^project\(holdfast VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text(), re.M)[1]
    check_files(deploy, yaml.safe_load((deploy / "compose.yaml").read_text()), version)
    check_specification(root)
    if not pathlib.Path(PROMETHEUS).exists():
        sys.exit("compose: there is no prometheus; install it: deploy/install-deps.sh --tools")
    with contextlib.ExitStack() as stack:
        place = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (place / "holdfast.textproto").write_text(edited(
            deploy / "compose/holdfast.textproto", ("0.0.0.0:50051", "127.0.0.1:0"), ("0.0.0.0:9464", "127.0.0.1:0"),
            ("/var/lib/holdfast", str(place / "data"))) + "log_format: TEXT\n")
        stack.enter_context(process(place / "server.log", holdfastd, "--config", place / "holdfast.textproto"))
        log = lambda: (place / "server.log").read_text()
        endpoint = wait_for("the start of the server", lambda: "event=serving" in log() and re.search(r"event=metrics listen=(\S+)", log()))[1]
        (place / "alerts.yml").write_text((deploy / "monitoring/alerts.yml").read_text())
        (place / "prometheus.yml").write_text(edited(
            deploy / "compose/prometheus.yml", ("holdfast:9464", endpoint), ("scrape_interval: 10s", "scrape_interval: 1s"),
            ("evaluation_interval: 10s", "evaluation_interval: 1s")))
        address = f"127.0.0.1:{free_port()}"
        stack.enter_context(process(
            place / "prometheus.log", PROMETHEUS, f"--config.file={place / 'prometheus.yml'}",
            f"--storage.tsdb.path={place / 'tsdb'}", f"--web.listen-address={address}"))

        def ask(path, **parameters):
            url = f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]

        def rules():
            found = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            return found if found and all(rule["health"] != "unknown" for rule in found) else None

        wait_for("a scrape", lambda: [each for each in ask("query", query='up{job="holdfast"}')["result"] if each["value"][1] == "1"])
        evaluated = wait_for("the evaluation of the rules", rules)
        check_alerts(evaluated, ask)
        server = re.search(r"event=serving .*?listen=(\S+)", log())[1]
        for workload in WORKLOADS:
            done = subprocess.run([tool, "--server", server, "--timeout", f"{SECONDS_MAX}s", "bench", workload, "--duration", "1s", "--objects", "8", "--keep"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"compose: the load failed: {done.stderr}")
        # Rates need two scrapes, the second of them after the load.
        until = time.time()
        wait_for("a scrape after the load", lambda: float((ask("query", query='timestamp(up{job="holdfast"})')["result"] or [{"value": [0, "0"]}])[0]["value"][1]) > until)
        check_dashboard(deploy, ask)
    if faults:
        sys.exit("\n".join(faults))


main()

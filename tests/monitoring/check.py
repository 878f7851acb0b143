#!/usr/bin/env python3
"""The real promtool checks what the server and the tree have for Prometheus.

    check.py metrics HOLDFASTD    starts the server and has a scrape of it checked
    check.py rules ROOT           has the rules checked, and tests them

promtool comes with deploy/install-deps.sh --tools. Without it the checks fail.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

PROMTOOL = "/usr/local/share/holdfast/promtool/promtool"
START_SECONDS_MAX = 60


def promtool(*arguments, text=None):
    program = PROMTOOL if pathlib.Path(PROMTOOL).exists() else shutil.which("promtool")
    if program is None:
        sys.exit("check: there is no promtool; install it: deploy/install-deps.sh --tools")
    shown = subprocess.run([program, *map(str, arguments)], input=text, text=True, capture_output=True)
    print(shown.stdout + shown.stderr, end="")
    # It exits with 0 also where it has something to say of a name or a help.
    if shown.returncode != 0 or (arguments[:2] == ("check", "metrics") and shown.stdout + shown.stderr):
        sys.exit(f"check: promtool {' '.join(map(str, arguments))} is not content")


def endpoint_of(log, process):
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        text = log.read_text()
        found = re.search(r"event=metrics listen=(\S+)", text)
        if found and "event=serving" in text:
            return found[1]
        time.sleep(0.02)  # no event tells that a process has started
    sys.exit(f"check: the server does not serve:\n{log.read_text()}")


def check_metrics(holdfastd):
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        (place / "config").write_text('metrics { listen: "127.0.0.1:0" } log_format: TEXT\n')
        with open(place / "log", "w") as log:
            process = subprocess.Popen(
                [holdfastd, "--config", place / "config", "--listen", "127.0.0.1:0", "--data-dir", place / "data"],
                stdout=log, stderr=log)
        try:
            endpoint = endpoint_of(place / "log", process)
            # The second scrape has the numbers of the first.
            for _ in range(2):
                with urllib.request.urlopen(f"http://{endpoint}/metrics", timeout=30) as answer:
                    text = answer.read().decode()
                promtool("check", "metrics", text=text)
        finally:
            process.terminate()
            process.wait()
    series = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    print(f"check: promtool is content with {series} series")


def check_rules(root):
    rules = root / "deploy/monitoring/alerts.yml"
    promtool("check", "rules", rules)
    with tempfile.TemporaryDirectory() as directory:
        test = pathlib.Path(directory) / "test.yml"
        test.write_text((root / "tests/monitoring/alerts_test.yml").read_text().replace("RULES", str(rules)))
        promtool("test", "rules", test)


if __name__ == "__main__":
    if sys.argv[1:2] == ["metrics"] and len(sys.argv) == 3:
        check_metrics(sys.argv[2])
    elif sys.argv[1:2] == ["rules"] and len(sys.argv) == 3:
        check_rules(pathlib.Path(sys.argv[2]).resolve())
    else:
        sys.exit(__doc__)

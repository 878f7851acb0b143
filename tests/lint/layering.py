#!/usr/bin/env python3
"""Includes go one way: service -> actors -> storage; client sees only proto; tests see all.

Also: only storage/rocksdb_* knows RocksDB, only storage/sql/ and client/sql_split.cc know SQLite, and only service/ and
client/ know gRPC; and options of RocksDB that lose data have no place anywhere.
Usage: layering.py ROOT. Prints each include that breaks a rule and exits 1 if there is one.
"""
import pathlib
import re
import sys

MAY_INCLUDE = {
    "storage": {"storage"},
    "actors": {"actors", "storage"},
    "service": {"service", "actors", "storage"},
    "client": {"client"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


# With the first, a commit that names a dropped family reports OK and loses that family's keys; with the second, a log
# ends in records of an older one.
NEVER_SET = re.compile(r"\b(ignore_missing_column_families|recycle_log_file_num)\b")


def broken_rules(folder, path, included):
    top = included.split("/")[0]
    if top in (*MAY_INCLUDE, "tests") and top not in MAY_INCLUDE[folder]:
        yield f"{folder} may not include {top}"
    if top == "rocksdb" and not (folder == "storage" and path.name.startswith("rocksdb_")):
        yield "only storage/rocksdb_* may include RocksDB"
    if included in ("sqlite3.h", "sqlite3ext.h") and not (
        (folder == "storage" and path.parent.name == "sql") or (folder == "client" and path.name == "sql_split.cc")
    ):
        yield "only storage/sql and client/sql_split.cc may include SQLite"
    if top in ("grpc", "grpcpp") and folder not in ("service", "client"):
        yield "only service and client may include gRPC"
    if included.endswith(".grpc.pb.h") and folder not in ("service", "client"):
        yield "only service and client may include generated services"


def main():
    root = pathlib.Path(sys.argv[1])
    files = 0
    broken = 0
    for folder in MAY_INCLUDE:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            files += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                for rule in broken_rules(folder, path, match.group(1)) if match else ():
                    print(f"{path.relative_to(root)}:{number}: {match.group(1)}: {rule}")
                    broken += 1
                for option in NEVER_SET.findall(line):
                    print(f"{path.relative_to(root)}:{number}: {option} is never set: it loses data")
                    broken += 1
    print(f"layering: {files} files, {broken} includes break a rule")
    if files == 0:
        print("layering: no files found, so nothing was checked")
    return 1 if broken or files == 0 else 0


sys.exit(main())

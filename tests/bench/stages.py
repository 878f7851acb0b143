#!/usr/bin/env python3
"""Divides the CPU time of holdfastd by stage: a table of microseconds for each operation.

    perf record -F 400 --call-graph dwarf,8192 -p $(pidof holdfastd) -o /tmp/perf.data -- sleep 3
    perf script -i /tmp/perf.data -F comm,ip,sym | tests/bench/stages.py CPU_US

CPU_US is the server's CPU time for an operation, as wire_bench prints it. A sample belongs to the stage of the innermost
frame that names one, so what gRPC does within a turn's reply is gRPC's, and a wake-up is a hand-off whoever makes it.
"""

import collections
import re
import sys

# The stages are in this order: a frame belongs to the first stage that matches.
STAGES = [
    ("SQLite", r"^sqlite3|holdfast::storage::sql::"),
    ("sync of the log", r"fdatasync|LogFile::(Sync|Write)"),
    ("fold: RocksDB", r"rocksdb::.*Write|rocksdb::(MemTable|InlineSkipList|WriteBatch)"),
    ("RocksDB: reads, tables", r"rocksdb::"),
    ("fold", r"LoggedStore::(FoldWith|FoldLoop|CommitBelow)|Unfolded::(BeginFold|EndFold)"),
    ("log: batch and its bytes", r"EncodeBatch|FileCommitLog|AppendLogRecord|LoggedStore::Lane"),
    ("unfolded writes", r"holdfast::storage::Unfolded"),
    ("hand-offs", r"holdfast::actors::(WorkerPool|Executor)::|WakeUp|CompletionQueueExecutor"),
    ("gRPC, sockets, messages", r"grpc|google::protobuf|holdfast::v1::|holdfast::service::"),
    ("commit: write sets, pipeline", r"holdfast::storage::(CommitPipeline|WriteSet|Keyspace)"),
    ("turn", r"holdfast::(actors|storage)::"),
]
PATTERNS = [(name, re.compile(pattern)) for name, pattern in STAGES]


def stage_of(frames):
    for frame in frames:
        frame = frame.split("<")[0]  # without the arguments of templates
        for name, pattern in PATTERNS:
            if pattern.search(frame):
                return name
    return "other"


def main():
    cpu_us = float(sys.argv[1])
    counts = collections.Counter()
    frames = []
    for line in sys.stdin:
        if line.strip():
            # The line of a frame is indented, with address and symbol. The first line of a sample has the thread's
            # name.
            if line[0].isspace():
                frames.append(line.split(None, 1)[1].strip() if len(line.split(None, 1)) > 1 else "")
        elif frames:
            counts[stage_of(frames)] += 1
            frames = []
    if frames:
        counts[stage_of(frames)] += 1
    total = sum(counts.values())
    print(f"| stage | CPU us per operation | share |\n|---|---|---|")
    for name, count in counts.most_common():
        print(f"| {name} | {cpu_us * count / total:.1f} | {100 * count / total:.0f} % |")
    print(f"| all ({total} samples) | {cpu_us:.1f} | |")


if __name__ == "__main__":
    main()

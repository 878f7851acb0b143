#!/usr/bin/env python3
"""The layering check finds what it is for: runs it over small trees with and without a fault."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("layering.py")
CASES = [
    ("storage/store/a.h", '#include "storage/store/b.h"', True),
    ("storage/store/a.h", '#include "storage/base/b.h"', True),
    ("storage/sql/a.h", '#include "storage/object/b.h"', True),
    ("actors/runtime/a.h", '#include "actors/object.h"', True),
    ("service/a.h", '#include "actors/runtime/b.h"', True),
    ("service/rpcs/a.h", '#include "service/call/b.h"', True),
    ("service/call/a.h", '#include "service/access/b.h"', True),
    ("service/access/a.h", '#include "service/call/b.h"', False),
    ("service/access/a.h", '#include "actors/b.h"', False),
    ("storage/rocksdb/rocksdb_store.cc", '#include "rocksdb/db.h"', True),
    ("storage/sql/vfs.cc", "#include <sqlite3.h>", True),
    ("storage/postgres/connection.cc", "#include <libpq-fe.h>", True),
    ("client/sql_split.cc", "#include <sqlite3.h>", True),
    ("client/a.h", '#include "holdfast/v1/counter_service.grpc.pb.h"', True),
    ("storage/base/a.h", '#include "actors/b.h"', False),
    ("storage/base/a.h", '#include "storage/store/b.h"', False),
    ("storage/object/a.h", '#include "storage/sql/b.h"', False),
    ("storage/node/a.h", '#include "storage/commit/b.h"', False),
    ("storage/a.h", '#include "storage/base/b.h"', False),
    ("storage/elsewhere/a.h", "", False),
    ("actors/alarms/a.h", '#include "actors/runtime/b.h"', False),
    ("actors/runtime/a.h", '#include "actors/objects/b.h"', False),
    ("actors/a.h", '#include "service/b.h"', False),
    ("service/call/a.h", '#include "service/rpcs/b.h"', False),
    ("service/call/a.h", '#include "service/b.h"', False),
    ("client/a.h", '#include "storage/base/b.h"', False),
    ("actors/a.h", '#include "rocksdb/db.h"', False),
    ("storage/object/keyspace.cc", '#include "rocksdb/db.h"', False),
    ("storage/object/keyspace.cc", "#include <sqlite3.h>", False),
    ("storage/object/keyspace.cc", "#include <libpq-fe.h>", False),
    ("actors/sql/a.h", "#include <sqlite3.h>", False),
    ("client/sql_shell.cc", "#include <sqlite3.h>", False),
    ("actors/a.h", "#include <grpcpp/grpcpp.h>", False),
    ("service/a.h", '#include "tests/b.h"', False),
    ("actors/a.h", "class B {};\nclass A {\n  friend class B;\n};", True),
    ("actors/a.h", "class B;\nclass A {\n  friend class B;\n};", False),
    ("storage/base/mutex.h", "  std::mutex mutex_;", True),
    ("storage/base/check.cc", "  std::abort();", True),
    ("client/a.cc", "  std::mutex mutex;", True),
    ("actors/a.h", "  // A std::mutex would do.", True),
    ("actors/a.h", "  static_assert(true);", True),
    ("actors/a.h", "  std::mutex mutex_;", False),
    ("service/a.cc", "  std::lock_guard lock(mutex_);", False),
    ("storage/sql/a.cc", "  if (bad) std::abort();", False),
    ("storage/sql/a.cc", "  assert(good);", False),
    ("storage/rocksdb/rocksdb_store.cc", "options.ignore_missing_column_families = true;", False),
    ("storage/rocksdb/rocksdb_store.cc", "options.recycle_log_file_num = 4;", False),
]

for path, line, allowed in CASES:
    with tempfile.TemporaryDirectory() as root:
        file = pathlib.Path(root) / path
        file.parent.mkdir(parents=True)
        file.write_text(line + "\n")
        passed = subprocess.run([sys.executable, CHECK, root], capture_output=True).returncode == 0
        assert passed == allowed, f"{path}: {line}: {'passed' if passed else 'refused'}"
print(f"{len(CASES)} cases as expected")

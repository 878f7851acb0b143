"""The differences of SQL that are kept on purpose, by the names under which docs/differences.md explains them.

Each has cases, which every run takes on new objects: what workerd answers and what Holdfast does is claimed, and both
are checked. So a difference that has gone is found as well. The random statements (sql_generator.py) stay clear of them.
"""

import dataclasses

ACCEPTS, REFUSES, CONSTRAINT, TOO_LARGE, RESET = "accepts", "refuses", "constraint", "too large", "reset"
TRIGGER_DEPTH = 15

RANGE_OF_33 = ", ".join(str(number) for number in range(33))
MANY_BYTES = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 8) SELECT zeroblob(500000) FROM c"


@dataclasses.dataclass
class Case:
    """workerd, holdfast: one of the words above, or the rows. before: calls before, on which both agree."""

    sql: str
    workerd: object
    holdfast: object
    before: tuple = ()
    params: tuple = ()


def _all(workerd, holdfast, *statements):
    return [Case(sql, workerd, holdfast) for sql in statements]


def _selects(*rows):
    """Of (expression, workerd's value, Holdfast's value)."""
    return [Case(f"SELECT {expression}", [[there]], [[here]]) for expression, there, here in rows]


def _nested_triggers():
    tables = [f"CREATE TABLE t{i}(a)" for i in range(TRIGGER_DEPTH + 1)]
    triggers = [f"CREATE TRIGGER g{i} AFTER INSERT ON t{i} BEGIN INSERT INTO t{i + 1} VALUES (NEW.a); END" for i in range(TRIGGER_DEPTH)]
    return (tables, triggers)


KEYED = (["CREATE TABLE t(a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)"],)
PARENT = (["CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE c(b REFERENCES p DEFERRABLE INITIALLY DEFERRED)"],)
IMMEDIATE = (["CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE c(b REFERENCES p)"],)
OTHER_ORDER = (["CREATE TABLE t(a INT, b TEXT, c REAL, PRIMARY KEY (c, b)) WITHOUT ROWID", "INSERT INTO t VALUES (1, 'x', 0.5)"],)
INDEXED = (["CREATE TABLE t(a UNIQUE)", "INSERT INTO t VALUES (1)"], ["SELECT count(*) FROM t"])
WORDED = (["CREATE TABLE t(b)", "INSERT INTO t VALUES ('x')", "CREATE TABLE s(a INTEGER) STRICT", "INSERT INTO s VALUES (1)"],)

# Holdfast's own choices.
OURS = {
    "sql-text-not-utf-8": _selects(
        ("CAST(x'ff' AS TEXT)", "\ufffd", {"blob": "/w=="}), ("char(55296)", "\ufffd\ufffd\ufffd", {"blob": "7aCA"})
    ),
    "sql-several-with-parameters": [Case("SELECT 1; SELECT ?1", [[5]], REFUSES, params=(5,))],
    "sql-own-names": [
        *_all(REFUSES, ACCEPTS, "CREATE TABLE _cf_x(a)", "CREATE VIEW _CF_x AS SELECT 1"),
        *_all(ACCEPTS, REFUSES, "CREATE TABLE _holdfast_x(a)", "CREATE VIEW _HOLDFAST_x AS SELECT 1"),
        Case("ALTER TABLE t RENAME TO _cf_x", REFUSES, ACCEPTS, KEYED),
        Case("ALTER TABLE t RENAME TO _holdfast_x", ACCEPTS, REFUSES, KEYED),
    ],
    "sql-pragmas-that-set": _all(
        ACCEPTS,
        REFUSES,
        "PRAGMA foreign_keys",
        "PRAGMA foreign_keys = off",
        "PRAGMA case_sensitive_like = on",
        "PRAGMA ignore_check_constraints = on",
        "PRAGMA legacy_alter_table = on",
        "PRAGMA recursive_triggers",
        "PRAGMA recursive_triggers = on",
        "PRAGMA reverse_unordered_selects = on",
    ),
    "sql-pragmas-that-tell": _all(
        REFUSES, ACCEPTS, "PRAGMA user_version", "PRAGMA user_version = 5", "PRAGMA table_info", "PRAGMA index_list"
    ),
    "sql-more-functions": _all(
        REFUSES,
        ACCEPTS,
        "SELECT sqlite_version()",
        "SELECT sqlite_source_id()",
        "SELECT sqlite_compileoption_used('THREADSAFE')",
        "SELECT sqlite_compileoption_get(0)",
        "SELECT log10(100)",
        "SELECT power(2, 3)",
        "SELECT ceiling(1.5)",
        "SELECT soundex('a')",
    ),
    "sql-over-32-arguments": [Case(f"SELECT max({RANGE_OF_33})", [[32]], REFUSES)],
    "sql-over-5-compound-terms": [Case(" UNION ".join(f"SELECT {i}" for i in range(6)), REFUSES, [[i] for i in range(6)])],
    "sql-over-10-triggers-deep": [Case("INSERT INTO t0 VALUES (1)", REFUSES, ACCEPTS, _nested_triggers())],
    "sql-value-over-2-mib": _all(ACCEPTS, REFUSES, "SELECT zeroblob(2 * 1024 * 1024 + 1)"),
    "sql-large-result": _all(ACCEPTS, TOO_LARGE, MANY_BYTES),
    "sql-deferred-foreign-key": [
        Case("INSERT INTO c VALUES (1)", RESET, CONSTRAINT, PARENT),
        Case("PRAGMA defer_foreign_keys = on; INSERT INTO c VALUES (1)", RESET, CONSTRAINT, IMMEDIATE),
    ],
    "sql-changes-of-an-earlier-call": [
        Case("SELECT changes(), last_insert_rowid()", [[0, 1]], [[0, 0]], (*KEYED, ["DELETE FROM t WHERE a = 5", "INSERT INTO t VALUES (1)"]))
    ],
}

# Those of the SQLite that Debian has from the newer one in workerd.
OF_VERSIONS = {
    "sql-newer-functions": [
        *_all(
            ACCEPTS,
            REFUSES,
            "SELECT concat('a', 1)",
            "SELECT concat_ws(',', 'a', 1)",
            "SELECT octet_length('é')",
            "SELECT unhex('00ff')",
            "SELECT timediff('2024-01-02', '2024-01-01')",
            "SELECT string_agg(a, ',') FROM (SELECT 1 AS a)",
            "SELECT jsonb('[1]')",
            "SELECT iif(1, 2)",
            "SELECT json_valid('[1]', 6)",
        )
    ],
    "sql-newer-syntax": _all(
        ACCEPTS,
        REFUSES,
        "SELECT group_concat(a ORDER BY a DESC) FROM (SELECT 1 AS a)",
        "SELECT 1_000",
        "SELECT " + "(" * 120 + "1" + ")" * 120,
    ),
    "sql-json5": _all(ACCEPTS, REFUSES, "SELECT json('{a: 1}')", "SELECT json('[1,]')", "SELECT json('[0x10]')"),
    "sql-json-details": [
        *_selects(("json_valid(NULL)", None, 0), ("'[1, 2]' ->> -1", 2, None)),
        Case("SELECT id FROM json_each('[1, 2]')", [[1], [3]], [[1], [2]]),
    ],
    "sql-newer-dates": _selects(
        ("strftime('%F %T', '2024-01-02')", "2024-01-02 00:00:00", None),
        ("unixepoch('2024-01-02 03:04:05.5', 'subsec')", 1704164645.5, None),
        ("date('2024-01-31', '+1 month', 'floor')", "2024-02-29", None),
        ("date('2024-01-31', '+0001-01-01')", "2025-03-04", None),
        ("datetime('2024-02-30')", "2024-03-01 00:00:00", "2024-02-30 00:00:00"),
    ),
    "sql-digits-of-reals": [
        *_selects(
            ("CAST(0.1 + 0.2 AS TEXT)", "0.30000000000000004", "0.3"),
            ("quote(0.1 + 0.2)", "0.30000000000000004", "3.00000000000000044408e-01"),
            ("round(2.675, 2)", 2.67, 2.68),
        ),
        Case("SELECT sum(a) FROM (SELECT 0.1 AS a UNION ALL SELECT 0.2 UNION ALL SELECT 0.3)", [[0.6]], [[0.6000000000000001]]),
    ],
    "sql-fts5-or-ignore": [
        Case(
            "INSERT OR IGNORE INTO f(rowid, a) VALUES (1, 'b')",
            ACCEPTS,
            CONSTRAINT,
            (["CREATE VIRTUAL TABLE f USING fts5(a)", "INSERT INTO f(rowid, a) VALUES (1, 'a')"],),
        )
    ],
    "sql-condition-never-met": [Case("SELECT 1 FROM t WHERE -5 IS NULL AND none", [], REFUSES, KEYED)],
    "sql-rows-not-needed": [Case("SELECT a FROM s WHERE a > 5 EXCEPT SELECT json(b) FROM t", [], REFUSES, WORDED)],
    "sql-strict-default": [Case("ALTER TABLE s ADD COLUMN b INTEGER DEFAULT 'x'", REFUSES, ACCEPTS, WORDED)],
    "sql-kinds-of-a-compound": [
        Case(
            "WITH w(a) AS (SELECT x FROM t EXCEPT SELECT y FROM t UNION ALL SELECT y FROM t) SELECT quote(a) FROM w",
            [["0.5"], ["-4"]],
            [["0.5"], ["-4.0"]],
            (["CREATE TABLE t(x REAL, y)", "INSERT INTO t VALUES (0.5, -4)"],),
        )
    ],
    "sql-pragma-optimize": [
        Case("PRAGMA optimize; SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'", [[1]], [[0]], INDEXED)
    ],
    "sql-quick-check": [Case("PRAGMA quick_check", [["ok"]], [["NULL value in t.b"]], OTHER_ORDER)],
    "sql-like-of-a-blob": _selects(("x'5b61' LIKE '%a'", 1, 0), ("x'5b61' GLOB '*a'", 1, 0)),
    "sql-long-substr": _selects(("substr('abc', 1, 0x7fffffffff)", "abc", "")),
}

FAULTS = {
    "sql-or-rollback": [
        Case("INSERT OR ROLLBACK INTO t VALUES (1)", RESET, CONSTRAINT, KEYED),
        Case("INSERT INTO t VALUES (2)", RESET, CONSTRAINT, (*KEYED, ["CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END"])),
    ],
}

ALL = {**OURS, **OF_VERSIONS, **FAULTS}

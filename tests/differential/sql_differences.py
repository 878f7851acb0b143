"""The differences of SQL that are kept on purpose, by the names under which docs/differences.md explains them.

Each has cases, which every run takes on new objects. A case claims an answer of workerd and one of Holdfast, and both
are checked, so that the test finds a difference that has gone. The random statements (sql_generator.py) avoid them.
"""

import dataclasses

ACCEPTS, REFUSES, CONSTRAINT, TOO_LARGE, RESET = "accepts", "refuses", "constraint", "too large", "reset"
TRIGGER_DEPTH = 15

RANGE_OF_33 = ", ".join(str(number) for number in range(33))
MANY_BYTES = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 8) SELECT zeroblob(500000) FROM c"


@dataclasses.dataclass
class Case:
    """workerd, holdfast: one of the words above, or the rows. before: earlier calls, on which both agree."""

    sql: str
    workerd: object
    holdfast: object
    before: tuple = ()
    params: tuple = ()


def _all(workerd, holdfast, *statements):
    return [Case(sql, workerd, holdfast) for sql in statements]


def _selects(*rows):
    """Makes cases of tuples (expression, workerd's value, Holdfast's value)."""
    return [Case(f"SELECT {expression}", [[there]], [[here]]) for expression, there, here in rows]


def _nested_triggers():
    tables = [f"CREATE TABLE t{i}(a)" for i in range(TRIGGER_DEPTH + 1)]
    triggers = [f"CREATE TRIGGER g{i} AFTER INSERT ON t{i} BEGIN INSERT INTO t{i + 1} VALUES (NEW.a); END" for i in range(TRIGGER_DEPTH)]
    return (tables, triggers)


KEYED = (["CREATE TABLE t(a INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)"],)
PARENT = (["CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE c(b REFERENCES p DEFERRABLE INITIALLY DEFERRED)"],)
IMMEDIATE = (["CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE c(b REFERENCES p)"],)

# These differences are Holdfast's own choices.
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

FAULTS = {
    "sql-or-rollback": [
        Case("INSERT OR ROLLBACK INTO t VALUES (1)", RESET, CONSTRAINT, KEYED),
        Case("INSERT INTO t VALUES (2)", RESET, CONSTRAINT, (*KEYED, ["CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END"])),
    ],
}

ALL = {**OURS, **FAULTS}

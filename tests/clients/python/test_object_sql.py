"""SQL through a generated client, and the database as a file of Python's own sqlite3."""

import sqlite3

import grpc

from harness import failure_of
from holdfast.v1 import object_service_pb2 as pb
from holdfast.v1 import sql_pb2


def value(of):
    """Returns a Python value as a SqlValue."""
    match of:
        case None:
            return sql_pb2.SqlValue()
        case int():
            return sql_pb2.SqlValue(integer=of)
        case float():
            return sql_pb2.SqlValue(real=of)
        case str():
            return sql_pb2.SqlValue(text=of)
        case bytes():
            return sql_pb2.SqlValue(blob=of)


def python(wire):
    kind = wire.WhichOneof("kind")
    return None if kind is None else getattr(wire, kind)


def execute(api, obj, *statements):
    """Executes statements, or pairs of a statement and its parameters; returns the rows of the last."""
    request = pb.ExecuteSqlRequest(object=obj)
    for statement in statements:
        sql, params = (statement, []) if isinstance(statement, str) else statement
        request.statements.add(sql=sql, params=[value(param) for param in params])
    reply = api.objects.ExecuteSql(request)
    assert len(reply.results) == len(statements)
    return [tuple(python(cell) for cell in row.values) for row in reply.results[-1].rows]


def export(api, obj):
    return b"".join(part.chunk for part in api.objects.ExportSql(pb.ExportSqlRequest(object=obj)))


def import_file(api, obj, file):
    def parts():
        yield pb.ImportSqlRequest(header=pb.ImportSqlHeader(object=obj))
        for begin in range(0, len(file), 10_000):
            yield pb.ImportSqlRequest(chunk=file[begin : begin + 10_000])

    return api.objects.ImportSql(parts())


def test_values_come_back_as_they_went(api, obj):
    row = (None, -(2**63), 0.1, "ünï\0code", b"\x00\xff")
    assert execute(api, obj, ("SELECT ?, ?, ?, ?, ?", row)) == [row]


def test_a_call_is_a_transaction(api, obj):
    execute(api, obj, "CREATE TABLE t(v UNIQUE)", "INSERT INTO t VALUES (1)")
    failure = failure_of(lambda: execute(api, obj, "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)"))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SQL_CONSTRAINT")
    assert execute(api, obj, "SELECT v FROM t") == [(1,)]


def test_text_that_is_not_utf_8_comes_back_as_a_blob(api, obj):
    assert execute(api, obj, "SELECT CAST(x'ff61' AS TEXT)") == [(b"\xffa",)]


def test_a_database_goes_out_is_changed_and_comes_back(api, obj, tmp_path):
    execute(api, obj, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", ("INSERT INTO t(v) VALUES (?)", [b"x" * 50_000]))
    path = tmp_path / "file.db"
    path.write_bytes(export(api, obj))
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT id, length(v) FROM t").fetchall() == [(1, 50_000)]
        db.execute("INSERT INTO t VALUES (2, 'from outside')")
    db.close()
    assert import_file(api, obj, path.read_bytes()).bytes == path.stat().st_size
    assert execute(api, obj, "SELECT v FROM t WHERE id = 2") == [("from outside",)]


def test_what_is_no_database_is_refused(api, obj):
    execute(api, obj, "CREATE TABLE t(v)")
    failure = failure_of(lambda: import_file(api, obj, b"no database" * 1000))
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SQL_ERROR")
    assert execute(api, obj, "SELECT name FROM sqlite_schema") == [("t",)]

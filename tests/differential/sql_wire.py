"""Conversion of SQL values, results and failures of the two sides to a comparable form.

JavaScript has one kind of number; workerd binds each as a real and returns integers as the nearest one. Here, too,
every
number goes to Holdfast as a real, and its integers are rounded in the same way. The statements themselves ask for the
kind of a value, and for all digits of a large integer, with typeof() and quote().
"""

import base64
import json
import math
import re

import grpc
from google.rpc import error_details_pb2, status_pb2

from holdfast.v1 import object_service_pb2 as pb

FAILURES = {"SQL_ERROR": "error", "SQL_CONSTRAINT": "constraint", "RESPONSE_TOO_LARGE": "bound"}


class SqlFailed(Exception):
    """statement: the index of the statement that failed; -1: the commit."""

    def __init__(self, kind, statement, message):
        super().__init__(message)
        self.kind, self.statement = kind, statement


def _fill(wire, value):
    if isinstance(value, str):
        wire.text = value
    elif isinstance(value, dict):
        wire.blob = base64.b64decode(value["blob"])
    elif value is not None:
        wire.real = value


def _value(wire):
    kind = wire.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "blob":
        return {"blob": base64.b64encode(wire.blob).decode()}
    if kind == "text":
        return wire.text
    number = float(getattr(wire, kind))
    if math.isfinite(number):
        return number
    return {"number": "Infinity" if number > 0 else "-Infinity"}


def execute_sql(api, object_id, operation):
    """Returns the results of an operation "sql" in the form of worker.js; raises SqlFailed."""
    request = pb.ExecuteSqlRequest(object=object_id)
    for statement in operation["statements"]:
        wanted = request.statements.add(sql=statement["sql"])
        for value in statement.get("params", []):
            _fill(wanted.params.add(), value)
    try:
        reply = api.ExecuteSql(request)
    except grpc.RpcError as error:
        raise _failed(error) from error
    return [
        {
            "columns": [column.name for column in result.columns],
            "rows": [[_value(value) for value in row.values] for row in result.rows],
        }
        for result in reply.results
    ]


def _failed(error):
    """Returns SqlFailed, or the error itself if SQL may not cause it."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.reason in FAILURES:
                named = re.match(r"statements\[(\d+)\]", error.details())
                return SqlFailed(FAILURES[info.reason], int(named[1]) if named else -1, error.details())
    return error


def _number_as_real(value):
    return float(value) if isinstance(value, int) else value


def comparable(answer, unordered=()):
    """Normalizes an answer to an operation "sql": the results, or which statement failed and how, without the words.

    unordered: the statements whose rows may come in any order.
    """
    if "message" in answer:
        kind = answer.get("kind") or ("constraint" if "SQLITE_CONSTRAINT" in answer["message"] else "error")
        return {"failed": answer["failed"], "kind": kind}
    if not answer.get("value"):
        return answer
    results = []
    for result, sort in zip(answer["value"], unordered):
        rows = [[_number_as_real(value) for value in row] for row in result["rows"]]
        results.append({"columns": result["columns"], "rows": sorted(rows, key=json.dumps) if sort else rows})
    return {"value": results}

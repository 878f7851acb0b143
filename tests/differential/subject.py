"""The subject: a holdfastd on loopback. Objects of class Object; their alarm handlers run here, fed by WatchAlarms."""

import base64
import concurrent.futures
import threading
import time
import uuid

import grpc
from google.protobuf import timestamp_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from harness import Server
from holdfast.v1 import object_service_pb2 as pb
from holdfast.v1 import object_service_pb2_grpc as object_grpc
from holdfast.v1 import types_pb2
from sql_wire import SqlFailed, execute_sql

HANDLERS_MAX = 64
LEASE_S = 60
HOLD_MAX_S = 30
WATCH_OUTSTANDING_MAX = 1000
WATCH_RETRY_S = 0.2
# Stands in a message for a lone surrogate, which no string of Protobuf can hold; both are equally long in UTF-8.
STAND_IN = "\uf8ff"


def now_ms():
    return time.time_ns() // 1_000_000


def timestamp(milliseconds):
    """Converts exactly to the microsecond, also a number with a fraction."""
    microseconds = round(milliseconds * 1000)
    return timestamp_pb2.Timestamp(seconds=microseconds // 1_000_000, nanos=microseconds % 1_000_000 * 1000)


def milliseconds(stamp):
    microseconds = stamp.seconds * 1_000_000 + stamp.nanos // 1000
    return microseconds // 1000 if microseconds % 1000 == 0 else microseconds / 1000


def encoded(value):
    return base64.b64encode(value).decode()


def _pairs(entries):
    return [[entry.key, encoded(entry.value)] for entry in entries]


def has_lone_surrogate(text):
    return any("\ud800" <= letter <= "\udfff" for letter in text)


class Holdfast:
    """One server, and one stream of the alarms of all its objects."""

    name = "holdfast"
    is_workerd = False

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self._server = Server(directory)
        self._objects = {}
        self._handlers = concurrent.futures.ThreadPoolExecutor(HANDLERS_MAX)
        self._stopping = threading.Event()
        self._watch = None
        self.problems = []  # problems that belong to no object

    def start(self):
        self._server.start()
        self._watcher = threading.Thread(target=self._watch_alarms, daemon=True)
        self._watcher.start()

    def log(self):
        return self._server.log()

    def stop(self):
        self._stopping.set()
        if self._watch is not None:
            self._watch.cancel()
        self._handlers.shutdown(wait=True, cancel_futures=True)
        self._server.discard()

    @property
    def api(self):
        return self._server.api.objects

    def raw(self, method, message_bytes):
        """Makes a call with a message that no client library would write."""
        identity = lambda data: data
        path = f"/holdfast.v1.ObjectService/{method}"
        call = self._server.api.plain_channel.unary_unary(path, request_serializer=identity)
        return call(message_bytes, timeout=20)

    def open(self, name, keeps_alarm):
        self._objects[name] = HoldfastObject(self, name, keeps_alarm)
        return self._objects[name]

    def _watch_alarms(self):
        request = pb.WatchAlarmsRequest(max_outstanding=WATCH_OUTSTANDING_MAX)
        request.lease.seconds = LEASE_S
        while not self._stopping.is_set():
            try:
                # The stream has none of the deadlines of the harness's calls: it lasts as long as the run.
                self._watch = object_grpc.ObjectServiceStub(self._server.api.plain_channel).WatchAlarms(request)
                for delivery in self._watch:
                    self._handlers.submit(self._handle, delivery, now_us=time.time_ns() // 1000)
            except grpc.RpcError as error:
                if not self._stopping.is_set():
                    self.problems.append(f"WatchAlarms ended: {error.code()} {error.details()}")
                    self._stopping.wait(WATCH_RETRY_S)

    def _handle(self, delivery, now_us):
        handled_by = self._objects.get(delivery.object.name)
        if handled_by is None:
            self.problems.append(f"an alarm of an object that has none: {delivery}")
            return
        problem = handled_by.handle(delivery, now_us)
        if problem:
            self.problems.append(problem)


class HoldfastObject:
    def __init__(self, server, name, keeps_alarm):
        self._server, self._keeps_alarm = server, keeps_alarm
        self._id = types_pb2.ObjectId(name=name)
        self._lock = threading.Lock()
        self._attempts = []
        self._runs = []
        self._released = threading.Event()
        self._end = {}
        self._abandoned = False
        self._deletions = 0  # deletions of the alarm together with its delivery

    # --- What the driver calls

    def do(self, operation):
        try:
            return getattr(self, "_" + operation["op"])(operation)
        except SqlFailed as failed:
            return {"failed": failed.statement, "kind": failed.kind, "message": str(failed)}
        except grpc.RpcError as error:
            return _failure(error)

    def plan(self, attempts):
        with self._lock:
            self._attempts = list(attempts)

    def runs(self):
        with self._lock:
            return [dict(run) for run in self._runs]

    def release(self, end):
        self._end = end
        self._released.set()

    def abandon(self):
        """Ends a handler that holds. Nothing more is expected of this object."""
        self._abandoned = True
        self.plan([])
        self.release({})

    # --- Alarms

    def handle(self, delivery, now_us):
        """Runs the alarm handler in the manner of worker.js. Returns the error, or None."""
        try:
            self._handle(delivery, now_us)
        except Exception as error:  # a thread of the pool would swallow it
            return None if self._abandoned else f"the alarm handler of {self._id.name}: {error!r}"
        return None

    def _handle(self, delivery, now_us):
        scheduled = milliseconds(delivery.scheduled_time)
        run = {
            "scheduled": scheduled,
            "retryCount": delivery.retry_count,
            "early": now_us < scheduled * 1000,
            "started": now_us // 1000,
            "answers": [],
        }
        with self._lock:
            attempt = self._attempts.pop(0) if self._attempts else {}
            self._runs.append(run)
            deletions = self._deletions
        for operation in attempt.get("ops", []):
            run["answers"].append(self.do(operation))
        end = attempt
        if "hold" in attempt:
            run["holding"] = True
            if not self._released.wait(HOLD_MAX_S):
                raise RuntimeError("a handler was held for too long")
            self._released.clear()
            run["holding"] = False
            end = self._end
        fail = end.get("fail")
        done = False
        ended = now_ms()
        if end.get("commit"):
            # The batch ends the delivery, so that the next delivery may come before the answer.
            outcome = self.do({"op": "batch", **end["commit"], "token": delivery.delivery_token})
            run["answers"].append(outcome)
            done = "value" in outcome
            fail = fail or not done
            if not done:
                ended = now_ms()
        if not done:
            self._acknowledge(delivery.delivery_token, fail, stale=self._deletions > deletions)
        run["ended"] = ended

    def _acknowledge(self, token, fail, stale):
        """stale: the delivery was deleted with its object meanwhile, so that the acknowledgement is refused."""
        request = pb.AcknowledgeAlarmRequest(object=self._id, request_id=str(uuid.uuid4()), delivery_token=token)
        if fail:
            request.error.code = code_pb2.INTERNAL
            request.error.message = "the handler fails, as it was told"
        try:
            first = self._server.api.AcknowledgeAlarm(request)
            if self._server.api.AcknowledgeAlarm(request) != first:
                raise RuntimeError("a repeated request_id got another reply")
        except grpc.RpcError as error:
            if not (stale and _failure(error).get("reason") == "ALARM_DELIVERY_STALE"):
                raise RuntimeError(f"AcknowledgeAlarm: {_failure(error)}") from error
        else:
            if stale:
                raise RuntimeError("a delivery that was deleted with its object could be acknowledged")

    # --- Operations

    def _change(self, method, request, operation):
        """Makes the operation. With "again" the request is sent twice with one request_id: it must have one effect and
        one
        reply."""
        if operation.get("again"):
            request.request_id = str(uuid.uuid4())
            first = method(request)
            second = method(request)
            if first.SerializeToString() != second.SerializeToString():
                raise RuntimeError(f"a repeated request_id got another reply: {first} and then {second}")
            return first
        return method(request)

    def _keyed(self, name, request, change, keys, operation):
        """Makes a call whose keys may hold lone surrogates."""
        if any(map(has_lone_surrogate, keys)):
            data = request.SerializeToString()
            for letter in {letter for key in keys for letter in key if has_lone_surrogate(letter)}:
                data = data.replace(STAND_IN.encode(), letter.encode("utf-8", "surrogatepass"))
            return self._server.raw(name, data)
        method = getattr(self._server.api, name)
        return self._change(method, request, operation) if change else method(request)

    @staticmethod
    def _sendable(key):
        return "".join(STAND_IN if has_lone_surrogate(letter) else letter for letter in key)

    def _get_entries(self, keys):
        request = pb.GetEntriesRequest(object=self._id, keys=map(self._sendable, keys))
        return self._keyed("GetEntries", request, False, keys, {})

    def _put_entries(self, entries, operation):
        request = pb.PutEntriesRequest(object=self._id)
        for key, value in entries:
            request.entries.add(key=self._sendable(key), value=base64.b64decode(value))
        self._keyed("PutEntries", request, True, [key for key, _ in entries], operation)
        return {"value": None}

    def _delete_entries(self, keys, operation):
        request = pb.DeleteEntriesRequest(object=self._id, keys=map(self._sendable, keys))
        return self._keyed("DeleteEntries", request, True, keys, operation).deleted_count

    def _put(self, operation):
        return self._put_entries([[operation["key"], operation["value"]]], operation)

    def _putMany(self, operation):
        return self._put_entries(operation["entries"], operation)

    def _get(self, operation):
        entries = self._get_entries([operation["key"]]).entries
        return {"value": encoded(entries[0].value) if entries else None}

    def _getMany(self, operation):
        return {"value": _pairs(self._get_entries(operation["keys"]).entries)}

    def _delete(self, operation):
        return {"value": self._delete_entries([operation["key"]], operation) == 1}

    def _deleteMany(self, operation):
        return {"value": self._delete_entries(operation["keys"], operation)}

    def _list(self, operation):
        """Returns all pages, of whatever size the operation names."""
        options = operation["options"]
        request = pb.ListEntriesRequest(
            object=self._id,
            page_size=operation.get("pageSize", 0),
            start=options.get("start"),
            start_after=options.get("startAfter"),
            end=options.get("end"),
            prefix=options.get("prefix", ""),
            reverse=options.get("reverse", False),
            limit=options.get("limit"),
        )
        entries = []
        while True:
            page = self._server.api.ListEntries(request)
            entries += _pairs(page.entries)
            if not page.next_page_token:
                return {"value": entries}
            request.page_token = page.next_page_token

    def _deleteAll(self, operation):
        request = pb.DeleteAllRequest(object=self._id, keep_alarm=self._keeps_alarm)
        if not self._keeps_alarm:
            self._deletions += 1
        self._change(self._server.api.DeleteAll, request, operation)
        return {"value": None}

    def _cleanup(self, operation):
        self._deletions += 1
        self._change(self._server.api.Cleanup, pb.CleanupRequest(object=self._id), operation)
        return {"value": None}

    def _setAlarm(self, operation):
        request = pb.SetAlarmRequest(object=self._id, scheduled_time=timestamp(operation["time"]))
        self._change(self._server.api.SetAlarm, request, operation)
        return {"value": None}

    def _getAlarm(self, operation):
        reply = self._server.api.GetAlarm(pb.GetAlarmRequest(object=self._id))
        return {"value": milliseconds(reply.scheduled_time) if reply.HasField("scheduled_time") else None}

    def _deleteAlarm(self, operation):
        self._change(self._server.api.DeleteAlarm, pb.DeleteAlarmRequest(object=self._id), operation)
        return {"value": None}

    def _unload(self, operation):
        self._server.api.PassivateObject(pb.PassivateObjectRequest(object=self._id))
        return {"value": None}

    def _sql(self, operation):
        return {"value": execute_sql(self._server.api, self._id, operation)}

    def _batch(self, operation):
        request = pb.ApplyBatchRequest(object=self._id, alarm_delivery_token=operation.get("token", ""))
        for condition in operation["preconditions"]:
            wanted = request.preconditions.add()
            if "value" in condition:
                wanted.etag_equals.key = condition["key"]
                wanted.etag_equals.etag = self._etag_of(condition)
            elif condition["present"]:
                wanted.key_present = condition["key"]
            else:
                wanted.key_absent = condition["key"]
        for step in operation["steps"]:
            wanted = request.steps.add()
            if step["op"] == "put":
                wanted.put.key = step["key"]
                wanted.put.value = base64.b64decode(step["value"])
            elif step["op"] == "delete":
                wanted.delete_key = step["key"]
            elif step["op"] == "setAlarm":
                wanted.set_alarm.CopyFrom(timestamp(step["time"]))
            else:
                wanted.delete_alarm = True
        self._change(self._server.api.ApplyBatch, request, operation)
        return {"value": None}

    def _etag_of(self, condition):
        """Returns the etag of the key if it has this value, and otherwise one that no value has."""
        entries = self._get_entries([condition["key"]]).entries
        matches = entries and encoded(entries[0].value) == condition["value"]
        return entries[0].etag if matches else "0" * 32


def _failure(error):
    """Converts an error: INVALID_ARGUMENT is a refusal, a failed condition aborts, and no other error is expected."""
    trailers = dict(error.trailing_metadata() or ())
    reason = None
    if "grpc-status-details-bin" in trailers:
        for detail in status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                reason = info.reason
    if error.code() == grpc.StatusCode.INVALID_ARGUMENT and reason == "INVALID_FIELD":
        return {"refused": error.details()}
    if error.code() == grpc.StatusCode.ABORTED and reason in ("PRECONDITION_FAILED", "ETAG_MISMATCH"):
        return {"aborted": error.details()}
    return {"error": f"{error.code().name} {error.details()}", "reason": reason}

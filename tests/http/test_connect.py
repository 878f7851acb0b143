"""The Connect protocol, byte by byte: unary and streams, errors, GET, metadata, CORS, and the pages beside them."""

import base64
import json
import socket
import unittest
import urllib.parse

from harness import COUNTERS, HEALTH, OBJECTS, Case, envelope, envelopes, request_bytes


def counter(name):
    return {"object": {"name": name}}


class Unary(Case):
    def test_json_and_binary_are_the_same_call(self):
        answer = self.server.call(f"{COUNTERS}/Increment", {**counter("both"), "amount": "41"})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.json(), {"value": "41"})
        # GetValueRequest{object{name: "both"}}.
        name = b"both"
        message = b"\x0a" + bytes([len(name) + 2]) + b"\x12" + bytes([len(name)]) + name
        reference = self.server.call(f"{COUNTERS}/GetValue", counter("both"))
        self.assertEqual(reference.json(), {"value": "41"})
        binary = self.server.call(f"{COUNTERS}/GetValue", message, content_type="application/proto")
        self.assertEqual((binary.status, binary.headers["content-type"]), (200, "application/proto"), binary)
        self.assertEqual(binary.body, b"\x08\x29")

    def test_an_error_has_its_details(self):
        answer = self.server.call(f"{COUNTERS}/Increment", {"object": {"name": ""}})
        error = self.expect_error(answer, 400, "invalid_argument", "INVALID_FIELD")
        fields = [violation["field"] for detail in error["details"] if detail["type"] == "google.rpc.BadRequest"
                  for violation in detail["debug"]["fieldViolations"]]
        self.assertEqual(fields, ["object.name"])
        for detail in error["details"]:
            self.assertNotIn("=", detail["value"])
            base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4), validate=True)

    def test_each_status_is_that_of_its_code(self):
        self.server.call(f"{COUNTERS}/Increment", {**counter("full"), "amount": str(2**63 - 1)})
        self.expect_error(self.server.call(f"{COUNTERS}/Increment", counter("full")), 400, "out_of_range",
                          "COUNTER_OVERFLOW")
        self.expect_error(self.server.call("/holdfast.v1.UserCacheService/GetUser",
                                           {"object": {"name": "u"}, "id": "nobody"}), 404, "not_found")
        self.server.call(f"{COUNTERS}/Increment", {**counter("twice"), "requestId": "one"})
        self.expect_error(self.server.call(f"{COUNTERS}/Increment", {**counter("twice"), "requestId": "one", "amount": 2}),
                          409, "already_exists")

    def test_bad_json_is_named(self):
        for body, says in ((b'{"object":{"nam":"a"}}', "nam"), (b"{", "JSON"), (b"", "JSON"), (b"\xff", "JSON"),
                           (b"[" * 100000, "JSON"), (b'{"object":{"name":1}}', "JSON")):
            answer = self.server.call(f"{COUNTERS}/Increment", body)
            self.expect_error(answer, 400, "invalid_argument", says=says)

    def test_bad_binary_is_refused(self):
        self.expect_error(self.server.call(f"{COUNTERS}/Increment", b"\xff\xff", content_type="application/proto"), 400,
                          "invalid_argument", "INVALID_FIELD")

    def test_leading_metadata_are_headers(self):
        first = self.server.call(f"{COUNTERS}/Increment", {**counter("again"), "requestId": "x"})
        second = self.server.call(f"{COUNTERS}/Increment", {**counter("again"), "requestId": "x"})
        self.assertEqual(first.body, second.body)
        self.assertNotIn("holdfast-replayed", first.headers)
        self.assertEqual(second.headers["holdfast-replayed"], "1")

    def test_wrong_content_types(self):
        for content_type in ("text/plain", "application/grpc", "application/connect+json", "application/json; charset=x",
                             "multipart/form-data", ""):
            answer = self.server.call(f"{COUNTERS}/Increment", counter("a"), content_type=content_type)
            self.assertEqual(answer.status, 415, answer)
            self.assertEqual(answer.headers["accept-post"], "application/json, application/proto")
        answer = self.server.request("POST", f"{COUNTERS}/Increment", body=b"{}")
        self.assertEqual(answer.status, 415)
        answer = self.server.call(f"{OBJECTS}/ExportObject", {})
        self.assertEqual((answer.status, answer.headers["accept-post"]),
                         (415, "application/connect+json, application/connect+proto"))

    def test_what_is_not_there(self):
        self.assertEqual(self.server.call(f"{COUNTERS}/Nothing", {}).status, 404)
        self.assertEqual(self.server.get("/console/nothing.js").status, 404)
        self.assertEqual(self.server.get("/../etc/passwd").status, 404)
        answer = self.server.request("PUT", f"{COUNTERS}/Increment")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        answer = self.server.request("DELETE", f"{COUNTERS}/GetValue")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, POST"))

    def test_the_files_of_the_console(self):
        page = self.server.get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(b"<!doctype html>", page.body)
        policy = page.headers["content-security-policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(page.headers["x-content-type-options"], "nosniff")
        script = self.server.get("/console/main.js")
        self.assertEqual((script.status, script.headers["content-type"]), (200, "text/javascript; charset=utf-8"))
        again = self.server.get("/console/main.js", [("If-None-Match", script.headers["etag"])])
        self.assertEqual((again.status, again.body), (304, b""))
        head = self.server.request("HEAD", "/console/main.js")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(self.server.request("PUT", "/").status, 405)

    def test_headers_of_connect(self):
        path = f"{COUNTERS}/Increment"
        self.expect_error(self.server.call(path, counter("a"), [("Connect-Protocol-Version", "2")]), 400,
                          "invalid_argument", says="Connect-Protocol-Version")
        self.expect_error(self.server.call(path, counter("a"), [("Connect-Timeout-Ms", "soon")]), 400, "invalid_argument",
                          says="Connect-Timeout-Ms")
        answer = self.server.call(path, counter("a"), [("Content-Encoding", "gzip")])
        self.expect_error(answer, 501, "unimplemented", says="content-encoding")
        self.assertEqual(answer.headers["accept-encoding"], "identity")
        self.expect_error(self.server.call(path, counter("a"), [("Connect-Timeout-Ms", "0")]), 504, "deadline_exceeded")
        answer = self.server.call(path, counter("headers"), [("Connect-Protocol-Version", "1"),
                                                             ("Connect-Timeout-Ms", "10000"),
                                                             ("Content-Encoding", "identity")])
        self.assertEqual(answer.status, 200, answer)

    def test_methods_with_a_stream_of_requests_say_so(self):
        for content_type in ("application/connect+json", "application/connect+proto"):
            answer = self.server.call(f"{COUNTERS}/StreamIncrement", envelope(b"{}"), content_type=content_type)
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, content_type))
            (flags, end), = envelopes(answer.body)
            self.assertEqual((flags, json.loads(end)["error"]["code"]), (2, "unimplemented"))
        self.expect_error(self.server.call(f"{OBJECTS}/ImportSql", {}), 501, "unimplemented", says="gRPC")

    def test_a_large_message_goes_and_comes(self):
        value = base64.b64encode(bytes(range(256)) * 256).decode()
        entries = [{"key": f"k{i}", "value": value} for i in range(20)]
        put = self.server.call(f"{OBJECTS}/PutEntries", {"object": {"name": "large"}, "entries": entries})
        self.assertEqual((put.status, put.body), (200, b"{}"), put)
        got = self.server.call(f"{OBJECTS}/GetEntries",
                               {"object": {"name": "large"}, "keys": [entry["key"] for entry in entries]})
        self.assertEqual(got.status, 200, got)
        self.assertEqual({entry["key"]: entry["value"] for entry in got.json()["entries"]},
                         {entry["key"]: value for entry in entries})


class Get(Case):
    def get(self, method, message, more=""):
        query = urllib.parse.urlencode({"connect": "v1", "encoding": "json", "message": json.dumps(message)})
        return self.server.get(f"{method}?{query}{more}")

    def test_reads_may_be_asked_for_with_get(self):
        self.server.call(f"{COUNTERS}/Increment", {**counter("got"), "amount": "7"})
        answer = self.get(f"{COUNTERS}/GetValue", counter("got"))
        self.assertEqual((answer.status, answer.json()), (200, {"value": "7"}), answer)
        self.assertEqual(answer.headers["cache-control"], "no-store")
        message = base64.urlsafe_b64encode(b"\x0a\x05\x12\x03got").decode().rstrip("=")
        binary = self.server.get(f"{COUNTERS}/GetValue?connect=v1&encoding=proto&base64=1&message={message}")
        self.assertEqual((binary.status, binary.body), (200, b"\x08\x07"), binary)

    def test_changes_may_not(self):
        answer = self.get(f"{COUNTERS}/Increment", counter("a"))
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))

    def test_bad_queries_are_named(self):
        for query, says in (("", "connect"), ("?connect=v1&encoding=xml&message=", "encoding"),
                            ("?connect=v1&encoding=json", "message"),
                            ("?connect=v1&encoding=json&message=%7B%22x%22%3A1%7D", "x")):
            self.expect_error(self.server.get(f"{COUNTERS}/GetValue{query}"), 400, "invalid_argument", says=says)


class Streams(Case):
    def call(self, method, message, content_type="application/connect+json", headers=()):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.server.call(method, envelope(body), headers, content_type=content_type)

    def test_a_stream_ends_with_its_outcome(self):
        entries = [{"key": "k", "value": base64.b64encode(b"v" * 1000).decode()}]
        self.server.call(f"{OBJECTS}/PutEntries", {"object": {"name": "exported"}, "entries": entries})
        answer = self.call(f"{OBJECTS}/ExportObject", {"object": {"name": "exported"}})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["content-type"], "application/connect+json")
        *messages, (flags, end) = envelopes(answer.body)
        self.assertTrue(messages)
        for message_flags, message in messages:
            self.assertEqual(message_flags, 0)
            base64.b64decode(json.loads(message)["chunk"], validate=True)
        self.assertEqual((flags, json.loads(end)), (2, {}))

    def test_an_error_of_a_stream_is_in_its_end(self):
        answer = self.call(f"{OBJECTS}/ExportObject", {"object": {"name": ""}})
        (flags, end), = envelopes(answer.body)
        error = json.loads(end)["error"]
        self.assertEqual((answer.status, flags, error["code"]), (200, 2, "invalid_argument"))
        self.assertIn("google.rpc.ErrorInfo", [detail["type"] for detail in error["details"]])

    def test_bad_envelopes(self):
        for body, code in ((b"", "invalid_argument"), (b"\0\0\0\0\x09{}", "invalid_argument"),
                           (envelope(b"{}") * 2, "invalid_argument"), (envelope(b"{}", flags=1), "internal"),
                           (b"\0\xff\xff\xff\xff{}", "invalid_argument"), (envelope(b"{"), "invalid_argument")):
            answer = self.server.call(f"{HEALTH}/Watch", body, content_type="application/connect+json")
            (flags, end), = envelopes(answer.body)
            self.assertEqual((answer.status, flags, json.loads(end)["error"]["code"]), (200, 2, code), body)
        answer = self.call(f"{HEALTH}/Watch", {}, headers=[("Connect-Content-Encoding", "gzip")])
        (_, end), = envelopes(answer.body)
        self.assertEqual(json.loads(end)["error"]["code"], "unimplemented")

    def open_watch(self):
        connection = self.server.connect()
        connection.send(request_bytes("POST", f"{HEALTH}/Watch", [("Content-Type", "application/connect+json")],
                                      envelope(b"{}")))
        status, headers = connection.head()
        self.assertEqual((status, headers["transfer-encoding"]), (200, "chunked"))
        (flags, message), = envelopes(connection.chunk())
        self.assertEqual((flags, json.loads(message)), (0, {"status": "SERVING"}))
        return connection

    def test_a_watch_says_at_once_that_it_has_begun(self):
        connection = self.server.connect()
        connection.send(request_bytes("POST", f"{OBJECTS}/WatchAlarms", [("Content-Type", "application/connect+json")],
                                      envelope(b"{}")))
        status, headers = connection.head()
        self.assertEqual((status, headers["content-type"]), (200, "application/connect+json"))
        # An alarm that was set after it is told.
        self.server.call(f"{OBJECTS}/SetAlarm", {"object": {"name": "watched"}, "delay": "0s"})
        (flags, message), = envelopes(connection.chunk())
        self.assertEqual((flags, json.loads(message)["object"]["name"]), (0, "watched"), message)
        connection.close()

    def test_a_message_comes_as_soon_as_it_is_there_and_a_client_that_goes_ends_its_call(self):
        before = self.server.metric("holdfast_streams_in_progress")
        connections = [self.open_watch() for _ in range(5)]
        self.eventually(lambda: self.server.metric("holdfast_streams_in_progress") == before + 5, "5 streams")
        for connection in connections:
            connection.close()
        self.eventually(lambda: self.server.metric("holdfast_streams_in_progress") == before, "no stream")

    def test_a_deadline_ends_a_stream(self):
        answer = self.call(f"{HEALTH}/Watch", {}, headers=[("Connect-Timeout-Ms", "300")])
        *_, (flags, end) = envelopes(answer.body)
        self.assertEqual((flags, json.loads(end)["error"]["code"]), (2, "deadline_exceeded"))


class Pages(Case):
    def test_health(self):
        answer = self.server.get("/healthz")
        self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(self.server.get("/readyz").status, 200)
        head = self.server.request("HEAD", "/healthz")
        self.assertEqual((head.status, head.headers["content-length"], head.body), (200, "3", b""))
        self.assertEqual(self.server.request("POST", "/healthz").status, 405)
        self.assertEqual(self.server.call(f"{HEALTH}/Check", {}).json(), {"status": "SERVING"})

    def test_metrics_tell_of_the_port(self):
        answer = self.server.get("/metrics")
        self.assertEqual((answer.status, answer.headers["content-type"]),
                         (200, "text/plain; version=0.0.4; charset=utf-8"))
        self.assertIn(b"# HELP holdfast_requests_total", answer.body)
        # A reading may be a tenth of a second old.
        self.eventually(lambda: self.server.metric("holdfast_http_connections ") >= 1, "a connection")
        before = self.server.metric('holdfast_http_requests_total{answer="4xx"}')
        self.server.get("/nothing")
        # The reading before may lack answers of other tests.
        self.eventually(lambda: self.server.metric('holdfast_http_requests_total{answer="4xx"}') > before, "a 404")
        self.assertGreater(self.server.metric("holdfast_http_sent_bytes_total"), len(answer.body))
        self.assertGreater(self.server.metric("holdfast_http_received_bytes_total"), 100)

    def test_a_connection_is_used_again_and_requests_may_wait_in_it(self):
        connection = self.server.connect()
        for _ in range(3):
            connection.send(request_bytes("GET", "/healthz"))
            self.assertEqual(connection.answer().status, 200)
        body = json.dumps(counter("piped")).encode()
        call = request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json")], body)
        connection.send(call * 20 + request_bytes("GET", "/readyz") + request_bytes("GET", "/nothing"))
        self.assertEqual([connection.answer().json()["value"] for _ in range(20)], [str(i + 1) for i in range(20)])
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(connection.answer().status, 404)
        connection.close()

    def test_one_who_sends_nothing_more_gets_his_answer(self):
        connection = self.server.connect()
        request = request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json")],
                                json.dumps(counter("half-closed")).encode())
        connection.send(request * 3)
        connection.socket.shutdown(socket.SHUT_WR)
        self.assertEqual([connection.answer().json() for _ in range(3)], [{"value": str(n)} for n in (1, 2, 3)])
        self.assertEqual(connection.is_closed(), b"")

    def test_a_target_may_be_a_whole_url(self):
        self.assertEqual(self.server.request("GET", "http://localhost/healthz").body, b"ok\n")
        self.assertEqual(self.server.request("GET", "http://elsewhere.example/healthz").status, 421)

    def test_http_1_0(self):
        connection = self.server.connect()
        connection.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.assertEqual(connection.answer().headers["connection"], "close")
        self.assertEqual(connection.is_closed(), b"")
        connection = self.server.connect()
        body = envelope(b'{"object":{"name":""}}')
        connection.send(f"POST {OBJECTS}/ExportObject HTTP/1.0\r\nContent-Type: application/connect+json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = connection.head()
        self.assertEqual((status, headers["connection"]), (200, "close"))
        self.assertNotIn("transfer-encoding", headers)
        (flags, _), = envelopes(connection.is_closed())
        self.assertEqual(flags, 2)


class Browsers(Case):
    HTTP = 'cors { allowed_origin: "https://app.example" max_age_ms: 60000 }'
    APP = ("Origin", "https://app.example")

    def test_preflights(self):
        asks = [self.APP, ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "content-type,connect-protocol-version")]
        answer = self.server.request("OPTIONS", f"{COUNTERS}/Increment", asks)
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        self.assertEqual(answer.headers["access-control-allow-methods"], "GET, POST")
        self.assertEqual(answer.headers["access-control-max-age"], "60")
        self.assertIn("connect-protocol-version", answer.headers["access-control-allow-headers"])
        other = self.server.request("OPTIONS", f"{COUNTERS}/Increment", [("Origin", "https://evil.example"), *asks[1:]])
        self.assertNotIn("access-control-allow-origin", other.headers)

    def test_answers_may_be_read_by_pages_that_may_call(self):
        self.server.call(f"{COUNTERS}/Increment", {**counter("cors"), "requestId": "r"})
        answer = self.server.call(f"{COUNTERS}/Increment", {**counter("cors"), "requestId": "r"}, [self.APP])
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        self.assertEqual(answer.headers["access-control-expose-headers"], "holdfast-replayed")
        self.assertEqual(answer.headers["vary"], "origin")
        error = self.server.call(f"{COUNTERS}/Increment", {}, [self.APP])
        self.assertEqual((error.status, error.headers["access-control-allow-origin"]), (400, "https://app.example"))

    def test_pages_of_other_origins_are_refused(self):
        for origin in ("https://evil.example", "null", "http://app.example"):
            answer = self.server.call(f"{COUNTERS}/Increment", counter("evil"), [("Origin", origin)])
            self.assertEqual(answer.status, 403, answer)
        self.assertEqual(self.server.call(f"{COUNTERS}/GetValue", counter("evil")).json(), {})
        own = self.server.call(f"{COUNTERS}/GetValue", counter("evil"), [("Origin", "http://localhost")])
        self.assertEqual(own.status, 200)

    def test_a_name_that_was_made_to_lead_here_is_refused(self):
        connection = self.server.connect()
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n")
        self.assertEqual(connection.answer().status, 421)


if __name__ == "__main__":
    unittest.main(verbosity=2)

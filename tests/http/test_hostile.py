"""What a client that wants harm can do to the HTTP port: it gets its error, and others are served as before."""

import json
import pathlib
import select
import socket
import unittest

from harness import COUNTERS, HEALTH, OBJECTS, Case, Connection, envelope, request_bytes

IDLE_CONNECTIONS = 1000
# A connection without a request: the object, its place in the loop, and the system's own socket is not counted here.
IDLE_BYTES_MAX = 8 << 10


class Malformed(Case):
    HTTP = "header_bytes_max: 8192"
    CONFIG = "server { message_bytes_max: 65536 }"

    def answer_to(self, data):
        """Sends the bytes; returns the status of the only answer, behind which the connection ends."""
        connection = self.server.connect()
        try:
            connection.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = connection.answer()
        self.assertEqual(answer.headers["connection"], "close", answer)
        self.assertEqual(connection.is_closed(), b"", data)
        connection.close()
        return answer.status

    def test_smuggling(self):
        smuggled = f"GET {COUNTERS}/GetValue HTTP/1.1\r\nHost: localhost\r\n\r\n"
        start = f"POST {COUNTERS}/Increment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for fields in ("Content-Length: 2\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 2",
                       "Content-Length: 2\r\nContent-Length: 40", "Content-Length: 2\r\nContent-Length: 2",
                       "Transfer-Encoding:\r\n chunked", "X: y\r\n\tContent-Length: 2", "Content-Length: 2, 2", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
                       "Transfer-Encoding : chunked", "Transfer-Encoding:\x0bchunked", "Content-Length: 2\n X: y",
                       "X: y\rContent-Length: 2", "Host: evil"):
            with self.subTest(fields=fields):
                self.assertEqual(self.answer_to(f"{start}{fields}\r\n\r\n0\r\n\r\n{smuggled}".encode("latin1")), 400)

    def test_what_is_no_request(self):
        for data, status in ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, 400), (b"GET /\r\n\r\n", 400),
                             (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505), (b"GET / HTTP/1.1\r\n\r\n", 400),
                             (b"\0" * 100, 400), (b"SSH-2.0-x\r\n\r\n", 400),
                             (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)):
            with self.subTest(data=data):
                self.assertEqual(self.answer_to(data), status)

    def test_a_body_without_bytes_comes_in_pieces(self):
        """The parser's library asserts that the end of the last chunk comes at once."""
        for end in (b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"2\r\n{}\r\n0\r\n\r\n"):
            connection = self.server.connect()
            connection.send(request_bytes("POST", f"{COUNTERS}/GetValue", [("Content-Type", "application/json"),
                                                                           ("Transfer-Encoding", "chunked")])
                            .replace(b"Content-Length: 0\r\n", b""))
            for byte in end:
                connection.send(bytes([byte]))
                # The server has read what came before by the time that it has answered another client.
                self.assertEqual(self.server.get("/healthz").status, 200)
            self.assertEqual(connection.answer().status, 400, end)  # an object without a name
            connection.close()

    def test_what_is_no_request_behind_a_head_has_an_answer_of_its_own(self):
        connection = self.server.connect()
        connection.send(request_bytes("HEAD", "/healthz"))
        self.assertEqual(connection.answer("HEAD").status, 200)
        connection.send(b"\0\r\n\r\n")
        answer = connection.answer()
        self.assertEqual((answer.status, int(answer.headers["content-length"])), (400, len(answer.body)))

    def test_heads_are_bounded(self):
        self.assertEqual(self.answer_to(request_bytes("GET", "/" + "a" * 20000)), 431)
        self.assertEqual(self.answer_to(request_bytes("GET", "/healthz", [("X", "a" * 20000)])), 431)
        self.assertEqual(self.answer_to(request_bytes("GET", "/healthz", [("X", "")] * 200)), 431)
        self.assertEqual(self.answer_to(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 100000), 431)

    def test_bodies_are_bounded(self):
        for stream, path in ((False, f"{COUNTERS}/Increment"), (True, f"{OBJECTS}/ExportObject")):
            kind = "application/connect+json" if stream else "application/json"
            fields = [("Content-Type", kind)]
            connection = self.server.connect()
            connection.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                            "Content-Length: 10000000000\r\n\r\n".encode())
            answer = connection.answer()
            self.assertEqual(answer.status, 200 if stream else 429)
            self.assertIn(b"resource_exhausted", answer.body)
            self.assertIn(b"over 65541 bytes (server.message_bytes_max)", answer.body)
            self.assertEqual(connection.is_closed(), b"")
            connection = self.server.connect()
            chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
            connection.send(request_bytes("GET", path, [*fields, ("Transfer-Encoding", "chunked")]).replace(
                b"GET", b"POST") + chunk * 32)
            answer = connection.answer()
            self.assertEqual(answer.status, 200 if stream else 429)
            self.assertIn(b"resource_exhausted", answer.body)

    def test_chunks_with_long_lines(self):
        head = f"POST {COUNTERS}/Increment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
               "Transfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(self.answer_to(head.encode() + b"1;" + b"a" * 30000), 400)
        self.assertEqual(self.answer_to(head.encode() + b"zz\r\n"), 400)
        self.assertEqual(self.answer_to(head.encode() + b"2\r\n{}XX0\r\n\r\n"), 400)

    def test_bytes_that_no_metadata_may_have(self):
        for name in ("authorization", "traceparent", "tracestate"):
            for value in ("a\tb", "\x80", "Bearer \xe9", "00-\xff"):
                for path in (f"{HEALTH}/Check", f"{COUNTERS}/Increment"):
                    with self.subTest(name=name, value=value, path=path):
                        connection = self.server.connect()
                        connection.send(request_bytes("POST", path, [("Content-Type", "application/json")],
                                                      b"{}").replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode("latin1")))
                        self.expect_error(connection.answer(), 400, "invalid_argument", says=name)
        self.assertEqual(self.server.get("/healthz").status, 200)

    def test_half_requests(self):
        whole = request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json")],
                              json.dumps({"object": {"name": "half"}}).encode())
        for size in range(1, len(whole)):
            connection = self.server.connect()
            connection.send(whole[:size])
            connection.close()
        self.assertEqual(self.server.call(f"{COUNTERS}/GetValue", {"object": {"name": "half"}}).json(), {})

    def test_expect_continue(self):
        connection = self.server.connect()
        body = json.dumps({"object": {"name": "continued"}}).encode()
        request = request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json"),
                                                                  ("Expect", "100-continue")], body)
        connection.send(request[:-len(body)])
        self.assertEqual(connection.head()[0], 100)
        connection.send(body)
        self.assertEqual(connection.answer().json(), {"value": "1"})
        # A request that is refused by its head is not asked for its body.
        connection.send(request_bytes("POST", f"{COUNTERS}/Nothing", [("Expect", "100-continue"),
                                                                      ("Content-Length", "50000")])[:-2] + b"\r\n")


class Open(Case):
    """What anybody may do, without credentials."""

    HTTP = "body_bytes_of_all_max: 1048576"

    def test_a_method_that_needs_no_credentials_takes_little(self):
        for size, status in ((65000, 200), (70000, 429)):
            body = json.dumps({"service": ""}).encode().ljust(size)
            answer = self.server.call(f"{HEALTH}/Check", body)
            self.assertEqual(answer.status, status, answer)
            self.assertEqual(b"needs no credentials" in answer.body, status == 429, answer)

    def test_bodies_on_their_way_leave_room_for_others(self):
        start = f"POST {COUNTERS}/Increment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
                "Content-Length: 1000000\r\n\r\n"
        slow = [self.server.connect() for _ in range(2)]
        for connection in slow:
            connection.send(start.encode() + b" " * 600000)
        # One of them finds no room, whichever it is.
        ready, _, _ = select.select([connection.socket for connection in slow], [], [], 60)
        refused = next(connection for connection in slow if connection.socket in ready)
        self.expect_error(refused.answer(), 429, "resource_exhausted", says="http.body_bytes_of_all_max")
        answer = self.server.call(f"{COUNTERS}/Increment", {"object": {"name": "small"}})
        self.assertEqual(answer.json(), {"value": "1"})
        # The other is taken to its end; and what it has held is free again.
        kept = next(connection for connection in slow if connection is not refused)
        kept.send(b" " * (400000 - 32) + b'{"object":{"name":"patient"}}   ')
        self.assertEqual(kept.answer().json(), {"value": "1"})
        again = self.server.connect()
        again.send(start.encode() + b" " * (1000000 - 32) + b'{"object":{"name":"patient"}}   ')
        self.assertEqual(again.answer().json(), {"value": "2"})

    def test_a_stream_whose_client_sends_on_and_on_ends(self):
        before = self.server.metric("holdfast_streams_in_progress")
        for method in (f"{HEALTH}/Watch", f"{OBJECTS}/WatchAlarms"):
            connection = self.server.connect()
            connection.send(request_bytes("POST", method, [("Content-Type", "application/connect+json")],
                                          envelope(b"{}")))
            self.assertEqual(connection.head()[0], 200)
            try:
                connection.send(b"G" * 40000)
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.eventually(lambda: self.server.metric("holdfast_streams_in_progress") == before, "the end of the stream")
            connection.close()

    def test_a_silent_connection_is_looked_after_by_the_system(self):
        connection = self.server.connect()
        connection.send(request_bytes("GET", "/healthz"))
        self.assertEqual(connection.answer().status, 200)
        port = connection.socket.getsockname()[1]
        ends = f":{self.server.port:04X} 0100007F:{port:04X} 01 "

        def timer():
            row = next(line for line in pathlib.Path("/proc/net/tcp").read_text().splitlines() if ends in line)
            return row.split()[5].split(":")[0]

        self.eventually(lambda: timer() == "02", "the timer of keepalive (proc_net_tcp)")
        connection.close()


class Slow(Case):
    HTTP = "head_time_limit_ms: 3000 body_time_limit_ms: 3000 idle_timeout_ms: 4000"
    CONFIG = "server { reply_time_limit_ms: 3000 }"

    def test_a_head_that_does_not_come(self):
        silent = self.server.connect()
        slow = self.server.connect()
        slow.send(b"GET /healthz HTTP/1.1\r\nHo")
        self.assertEqual(slow.answer().status, 408)
        self.assertEqual(slow.is_closed(), b"")
        self.assertEqual(silent.is_closed(), b"")

    def test_a_body_that_does_not_come(self):
        slow = self.server.connect()
        slow.send(request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json")], b"{}")[:-1])
        answer = slow.answer()
        self.expect_error(answer, 504, "deadline_exceeded", says="http.body_time_limit_ms")
        self.assertEqual(slow.is_closed(), b"")

    def test_an_idle_connection_is_closed(self):
        connection = self.server.connect()
        connection.send(request_bytes("GET", "/healthz"))
        self.assertEqual(connection.answer().status, 200)
        self.assertEqual(connection.is_closed(), b"")

    def test_an_answer_that_is_not_taken(self):
        value = "A" * 87380 + "AAA="
        entries = [{"key": f"k{i}", "value": value} for i in range(40)]
        put = self.server.call(f"{OBJECTS}/PutEntries", {"object": {"name": "large"}, "entries": entries})
        self.assertEqual(put.status, 200, put)
        body = json.dumps({"object": {"name": "large"}, "keys": [entry["key"] for entry in entries]}).encode()
        before = self.server.metric('holdfast_http_requests_total{answer="none"}')
        slow = [Connection(self.server.port, receive_bytes=4096) for _ in range(5)]
        for connection in slow:
            connection.send(request_bytes("POST", f"{OBJECTS}/GetEntries", [("Content-Type", "application/json")], body))
        self.eventually(lambda: self.server.metric('holdfast_http_requests_total{answer="none"}') == before + 5,
                        "5 answers that were given up")
        self.eventually(lambda: self.server.metric("holdfast_call_memory_bytes") < 1 << 20, "the memory of the answers")
        for connection in slow:
            connection.close()

    def test_a_stream_that_is_not_read(self):
        entries = [{"key": f"k{i}", "value": "A" * 87380 + "AAA="} for i in range(40)]
        self.server.call(f"{OBJECTS}/PutEntries", {"object": {"name": "stream"}, "entries": entries})
        connection = Connection(self.server.port, receive_bytes=4096)
        connection.send(request_bytes("POST", f"{OBJECTS}/ExportObject", [("Content-Type", "application/connect+json")],
                                      envelope(b'{"object":{"name":"stream"}}')))
        self.eventually(lambda: self.server.metric("holdfast_streams_in_progress") == 1, "a stream")
        self.eventually(lambda: self.server.metric("holdfast_streams_in_progress") == 0, "the end of the stream")
        connection.close()


class Many(Case):
    HTTP = "connections_max: 1500"

    def test_a_thousand_idle_connections_are_cheap(self):
        for _ in range(20):
            self.server.get("/healthz")
        before = self.server.resident_bytes()
        connections = []
        for _ in range(IDLE_CONNECTIONS):
            connection = self.server.connect()
            connection.send(request_bytes("GET", "/healthz"))
            self.assertEqual(connection.answer().status, 200)
            connections.append(connection)
        self.expect_cheap("idle connections", IDLE_CONNECTIONS, before, IDLE_BYTES_MAX)
        self.assertEqual(self.server.call(f"{COUNTERS}/Increment", {"object": {"name": "many"}}).json(), {"value": "1"})
        for connection in connections:
            connection.close()
        self.eventually(lambda: self.server.metric("holdfast_http_connections ") < 10, "the connections to be forgotten")


class Full(Case):
    HTTP = "connections_max: 8"

    def test_a_new_connection_takes_the_place_of_the_one_that_was_idle_for_longest(self):
        watches = []
        for _ in range(3):
            connection = self.server.connect()
            connection.send(request_bytes("POST", f"{OBJECTS}/WatchAlarms", [("Content-Type", "application/connect+json")],
                                          envelope(b"{}")))
            self.assertEqual(connection.head()[0], 200)
            watches.append(connection)
        idle = [self.server.connect() for _ in range(30)]
        self.assertEqual(idle[0].is_closed(), b"")
        self.assertEqual(self.server.get("/healthz").status, 200)
        for connection in watches:
            connection.socket.settimeout(0.2)
            with self.assertRaises(socket.timeout):
                connection.socket.recv(1)
            connection.close()
        for connection in idle:
            connection.close()

    def test_where_all_have_requests_the_new_one_is_closed(self):
        watches = []
        while len(watches) < 8:
            connection = self.server.connect()
            connection.send(request_bytes("POST", f"{OBJECTS}/WatchAlarms", [("Content-Type", "application/connect+json")],
                                          envelope(b"{}")))
            self.assertEqual(connection.head()[0], 200)
            watches.append(connection)
        self.assertEqual(self.server.connect().is_closed(), b"")
        for connection in watches:
            connection.close()
        self.eventually(lambda: self.is_served(), "a place")

    def test_a_stream_behind_a_request_ends_with_its_client(self):
        call = request_bytes("POST", f"{HEALTH}/Check", [("Content-Type", "application/json")], b"{}")
        watch = request_bytes("POST", f"{HEALTH}/Watch", [("Content-Type", "application/connect+json")], envelope(b"{}"))
        for behind in (b"", b"x" * 60000):
            for _ in range(12):
                connection = self.server.connect()
                try:
                    connection.send(call + watch + behind)
                    if not behind:
                        connection.socket.shutdown(socket.SHUT_WR)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                connection.is_closed()
                connection.close()
            self.eventually(self.is_served, "a place")
        self.eventually(lambda: self.server.metric("holdfast_streams_in_progress") == 0, "the end of the streams")

    def test_watches_of_strangers_make_room(self):
        watches = []
        for _ in range(8):
            connection = self.server.connect()
            connection.send(request_bytes("POST", f"{HEALTH}/Watch", [("Content-Type", "application/connect+json")],
                                          envelope(b"{}")))
            self.assertEqual(connection.head()[0], 200)
            watches.append(connection)
        for _ in range(20):
            self.assertEqual(self.server.get("/healthz").status, 200)
        for connection in watches:
            connection.close()

    def test_a_request_that_is_not_whole_makes_room(self):
        slow = []
        for _ in range(8):
            connection = self.server.connect()
            connection.send(request_bytes("POST", f"{HEALTH}/Check", [("Content-Type", "application/json")], b"{}")[:-1])
            slow.append(connection)
        for _ in range(20):
            self.assertEqual(self.server.get("/healthz").status, 200)
        for connection in slow:
            connection.close()

    def is_served(self):
        try:
            return self.server.get("/healthz").status == 200
        except (EOFError, OSError):
            return False


if __name__ == "__main__":
    unittest.main(verbosity=2)

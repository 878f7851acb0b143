"""TLS, tokens, certificates, the rules, and what the audit log and the failed tokens see of a client; and the drain."""

import json
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import COUNTERS, HEALTH, OBJECTS, Case, Certificates, Server, envelope, envelopes, new_token, request_bytes

IDLE_CONNECTIONS = 200
IDLE_TLS_BYTES_MAX = 48 << 10


class Secure(Case):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = pathlib.Path(folder.name)
        cls.certificates = Certificates(cls.path)
        cls.certificates.issue("server")
        cls.certificates.issue("reader", "URI:spiffe://example/reader")
        cls.token, token_hash = new_token()
        (cls.path / "tokens").write_text(f"writer {token_hash}\n")
        cls.server = Server(config=f'''
            tls {{ certificate_file: "{cls.path}/server.pem" private_key_file: "{cls.path}/server.key"
                   client_ca_file: "{cls.path}/ca.pem" }}
            authentication {{ token_file: "{cls.path}/tokens" }}
            authorization {{
              rule {{ principal: "writer" verb: [VERB_READ, VERB_WRITE] }}
              rule {{ principal: "spiffe://example/reader" verb: VERB_READ namespace: "default" }}
            }}
            audit {{ file: "{cls.path}/audit.log" writes_of_namespace: "*" }}''', has_tls=True)
        cls.addClassCleanup(cls.server.discard)
        cls.tls = cls.certificates.client()
        cls.as_writer = [("Authorization", f"Bearer {cls.token}")]

    def tearDown(self):
        self.assertEqual(self.server.get("/healthz", tls=self.tls).status, 200)

    def audit(self):
        return [json.loads(line) for line in (self.path / "audit.log").read_text().splitlines()]

    def increment(self, name, headers=(), tls=None):
        return self.server.call(f"{COUNTERS}/Increment", {"object": {"name": name}}, headers, tls=tls or self.tls)

    def test_without_tls_nothing_is_answered(self):
        connection = self.server.connect()
        connection.send(request_bytes("GET", "/healthz"))
        self.assertNotIn(b"HTTP/1.1 200", connection.is_closed())

    def test_a_client_checks_the_certificate(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.server.get("/healthz", tls=ssl.create_default_context())

    def test_old_tls_is_refused(self):
        old = self.certificates.client()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, OSError)):
            self.server.get("/healthz", tls=old)

    def test_both_ports_take_the_same_ciphers(self):
        def takes(port, cipher):
            client = self.certificates.client()
            client.maximum_version = ssl.TLSVersion.TLSv1_2
            client.set_ciphers(f"{cipher}:@SECLEVEL=0")
            client.set_alpn_protocols(["h2", "http/1.1"])
            try:
                with socket.create_connection(("127.0.0.1", port)) as plain:
                    with client.wrap_socket(plain, server_hostname="localhost") as connection:
                        return connection.cipher()[0] == cipher
            except OSError:
                return False

        modern = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
                  "ECDHE-RSA-AES256-GCM-SHA384"}
        old = {"AES128-SHA", "AES128-GCM-SHA256", "AES256-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
               "ECDHE-RSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA"}
        http = {cipher for cipher in modern | old if takes(self.server.port, cipher)}
        self.assertEqual(http, {cipher for cipher in modern | old if takes(self.server.grpc_port, cipher)})
        self.assertTrue(http)
        self.assertLessEqual(http, modern)

    def test_a_token_names_its_principal(self):
        answer = self.increment("token", self.as_writer)
        self.assertEqual((answer.status, answer.json()), (200, {"value": "1"}), answer)
        write = [line for line in self.audit() if line["event"] == "write"][-1]
        self.assertEqual((write["principal"], write["method"]), ("writer", "holdfast.v1.CounterService.Increment"))
        self.assertTrue(write["peer"].startswith("ipv4:127.0.0.1:"), write)

    def test_without_credentials_a_call_is_refused_before_its_body_is_read(self):
        connection = self.server.connect(self.tls)
        connection.send(request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json")],
                                      b"x" * 100000)[:-99990])
        self.expect_error(connection.answer(), 401, "unauthenticated", "CREDENTIALS_MISSING")
        self.assertEqual(self.server.call(f"{HEALTH}/Check", {}, tls=self.tls).json(), {"status": "SERVING"})

    def test_bad_tokens(self):
        for headers in ([("Authorization", "Bearer hf_" + "x" * 43)], [("Authorization", "Basic eDp5")],
                        self.as_writer * 2, [("Authorization", "Bearer " + "x" * 9000)]):
            self.expect_error(self.increment("bad", headers), 401, "unauthenticated", "CREDENTIALS_INVALID")
        refused = [line for line in self.audit() if line["event"] == "refused"][-1]
        self.assertTrue(refused["peer"].startswith("ipv4:127.0.0.1:"), refused)

    def test_a_certificate_names_its_principal_and_has_its_rights(self):
        reader = self.certificates.client("reader")
        answer = self.server.call(f"{COUNTERS}/GetValue", {"object": {"name": "read"}}, tls=reader)
        self.assertEqual((answer.status, answer.json()), (200, {}), answer)
        self.expect_error(self.increment("read", tls=reader), 403, "permission_denied", "PERMISSION_DENIED")
        both = self.increment("read", self.as_writer, tls=reader)
        self.expect_error(both, 401, "unauthenticated")

    def test_metrics_and_services_need_a_right_to_read(self):
        for page in "/metrics", "/console/services.binpb":
            with self.subTest(page=page):
                answer = self.server.get(page, tls=self.tls)
                self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))
                self.assertEqual(self.server.get(page, self.as_writer, tls=self.tls).status, 200)
        self.assertEqual(self.server.get("/console/api.binpb", tls=self.tls).status, 200)

    def test_nobody_can_pretend_to_be_another_client(self):
        lies = [("holdfast-http-secret", "x" * 64), ("holdfast-http-peer", "ipv4:6.6.6.6:1"),
                ("holdfast-http-certificate-bin", "d3JpdGVy"), ("holdfast-forwarded", "x"), ("x-forwarded-for", "6.6.6.6")]
        self.expect_error(self.increment("lie", lies), 401, "unauthenticated", "CREDENTIALS_MISSING")
        # The same on the gRPC port, by a gRPC client of curl.
        frame = self.path / "frame"
        message = b"\x0a\x05\x12\x03lie"
        frame.write_bytes(struct.pack(">BI", 0, len(message)) + message)
        command = ["curl", "-sS", "--http2-prior-knowledge", "--cacert", self.path / "ca.pem", "-D", "-", "-o", os.devnull,
                   "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", f"@{frame}",
                   f"https://localhost:{self.server.grpc_port}{COUNTERS}/Increment"]
        for name, value in lies[:3]:
            command[1:1] = ["-H", f"{name}: {value}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertIn("grpc-status: 16", done.stdout, done)
        refused = [line for line in self.audit() if line["event"] == "refused"][-1]
        self.assertTrue(refused["peer"].startswith("ipv4:127.0.0.1:"), refused)

    def test_a_new_certificate_is_taken_and_a_wrong_one_is_not(self):
        def serial():
            connection = self.server.connect(self.tls)
            found = connection.socket.getpeercert()["serialNumber"]
            connection.close()
            return found

        first = serial()
        self.certificates.issue("other")
        # The key does not belong to it.
        (self.path / "other.pem").replace(self.path / "server.pem")
        self.eventually(lambda: "http_tls_not_changed" in (self.server.path / "log").read_text(), "a warning")
        self.assertEqual(serial(), first)
        (self.path / "other.key").replace(self.path / "server.key")
        self.eventually(lambda: serial() != first, "the new certificate")

    def test_idle_connections_with_tls(self):
        for _ in range(20):
            self.server.get("/healthz", tls=self.tls)
        before = self.server.resident_bytes()
        connections = []
        for _ in range(IDLE_CONNECTIONS):
            connection = self.server.connect(self.tls)
            connection.send(request_bytes("GET", "/healthz"))
            self.assertEqual(connection.answer().status, 200)
            connections.append(connection)
        self.expect_cheap("idle connections with TLS", IDLE_CONNECTIONS, before, IDLE_TLS_BYTES_MAX)
        for connection in connections:
            connection.close()

    def test_a_connection_that_does_not_finish_its_handshake_is_cheap_to_end(self):
        connection = self.server.connect()
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 20)
        connection.close()


class Drain(unittest.TestCase):
    def test_calls_in_progress_end_and_new_ones_are_refused(self):
        server = Server(config="server { drain_timeout_ms: 2000 }")
        try:
            watch = server.connect()
            watch.send(request_bytes("POST", f"{OBJECTS}/WatchAlarms", [("Content-Type", "application/connect+json")],
                                     envelope(b"{}")))
            idle = server.connect()
            idle.send(request_bytes("GET", "/readyz"))
            self.assertEqual(idle.answer().status, 200)
            statuses, stop = [], threading.Event()

            def ask():
                while not stop.is_set():
                    try:
                        statuses.append(server.call(f"{COUNTERS}/Increment", {"object": {"name": "drained"}}).status)
                    except (EOFError, OSError):
                        statuses.append(0)  # refused: the port is closed

            asking = threading.Thread(target=ask)
            asking.start()
            while not statuses:
                time.sleep(0.01)  # the time between two looks; nothing relies on its length
            self.assertEqual(server.stop(), 0)
            stop.set()
            asking.join()
            self.assertLessEqual(set(statuses), {200, 503, 0})
            self.assertEqual(sorted(statuses, key=[200, 503, 0].index), statuses)
            *_, (flags, end) = envelopes(watch.answer().body)
            self.assertEqual((flags, json.loads(end)["error"]["code"]), (2, "unavailable"))
            self.assertEqual(idle.is_closed(), b"")
        finally:
            server.discard()

    def test_bodies_that_come_whole_meanwhile_are_refused(self):
        server = Server(config="server { drain_timeout_ms: 500 }")
        try:
            slow = []
            for _ in range(40):
                connection = server.connect()
                connection.send(request_bytes("POST", f"{HEALTH}/Check", [("Content-Type", "application/json")], b"{}")[:-1])
                slow.append(connection)
            server.get("/healthz")  # the heads before it were read
            server.process.send_signal(signal.SIGTERM)
            for connection in slow:
                time.sleep(0.05)  # so that they come all through the drain, whose steps have no event
                try:
                    connection.send(b"}")
                except OSError:
                    pass  # closed
            self.assertEqual(server.process.wait(60), 0)
            for connection in slow:
                connection.close()
        finally:
            server.discard()

    def test_it_ends_in_time_whatever_its_clients_do(self):
        server = Server(config="server { drain_timeout_ms: 500 }")
        try:
            half = server.connect()
            half.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Le")
            body = server.connect()
            body.send(request_bytes("POST", f"{COUNTERS}/Increment", [("Content-Type", "application/json")], b"{}")[:-1])
            began = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - began, 15)
        finally:
            server.discard()


if __name__ == "__main__":
    unittest.main(verbosity=2)

#!/usr/bin/python3
"""srsd register and the health of a service: registered while it answers, with ZooKeeper and without, drained at the end
behind the proxy."""

import http.client
import http.server
import os
import socket
import tempfile
import threading
import time
import unittest

import product
import proxy as proxies
import registering
from registering import QUICK

SILENT_NAME_SERVER = """
import os, socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
server.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""


class HealthTest(registering.RegisterTest):
    """Registered while it answers, with and without a command."""

    def expect(self, process, *events, after=0):
        """These lines, in their order, on standard error or, without a command, on standard output."""
        for event in events:
            after = process.wait_for_error(f"^srsd: {event} ", after=after)
        return after

    def test_removed_while_it_is_unhealthy(self):
        process = self.register(*QUICK, "--check", "http:/info", "--rise", "1", "--", *self.moody())
        seen = self.expect(process, "healthy", "held")
        self.set_mood(503)
        seen = process.wait_for_error("^srsd: unhealthy .* answers GET /info with status 503$", after=seen)
        seen = self.expect(process, "released", after=seen)
        self.assertFalse(self.is_there())
        self.set_mood(302)
        seen = self.expect(process, "healthy", "held", after=seen)
        self.assertTrue(self.is_there())
        self.set_mood("hang")
        seen = process.wait_for_error("^srsd: unhealthy .* does not answer within 500 ms$", after=seen)
        self.expect(process, "released", after=seen)
        self.assertEqual(process.terminate(), 0)

    def test_waits_until_it_is_healthy(self):
        process = self.register("--check", "http:/info", "--", *self.moody("--after", "1"))
        process.wait_for_output("^starting")
        product.wait_until(lambda: self.zookeeper.sessions(), "a session")
        while len(process.output) < 2:
            self.assertFalse(self.is_there(), "it does not listen yet")
            time.sleep(0.02)
        self.expect(process, "healthy", "held")

    def test_a_service_that_runs_elsewhere(self):
        process = self.register(*QUICK, "--check", "tcp", "--fall", "2")
        process.wait_for_output("^unhealthy .*: Connection refused$")
        seen = len(process.output)
        backend = proxies.Backend(port=self.port)
        self.addCleanup(backend.close)
        seen = process.wait_for_output("^healthy", after=seen)
        seen = process.wait_for_output("^held", after=seen)
        backend.close()
        seen = process.wait_for_output("^unhealthy .*: Connection refused$", after=seen)
        process.wait_for_output("^released", after=seen)
        self.assertFalse(self.is_there())
        self.assertEqual(process.terminate(), 0)

    def test_another_address_is_checked(self):
        process = self.start_srsd_before("register", self.label, "192.0.2.9:80", *QUICK, "--check", "http:/info",
                                         "--check-address", f"localhost:{self.port}")
        backend = proxies.Backend(port=self.port)
        self.addCleanup(backend.close)
        process.wait_for_output(f"^held {self.path('192.0.2.9:80')}")

    def test_an_ipv6_address(self):
        backend = proxies.Backend(address="::1")
        self.addCleanup(backend.close)
        for check in ("tcp", "http:/"):
            process = self.register(*QUICK, "--check", check, address=f"[::1]:{backend.port}")
            process.wait_for_output("^held")
            self.assertEqual(process.terminate(), 0)

    def test_answers_that_are_none(self):
        """A body that never ends is no trouble; what is not HTTP, or no answer in time, is."""
        answers = {"/endless": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000, "/nonsense": b"220 mail.example ESMTP\r\n",
                   "/nothing": b"", "/half": b"HTTP/1.1 200 OK\r\nServer: x"}
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.addCleanup(listener.close)
        kept = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                    path = connection.recv(65536).split()[1].decode()
                    connection.sendall(answers[path])
                except (OSError, IndexError):
                    return
                kept.append(connection)

        threading.Thread(target=serve, daemon=True).start()
        process = self.register(*QUICK, "--check", "http:/endless")
        process.wait_for_output("^held")
        self.assertEqual(process.terminate(), 0)
        for path, why in (("/nonsense", "gives no HTTP response"), ("/nothing", "does not answer within 500 ms"),
                          ("/half", "does not answer within 500 ms")):
            process = self.register(*QUICK, "--check", f"http:{path}")
            process.wait_for_output(f"^unhealthy .*{why}")
            self.assertEqual(process.terminate(), 0)
        for connection in kept:
            connection.close()

    def test_what_a_server_is_asked(self):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.requestline, self.headers["Host"], self.headers["Connection"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        server = http.server.HTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        process = self.register(*QUICK, "--check", "http:/info?deep=1")
        process.wait_for_output("^held")
        self.assertEqual(asked[0], ("GET /info?deep=1 HTTP/1.1", self.address, "close"))

    def test_no_descriptor_stays_behind(self):
        backend = proxies.Backend(port=self.port)
        self.addCleanup(backend.close)
        for check in ("tcp", "http:/"):
            process = self.register("--interval", "10ms", "--check", check)
            process.wait_for_output("^held")
            folder = f"/proc/{process.pid}/fd"
            before = len(os.listdir(folder))
            time.sleep(0.5)
            self.assertLessEqual(len(os.listdir(folder)), before + 1, "one check is under way at a time")
            self.assertEqual(process.terminate(), 0)

    def test_a_name_that_is_not_found_in_time(self):
        """The name server is silent: a socket that nobody reads, in a network namespace."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("nameserver 127.0.0.1\n")
            file.flush()
            process = self.start_program(
                *product.unshare("--net", "--mount"), "sh", "-c",
                'ip link set lo up && mount --bind "$0" /etc/resolv.conf && exec "$@"', file.name,
                "python3", "-c", SILENT_NAME_SERVER, product.binary("srsd"), "register", self.label, "name.example:80",
                "--zookeeper", "127.0.0.1:1", *QUICK, "--", "sleep", "1000")
            process.wait_for_error("^srsd: unhealthy .*: name.example:80: no address was found within 500 ms$")
            time.sleep(1)  # further checks share the look-up
            self.assertEqual(process.terminate(), 143, process.report())


class OutageTest(registering.RegisterTest):
    """ZooKeeper is away; each test has its own."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.zookeeper = self.start_zookeeper()
        super().setUp()

    def test_the_service_does_not_wait_for_zookeeper(self):
        self.kazoo.stop()
        self.zookeeper.stop()
        process = self.register(*QUICK, "--", *self.moody())
        process.wait_for_output("^serving")
        process.wait_for_error("^srsd: healthy")
        self.zookeeper.start()
        seen = process.wait_for_error("^srsd: held")
        self.zookeeper.stop()
        seen = process.wait_for_error("connection lost", after=seen)
        self.assertEqual(proxies.ask(self.port, "/info").status, 200, "it serves on")
        self.set_mood(500)
        self.zookeeper.start()
        process.wait_for_error("^srsd: connected", after=seen)
        self.kazoo = self.connect(self.zookeeper)
        self.assertEqual(process.terminate(), 0)

    def test_what_became_unhealthy_meanwhile_is_removed_when_zookeeper_is_back(self):
        process = self.register(*QUICK, "--check", "http:/info", "--", *self.moody())
        seen = process.wait_for_error("^srsd: held")
        session = self.kazoo.exists(self.path(self.address)).ephemeralOwner
        self.kazoo.stop()
        self.zookeeper.stop()
        self.set_mood(500)
        seen = process.wait_for_error("^srsd: unhealthy", after=seen)
        time.sleep(1)  # nothing is given up meanwhile
        self.assertFalse([line for line in process.errors if "released" in line])
        self.zookeeper.start()
        process.wait_for_error("^srsd: released .*: removed$", after=seen)
        self.kazoo = self.connect(self.zookeeper)
        self.assertFalse(self.is_there())
        self.assertIn(session, self.zookeeper.sessions(), "it went by itself, not with its session")

    def test_the_removal_is_not_waited_for_for_ever(self):
        process = self.register(*QUICK, "--drain", "10ms", "--", *self.moody())
        process.wait_for_error("^srsd: held")
        self.zookeeper.freeze()
        self.assertEqual(process.terminate(), 0, "the service's own, " + process.report())
        self.assertRegex("\n".join(process.errors), "ZooKeeper does not answer: .* goes when its session times out")
        self.assertRegex(process.output[-1], "^signal SIGTERM")
        self.zookeeper.thaw()


class DrainTest(registering.RegisterTest, proxies.ProxyTest):
    """The proxy in front, under load."""

    def test_no_request_is_lost_when_a_service_is_stopped(self):
        services = []
        for _ in range(2):
            self.port = product.free_port()
            process = self.start_srsd_before("register", proxies.LABEL, f"127.0.0.1:{self.port}", *QUICK, "--",
                                             *self.moody())
            process.wait_for_error("^srsd: held")
            services.append((process, f"127.0.0.1:{self.port}"))
        proxy = self.start_proxy(zookeeper=self.zookeeper.servers)
        self.wait_for_backends(proxy, *(name for _, name in services))
        results, is_over = [], threading.Event()

        def load():
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
            while not is_over.is_set():
                try:
                    connection.request("POST" if len(results) % 2 else "GET", "/")
                    answer = proxies.Answer(connection.getresponse())
                    results.append((answer.status, answer.served_by))
                except (OSError, http.client.HTTPException) as problem:
                    results.append((repr(problem), None))
                    connection.close()
            connection.close()

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _, name in services:
                product.wait_until(lambda: (200, name) in results, f"{name} serves")
            self.assertEqual(services[0][0].terminate(), 0)
            seen = len(results)
            product.wait_until(lambda: len(results) > seen + 50, "it goes on without it")
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        self.assertEqual([result for result in results if result[0] != 200], [])
        self.assertEqual({name for _, name in results[seen:]}, {services[1][1]})


if __name__ == "__main__":
    unittest.main()

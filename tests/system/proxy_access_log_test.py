#!/usr/bin/python3
"""The access log: a line for each request whatever became of it, over all workers, through rotation and full disks."""

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import tempfile
import unittest

import product
from proxy import LABEL, Answer, Backend, ProxyTest

CLIENTS = 8
REQUESTS = 50


class FailingBackend(Backend):
    """Answers 503."""

    def answer(self, handler):
        handler.send_response(503)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


class AccessLogTest(ProxyTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="srsd-access-log-")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "access.log")

    def start_proxy(self, *options, static, log, **changes):
        return super().start_proxy(*options, log={"format": "json", "access": self.path, **log},
                                   services=[{"name": LABEL, "static": static, "health": {"probe": "off"}}],
                                   **changes)

    @staticmethod
    def read(path):
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()

    def lines(self, count, path=None):
        """The lines of the log as objects, when there are so many."""
        path = path or self.path
        product.wait_until(lambda: os.path.exists(path) and len(self.read(path)) >= count, f"{path} has {count} lines")
        return [json.loads(line) for line in self.read(path)]

    @staticmethod
    def send(proxy, text):
        """Send bytes on a connection of its own. Returns the answer's beginning."""
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=product.DEADLINE_SECONDS) as connection:
            connection.sendall(text)
            return connection.recv(65536)

    def test_each_request_of_all_workers_has_its_line(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name], log={})

        def ask(client):
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
            for i in range(REQUESTS):
                connection.request("GET", f"/a?{client}.{i}", headers={"X-Request-Id": f"{client}.{i}"})
                self.assertEqual(Answer(connection.getresponse()).status, 200)
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(ask, range(CLIENTS)))
        lines = self.lines(CLIENTS * REQUESTS)
        self.assertEqual(sorted(line["request_id"] for line in lines),
                         sorted(f"{client}.{i}" for client in range(CLIENTS) for i in range(REQUESTS)))
        for line in lines:
            self.assertEqual((line["client"], line["method"], line["path"], line["status"], line["service"], line["route"],
                              line["endpoint"]),
                             ("127.0.0.1", "GET", "/a?" + line["request_id"], 200, LABEL, "/", backend.name))
            self.assertGreaterEqual(line["duration_us"], line["head_us"])
            self.assertEqual([(item["endpoint"], item["evidence"]) for item in line["tries"]], [(backend.name, "answered")])
            self.assertNotIn("problem", line)
        self.assertEqual(proxy.metric("srsd_proxy_access_log_lines_total"), len(lines))
        self.assertEqual(proxy.metric("srsd_proxy_access_log_lines_lost_total"), 0)

    def test_tries_and_bytes(self):
        backend, dead = self.start_backend(), f"127.0.0.1:{product.free_port()}"
        proxy = self.start_proxy(static=[backend.name, dead], log={})
        expected = []
        for i in range(40):
            answer = proxy.ask(f"/{i}", method="POST", body=b"x" * 1000)
            self.assertEqual(answer.status, 200)
            expected.append(len(answer.text))
        lines = self.lines(40)
        for line, body_bytes in zip(lines, expected):
            self.assertGreater(line["bytes_in"], 1000)
            self.assertLess(line["bytes_in"], 1500)
            self.assertGreater(line["bytes_out"], body_bytes)
            self.assertLess(line["bytes_out"], body_bytes + 500)
            self.assertEqual(line["endpoint"], backend.name)
            for item in line["tries"]:
                self.assertLessEqual(item["begun_us"], item["ended_us"])
                self.assertLessEqual(item["ended_us"], line["duration_us"])
        retried = [line["tries"] for line in lines if len(line["tries"]) > 1]
        self.assertTrue(retried, "nobody was sent to the dead backend in 40 requests")
        for tries in retried:
            self.assertEqual([(item["endpoint"], item["evidence"]) for item in tries],
                             [(dead, "connect_refused"), (backend.name, "answered")])

    def test_what_went_wrong(self):
        dead = f"127.0.0.1:{product.free_port()}"
        slow = self.start_backend(delay_seconds=30)
        proxy = self.start_proxy("--set", "routes.1.path=/slow", "--set", "routes.1.service=slow",
                                 "--set", "services.1.name=slow", "--set", f"services.1.static.0={slow.name}",
                                 "--set", "services.1.health.probe=off", "--set", "half_closed=cancel",
                                 static=[dead], log={})
        self.assertEqual(proxy.ask("/refused").status, 502)
        self.assertIn(b" 400 ", self.send(proxy, b"GET /doubled HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"))
        self.assertIn(b" 400 ", self.send(proxy, b"G\x1bT \r\n\r\n"))
        self.assertIn(b" 200 ", self.send(proxy, b"OPTIONS /last HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"))
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            product.wait_until(lambda: slow.paths, "the backend has the request")
        lines = sorted(self.lines(5), key=lambda line: (line["status"], line.get("path", "")))
        self.assertEqual([(line.get("path"), line["status"], line.get("problem")) for line in lines],
                         [("/last", 200, None), (None, 400, "bad_request_line"), ("/doubled", 400, "bad_host"),
                          ("/slow", 499, "client_gone"), ("/refused", 502, "connect_refused")])
        self.assertEqual(lines[4]["tries"][0]["endpoint"], dead)
        self.assertEqual(lines[3]["tries"][0]["evidence"], "cancelled")
        self.assertEqual([line["bytes_out"] > 50 for line in lines], [True, True, True, False, True])

    def test_only_failures_in_words(self):
        good, bad = self.start_backend(), FailingBackend()
        self.addCleanup(bad.close)
        proxy = self.start_proxy(static=[good.name, bad.name], log={"format": "key_value", "access_if": "failed"})
        statuses = [proxy.ask("/").status for _ in range(40)]
        failed = [status for status in statuses if status != 200]
        self.assertTrue(failed, "the failing backend was never asked")
        product.wait_until(lambda: len(self.read(self.path)) >= len(failed), "each failure has its line")
        lines = self.read(self.path)
        self.assertEqual(len(lines), len(failed))
        for line in lines:
            self.assertRegex(line, rf'^time=\S+Z client=127.0.0.1 method=GET .* status=503 .* endpoint={bad.name} .*'
                                   rf'tries="{bad.name} status_5xx 0\.\.\d+"')

    def test_a_late_backend_and_the_one_asked_beside_it(self):
        good, late = self.start_backend(), self.start_backend()
        proxy = self.start_proxy("--set", "retries.hedge=90", "--set", "retries.budget=100",
                                 static=[good.name, late.name], log={})

        def hedged():
            # How long answers take is learned first; then one of the two takes far longer.
            late.delay_seconds = 0
            self.ask_many(proxy, 40)
            late.delay_seconds = 0.5
            self.ask_many(proxy, 6)
            return any("hedged" in line.get("notes", []) for line in map(json.loads, self.read(self.path)))

        product.wait_until(hedged, "a request is hedged")
        line = next(line for line in map(json.loads, self.read(self.path)) if "hedged" in line.get("notes", []))
        self.assertEqual(line["status"], 200)
        self.assertEqual([item.get("hedge", False) for item in line["tries"]], [False, True])
        self.assertEqual(sorted(item["evidence"] for item in line["tries"]), ["answered", "cancelled"])
        self.assertEqual(line["endpoint"],
                         next(item["endpoint"] for item in line["tries"] if item["evidence"] == "answered"))

    def test_a_rotated_log_goes_on_in_a_new_file(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name], log={})
        proxy.ask("/before")
        self.lines(1)
        os.rename(self.path, self.path + ".1")
        proxy.process.signal(signal.SIGUSR1)
        product.wait_until(lambda: os.path.exists(self.path), "the log is opened anew")
        proxy.ask("/after")
        self.assertEqual([line["path"] for line in self.lines(1)], ["/after"])
        self.assertEqual([line["path"] for line in self.lines(1, self.path + ".1")], ["/before"])
        proxy.ask("/last")
        proxy.process.signal(signal.SIGTERM)
        self.assertEqual(proxy.process.wait_for_exit(), 0)
        self.assertEqual([line["path"] for line in self.lines(2)], ["/after", "/last"])

    def test_a_full_disk_costs_lines_alone(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name], log={"access": "/dev/full"})
        self.ask_many(proxy, 20)
        product.wait_until(lambda: proxy.metric("srsd_proxy_access_log_lines_lost_total") == 20, "20 lines are lost")
        self.ask_many(proxy, 20)
        self.assertEqual(len([line for line in proxy.process.errors if "access log not written" in line]), 1)

    def test_a_log_that_cannot_be_opened_is_said_at_the_start(self):
        process = self.launch(self.settings(static=["127.0.0.1:1"], log={"access": "/nowhere/access.log"}))
        self.assertEqual(process.wait_for_exit(), 73)
        self.assertTrue(any("access log not opened" in line and "/nowhere/access.log" in line
                            and "No such file or directory" in line for line in process.errors), process.report())

    def test_the_signal_without_a_log_does_no_harm(self):
        backend = self.start_backend()
        proxy = super().start_proxy(static=[backend.name])
        proxy.process.signal(signal.SIGUSR1)
        proxy.process.wait_for_error("SIGUSR1 ignored")
        self.ask_many(proxy, 2)


if __name__ == "__main__":
    unittest.main()

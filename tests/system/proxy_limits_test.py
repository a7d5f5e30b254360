#!/usr/bin/python3
"""Limits over several workers: requests in flight are never more than a service may have, and nobody in the queue is
forgotten; connections to a backend are never more than it may have, and no worker keeps them from another one."""

import concurrent.futures
import http.client
import selectors
import socket
import threading
import time
import unittest

import product
from proxy import Answer, Backend, ProxyTest

CLIENTS = 24
REQUESTS = 60


class CountingBackend(Backend):
    """Knows how many requests it has served at the same time."""

    def __init__(self, service_seconds):
        super().__init__()
        self.service_seconds = service_seconds
        self.now = self.most = 0
        self.count_lock = threading.Lock()

    def answer(self, handler):
        with self.count_lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.service_seconds)
        with self.count_lock:
            self.now -= 1  # before the answer: with that the proxy may send the next request
        super().answer(handler)


class LimitsTest(ProxyTest):
    def start_backend(self, service_seconds):
        backend = CountingBackend(service_seconds)
        self.addCleanup(backend.close)
        return backend

    @staticmethod
    def ask_many_times(proxy):
        """The statuses of requests one after the other, on a connection now and then new, so that both workers get some."""
        statuses = []
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
        for i in range(REQUESTS):
            if i % 10 == 9:
                connection.close()
            connection.request("GET", "/")
            statuses.append(Answer(connection.getresponse()).status)
        connection.close()
        return statuses

    def ask_from_many(self, proxy):
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return [status for statuses in pool.map(lambda _: self.ask_many_times(proxy), range(CLIENTS))
                    for status in statuses]

    def test_a_queue_serves_everybody_within_the_limit(self):
        backend = self.start_backend(0.002)
        proxy = self.start_proxy("--set", "services.0.limits.requests=3", "--set", "services.0.limits.queue=1000",
                                 "--set", "timeouts.queue=1m", static=[backend.name])
        self.assertEqual(set(self.ask_from_many(proxy)), {200})
        self.assertLessEqual(backend.most, 3)
        self.assertGreater(proxy.metric("srsd_proxy_requests_queued_total"), 0)
        self.assertEqual(proxy.metric("srsd_proxy_requests_waiting"), 0)

    def test_without_a_queue_the_others_are_turned_away(self):
        backend = self.start_backend(0.05)
        proxy = self.start_proxy("--set", "services.0.limits.requests=3", static=[backend.name])
        statuses = self.ask_from_many(proxy)
        self.assertEqual(set(statuses), {200, 503})
        self.assertEqual(statuses.count(503), proxy.metric('srsd_proxy_problems_total{reason="overloaded"}'))
        self.assertLessEqual(backend.most, 3)
        # Nobody has kept a place.
        time.sleep(0.1)
        for _ in range(3):
            self.assertEqual(proxy.ask().status, 200)


class CountingListener:
    """A backend that answers each request after a moment, and knows how many connections it has had at the same time."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    PATIENCE_SECONDS = 10  # the end of one connection may be on its way when the next one comes

    def __init__(self, service_seconds):
        self._service_seconds = service_seconds
        self._listener = socket.create_server(("127.0.0.1", product.free_port()), backlog=256)
        self.name = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._open = {}  # connection: what it has sent of a request
        self._due = []  # (time, connection) of the next answers
        self.limit, self.most, self.taken = None, 0, 0
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._is_over:
            self._look(0.002)
            while self._due and self._due[0][0] <= time.monotonic():
                connection = self._due.pop(0)[1]
                if connection in self._open:
                    connection.sendall(self.ANSWER)

    def _look(self, seconds):
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._take()
            elif key.fileobj in self._open:
                self._read(key.fileobj)

    def _take(self):
        connection, _ = self._listener.accept()
        self._open[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)
        self.taken += 1
        deadline = time.monotonic() + self.PATIENCE_SECONDS
        while len(self._open) > self.limit and time.monotonic() < deadline:
            for other in list(self._open):
                self._read(other)
        self.most = max(self.most, len(self._open))

    def _read(self, connection):
        """Never waits: what the selector told of may have been read by _take() meanwhile."""
        try:
            received = connection.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            received = b""
        if not received:
            self._selector.unregister(connection)
            del self._open[connection]
            connection.close()
            return
        self._open[connection] += received
        if self._open[connection].endswith(b"\r\n\r\n"):
            self._open[connection] = b""
            self._due.append((time.monotonic() + self._service_seconds, connection))

    def close(self):
        self._is_over = True
        self._thread.join(product.DEADLINE_SECONDS)
        for each in (*self._open, self._listener):
            each.close()


class ConnectionsTest(ProxyTest):
    """One backend, which has no other connections than those for requests."""

    def start_limited(self, limit, workers, service_seconds=0.004, options=()):
        self.backend = CountingListener(service_seconds)
        self.backend.limit = limit
        self.addCleanup(self.backend.close)
        return self.start_proxy(
            "--set", f"services.0.limits.connections_per_endpoint={limit}", "--set", "timeouts.queue=10s", *options,
            static=[self.backend.name], workers=workers, health={"probe": "off"})

    @staticmethod
    def ask_from(proxy, clients, requests, together=3):
        """From each client so many requests, on a connection that is soon a new one: any worker may get it. Returns the
        statuses of each client."""
        def ask(_):
            statuses = []
            while len(statuses) < requests:
                connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
                for _ in range(together):
                    connection.request("GET", "/")
                    statuses.append(Answer(connection.getresponse()).status)
                connection.close()
            return statuses

        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            return list(pool.map(ask, range(clients)))

    def test_connections_are_where_they_are_needed(self):
        proxy = self.start_limited(limit=4, workers=4)
        for statuses in self.ask_from(proxy, clients=4, requests=60):
            self.assertEqual(set(statuses), {200})
        self.assertLessEqual(self.backend.most, 4)
        self.assertGreaterEqual(self.backend.most, 2)

    def test_one_connection_serves_all_workers_in_turn(self):
        proxy = self.start_limited(limit=1, workers=4)
        for statuses in self.ask_from(proxy, clients=1, requests=60):
            self.assertEqual(set(statuses), {200})
        self.assertEqual(self.backend.most, 1)
        self.assertGreater(self.backend.taken, 1)

    def test_a_request_that_waits_twice_counts_once(self):
        proxy = self.start_limited(limit=1, workers=2, service_seconds=0.5, options=(
            "--set", "services.0.limits.requests=1", "--set", "services.0.limits.queue=1"))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(self.ask_from, proxy, clients=1, requests=1, together=1)
            product.wait_until(lambda: proxy.metric("srsd_proxy_requests_active") == 1, "a request is under way")
            # For its place in the service, and then, by the other worker, for the connection that the first one had.
            second = pool.submit(self.ask_from, proxy, clients=1, requests=1, together=1)
            self.assertEqual((first.result(), second.result()), ([[200]], [[200]]))
        self.assertEqual(proxy.metric("srsd_proxy_requests_queued_total"), 1)

    def test_nobody_waits_for_ever_where_there_are_too_many(self):
        proxy = self.start_limited(limit=4, workers=4, service_seconds=0.01)
        everybody = self.ask_from(proxy, clients=16, requests=30)
        self.assertEqual({status for statuses in everybody for status in statuses} - {200, 503}, set())
        self.assertTrue(all(200 in statuses for statuses in everybody), everybody)
        self.assertLessEqual(self.backend.most, 4)
        # Nobody has kept a place.
        for statuses in self.ask_from(proxy, clients=4, requests=6):
            self.assertEqual(set(statuses), {200})


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""Requests in flight, over several workers: never more than a service may have, and nobody in the queue is forgotten."""

import concurrent.futures
import http.client
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


if __name__ == "__main__":
    unittest.main()

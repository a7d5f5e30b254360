#!/usr/bin/python3
"""A fleet that is down gets no storm: attempts stay within the budget of retries; what is chosen when all are ejected."""

import time
import unittest

import product
from failover import FailoverTest, Load

OUT = ("ejected", "probing")


class BudgetTest(FailoverTest):
    def attempts_for_all_dead(self, **retries):
        """(attempts, requests, seconds) while all of five backends reset whatever they are sent."""
        backends = self.start_backends(5)
        proxy = self.start_proxy_of(backends, health={"errors": 0}, retries=retries)
        with Load(proxy.port, requests_per_second=500, post_every=0) as load:
            load.run_requests(20)
            for backend in backends:
                backend.be("reset")
            attempts = proxy.metric("srsd_proxy_attempts_total")
            requests = proxy.metric("srsd_proxy_requests_total")
            begun = time.monotonic()
            load.run_requests(300)
            return (proxy.metric("srsd_proxy_attempts_total") - attempts,
                    proxy.metric("srsd_proxy_requests_total") - requests, time.monotonic() - begun)

    def test_attempts_are_bounded(self):
        attempts, requests, seconds = self.attempts_for_all_dead(budget=20, budget_min=10)
        self.assertGreater(attempts, requests)
        # Of ten seconds, and of what came before.
        self.assertLessEqual(attempts - requests, 0.2 * (requests + 20) + 10 * (seconds + 10) + 10)

    def test_without_a_minimum(self):
        attempts, requests, _ = self.attempts_for_all_dead(budget=20, budget_min=0)
        self.assertLessEqual(attempts - requests, 0.2 * (requests + 20) + 10)

    def test_none_at_all(self):
        attempts, requests, _ = self.attempts_for_all_dead(budget=0, budget_min=0)
        self.assertLessEqual(attempts - requests, 5)

    def kill_all(self, **health):
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends, health=health)
        self.assertEqual(proxy.ask().status, 200)
        for backend in backends:
            backend.kill()
        product.wait_until(lambda: proxy.ask() and all(self.state(proxy, backend) in OUT for backend in backends),
                           "all are out")
        return proxy, backends

    def test_all_ejected(self):
        proxy, backends = self.kill_all()
        self.assertEqual(proxy.ask().status, 502, "one is tried all the same")
        for backend in backends:
            backend.start()
        self.assertEqual(proxy.ask().status, 200, "before any probe")

    def test_all_ejected_without_panic(self):
        proxy, backends = self.kill_all(panic=False)
        attempts = proxy.metric("srsd_proxy_attempts_total")
        answer = proxy.ask()
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertEqual(proxy.metric("srsd_proxy_attempts_total"), attempts)
        for backend in backends:
            backend.start()
        product.wait_until(lambda: proxy.ask().status == 200, "probes let them in again")


if __name__ == "__main__":
    unittest.main()

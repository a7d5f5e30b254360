#!/usr/bin/python3
"""A fleet that is down gets no storm: attempts stay within the budget of retries; what is chosen when all are ejected."""

import re
import time
import unittest

import product
from failover import FailoverTest, Load

OUT = ("ejected", "probing")


class BudgetTest(FailoverTest):
    def repeats_for_all_dead(self, **retries):
        """(repeats, requests, seconds) while all of five backends reset whatever they are sent."""
        backends = self.start_backends(5)
        for backend in backends:
            backend.be("reset")
        proxy = self.start_proxy_of(backends, health={"errors": 0}, retries=retries)
        begun = time.monotonic()
        with Load(proxy.port, requests_per_second=500, post_every=0) as load:
            load.run_requests(300)
        seconds = time.monotonic() - begun
        metrics = dict(re.findall(r"^(srsd_proxy_\w+_total) (\d+)$", proxy.admin("/metrics").text, re.M))
        repeats = int(metrics["srsd_proxy_retries_total"]) + int(metrics["srsd_proxy_hedges_total"])
        self.assertEqual(int(metrics["srsd_proxy_attempts_total"]), len(load.results) + repeats)
        return repeats, len(load.results), seconds

    def test_attempts_are_bounded(self):
        repeats, requests, seconds = self.repeats_for_all_dead(budget=20, budget_min=10)
        self.assertGreater(repeats, 0)
        # The minimum is one of each second, saved up for ten.
        self.assertLessEqual(repeats, 0.2 * requests + 10 * (seconds + 10))

    def test_without_a_minimum(self):
        repeats, requests, _ = self.repeats_for_all_dead(budget=20, budget_min=0)
        self.assertGreater(repeats, 0)
        self.assertLessEqual(repeats, 0.2 * requests)

    def test_none_at_all(self):
        repeats, _, _ = self.repeats_for_all_dead(budget=0, budget_min=0)
        self.assertEqual(repeats, 0)

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

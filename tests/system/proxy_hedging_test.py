#!/usr/bin/python3
"""Requests that wait for a backend which is late are sent to another one as well: where a client is alone with a silent backend,
and by setting where a request takes longer than a percentile."""

import unittest

import product
from failover import FailoverTest


class HedgingTest(FailoverTest):
    def test_a_client_that_is_alone_is_not_left_with_a_silent_backend(self):
        """Nobody else is answered, so it is not by comparison that the backend is found silent."""
        backends = self.start_backends(2)
        proxy = self.start_proxy_of(backends)
        self.ask_many(proxy, 20)
        backends[0].freeze()
        # That none of 60 is given to it first has a probability below 1e-17.
        served = self.ask_many(proxy, 60)
        self.assertEqual(set(served), {backends[1].name})
        self.assertIn("silent", self.changes(proxy, backends[0]))
        self.assertGreater(proxy.metric("srsd_proxy_hedges_won_total"), 0)

    def test_a_lone_post_is_not_sent_twice(self):
        """The only one that could be hedged is one that must not be."""
        backends = self.start_backends(2, delay_ms=1500)
        proxy = self.start_proxy_of(backends, retries={"hedge": 50})
        for path in "/1", "/2":
            self.assertEqual(proxy.ask(path, method="POST", body="hello").status, 200)
        executed = [request for backend in backends for request in backend.executed if request.startswith("POST")]
        self.assertEqual(sorted(executed), ["POST /1", "POST /2"])
        self.assertEqual(proxy.metric("srsd_proxy_hedges_total"), 0)

    def test_by_percentile(self):
        backends = self.start_backends(4)
        proxy = self.start_proxy_of(backends, retries={"hedge": 60, "budget": 100}, health={"silence": "0ms"},
                                    service={"choices": 1})
        self.ask_many(proxy, 60)
        backends[0].be("delay 400")
        product.wait_until(lambda: self.ask_many(proxy, 10) and proxy.metric("srsd_proxy_hedges_won_total") > 0,
                           "a hedge is faster")

    def test_no_percentile_by_default(self):
        backends = self.start_backends(4)
        proxy = self.start_proxy_of(backends, health={"silence": "0ms"}, service={"choices": 1})
        self.ask_many(proxy, 60)
        backends[0].be("delay 400")
        self.ask_many(proxy, 30)
        self.assertEqual(proxy.metric("srsd_proxy_hedges_total"), 0)


if __name__ == "__main__":
    unittest.main()

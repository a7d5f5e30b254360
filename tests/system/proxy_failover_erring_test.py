#!/usr/bin/python3
"""Backends that answer badly under load: with 500, resets, ends without an answer, half answers, garbage. They are left out after
a few errors, for longer each time, at most a share of the fleet, and never attract requests by failing fast."""

import datetime
import http.client
import re
import unittest

import product
from failover import FailoverTest, Load

OUT = ("ejected", "probing")
UNDER_WAY_MAX = 25


class ErringTest(FailoverTest):
    def err(self, mood, evidence, are_gets_lost):
        """`are_gets_lost`: of those that it had before it was ejected."""
        backends = self.start_backends(4)
        victim = backends[0]
        proxy = self.start_proxy_of(backends, health={"ejection": "150ms", "ejection_max": "150ms"})
        with Load(proxy.port) as load:
            load.run_requests(50)
            victim.be(mood)
            self.wait_for_state(proxy, victim, *OUT)
            load.run_requests(20)
            self.assert_not_chosen(proxy, [victim], load)
            self.assertIn(self.changes(proxy, victim, "ejected")[0], evidence)
            victim.be("answer 200")
            self.wait_for_state(proxy, victim, "live")
            load.run_until_served_by(victim)
        # Three, and those that were on their way then: how many is for the machine to say.
        self.assertLessEqual(len(load.failed()), UNDER_WAY_MAX, load.failed())
        if not are_gets_lost:
            self.assertEqual(load.failed("GET"), [])
        self.assertEqual(self.executed_twice(backends), [])

    def test_answers_500(self):
        self.err("answer 500", ("status_5xx", "probe_status"), True)

    def test_resets(self):
        self.err("reset", ("reset", "closed", "probe_closed"), False)

    def test_ends_without_an_answer(self):
        self.err("close", ("closed", "reset", "probe_closed"), False)

    def test_cuts_answers(self):
        # What has begun to reach the client cannot be taken back.
        self.err("cut", ("response_cut", "probe_closed"), True)

    def test_answers_garbage(self):
        self.err("garbage", ("bad_response", "probe_closed"), True)

    def test_what_one_worker_learns_all_know(self):
        backends = self.start_backends(2)
        victim = backends[0]
        proxy = self.start_proxy_of(backends, health={"ejection": "60s", "errors": 2})
        self.assertEqual(proxy.metric("srsd_proxy_workers"), 2)
        victim.be("answer 500")
        # One connection is one worker's.
        with Load(proxy.port, clients=1, post_every=0) as load:
            self.wait_for_state(proxy, victim, *OUT)
        self.assertLessEqual(len(load.failed()), 3)
        with Load(proxy.port, clients=32) as load:
            self.assert_not_chosen(proxy, [victim], load)
        self.assertEqual(load.failed(), [])

    def test_it_is_left_out_for_longer_each_time(self):
        backends = self.start_backends(3)
        victim = backends[0]
        proxy = self.start_proxy_of(backends, health={"ejection": "100ms"})
        with Load(proxy.port) as load:
            load.run_requests(50)
            victim.be("answer 500")
            product.wait_until(lambda: len(self.ejected_at(proxy, victim)) >= 5, "it is ejected five times")
        self.assertLessEqual(len(load.failed()), UNDER_WAY_MAX)
        times = self.ejected_at(proxy, victim)
        waits = [later - earlier for earlier, later in zip(times, times[1:])]
        for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.8)):
            self.assertGreaterEqual(wait, 0.85 * least, waits)  # not all at the same moment: by a tenth more or less

    @staticmethod
    def ejected_at(proxy, backend):
        """When it was, by the proxy's clock, in seconds."""
        pattern = re.compile(rf'^time=(\S+) .*event="backend state".* endpoint={re.escape(backend.name)} state=ejected ')
        return [datetime.datetime.fromisoformat(match[1]).timestamp()
                for line in proxy.process.errors if (match := pattern.search(line))]

    def test_at_most_the_share_of_the_fleet(self):
        backends = self.start_backends(4)
        proxy = self.start_proxy_of(backends, health={"ejected_share": 50})
        with Load(proxy.port) as load:
            load.run_requests(50)
            for backend in backends:
                backend.be("answer 500")
            product.wait_until(lambda: self.count_out(proxy, backends) == 2, "two are ejected")
            for _ in range(5):
                load.run_requests(20)
                self.assertLessEqual(self.count_out(proxy, backends), 2)
            for backend in backends:
                backend.be("answer 200")
            product.wait_until(lambda: self.count_out(proxy, backends) == 0, "all are live")
            load.run_until_served_by(*backends)

    def count_out(self, proxy, backends):
        return sum(self.state(proxy, backend) in OUT for backend in backends)

    def test_failing_fast_does_not_attract(self):
        for balance in ("random", "least_requests", "peak_ewma"):
            with self.subTest(balance):
                backends = self.start_backends(4, delay_ms=20)
                backends[0].be("delay 0")
                backends[0].be("answer 500")
                proxy = self.start_proxy_of(backends, health={"errors": 0}, service={"balance": balance})
                with Load(proxy.port) as load:
                    load.run_requests(80)
                shares = [self.attempts(proxy, backend) for backend in backends]
                self.assertLess(shares[0], sum(shares) / len(shares) * 1.3, shares)
                proxy.process.terminate()


class SlowTest(FailoverTest):
    def test_an_answer_that_takes_longer_than_its_request_may(self):
        """It has begun: whether the backend, its size or its client is slow cannot be told."""
        backends = self.start_backends(2)
        proxy = self.start_proxy_of(backends, timeouts={"request": "300ms"}, health={"errors": 2})
        for backend in backends:
            backend.be("stall")
        # One of them has two of these, at least.
        for _ in range(3):
            with self.assertRaises(http.client.IncompleteRead):
                proxy.ask()
        for backend in backends:
            self.assertEqual(self.changes(proxy, backend, "ejected"), [])

    def test_a_slow_one_gets_less(self):
        backends = self.start_backends(4)
        slow = backends[0]
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(80)
            slow.be("delay 500")
            before = [self.attempts(proxy, backend) for backend in backends]
            load.run_requests(200)
            shares = [self.attempts(proxy, backend) - count for backend, count in zip(backends, before)]
            slow.be("delay 5")
        self.assertEqual(load.failed(), [])
        self.assertLess(shares[0], sum(shares) / len(shares) / 2, shares)
        self.assertEqual(self.executed_twice(backends), [])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""Workers that wait awake: when they do and when not, by what they count. How soon answers come is for bench/throughput."""

import time
import unittest

import product
from proxy import ProxyTest

REQUESTS = 100


class AwakeTest(ProxyTest):
    def start_one(self, delay_seconds=0, **changes):
        backend = self.start_backend(delay_seconds)
        return self.start_proxy(static=[backend.name], health={"probe": "off"}, workers=1, **changes)

    def waits(self, proxy):
        """Waits awake, those in vain among them, and the seconds of both."""
        return tuple(proxy.metric(f"srsd_proxy_{name}_total")
                     for name in ("waits_awake", "waits_awake_in_vain", "awake_seconds"))

    def test_it_waits_for_anything_where_a_time_is_given(self):
        proxy = self.start_one(busy_wait="100ms")

        def has_succeeded():
            self.ask_many(proxy, REQUESTS)
            awake, in_vain, seconds = self.waits(proxy)
            return awake > in_vain and seconds > 0

        product.wait_until(has_succeeded, "something that came while the worker was awake")

    def test_it_sleeps_while_nothing_comes(self):
        proxy = self.start_one(busy_wait="1ms")
        self.ask_many(proxy, REQUESTS)
        time.sleep(0.5)
        self.ask_many(proxy, 1)
        before = self.waits(proxy)[2]
        time.sleep(1)
        self.ask_many(proxy, 1)
        # Two requests begin few waits, of 1 ms at most each: it is not the second in between.
        self.assertLess(self.waits(proxy)[2] - before, 0.1)

    def test_it_sleeps_while_a_slow_backend_answers(self):
        proxy = self.start_one(delay_seconds=0.005)
        self.ask_many(proxy, REQUESTS)
        self.assertEqual(self.waits(proxy), (0, 0, 0))

    def test_it_tries_whether_a_lone_answer_is_worth_it(self):
        """Whether it is depends on the machine: that it looks does not."""
        proxy = self.start_one()

        def has_tried():
            self.ask_many(proxy, REQUESTS)
            return self.waits(proxy)[0] > 0

        product.wait_until(has_tried, "answers that the worker waited for awake")
        awake, _, seconds = self.waits(proxy)
        self.assertLessEqual(seconds, 100e-6 * awake, "100 us each at most")

    def test_it_always_sleeps_if_told(self):
        proxy = self.start_one(answer_wait="asleep")
        self.ask_many(proxy, 20 * REQUESTS)
        self.assertEqual(self.waits(proxy), (0, 0, 0))


if __name__ == "__main__":
    unittest.main()

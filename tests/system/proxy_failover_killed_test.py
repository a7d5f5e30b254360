#!/usr/bin/python3
"""Backends that are killed (SIGKILL) under load: no GET is lost, no POST executed twice."""

import unittest

from failover import FailoverTest, Load


class KilledTest(FailoverTest):
    def test_one_after_the_other(self):
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            for backend in backends:
                load.run_requests(50)
                backend.kill()
                load.run_requests(50)
                backend.start()
        self.assert_nothing_lost(load, posts_max=len(backends))
        self.assertEqual(self.executed_twice(backends), [])

    def test_the_only_one_is_tried_again(self):
        only = self.start_backends(1)[0]
        proxy = self.start_proxy_of([only])
        with Load(proxy.port) as load:
            load.run_requests(50)
        self.assert_nothing_lost(load)
        only.kill()
        self.assertEqual(proxy.ask().status, 502)
        only.start()
        # Nobody waits for a probe here: whatever is believed, there is nothing else to choose.
        self.assertEqual(proxy.ask().status, 200)
        with Load(proxy.port) as load:
            load.run_requests(50)
        self.assert_nothing_lost(load)

    def test_connections_that_died_idle_cost_nothing(self):
        only = self.start_backends(1)[0]
        proxy = self.start_proxy_of([only])
        for _ in range(3):
            with Load(proxy.port, clients=8) as load:
                load.run_requests(40)
            self.assert_nothing_lost(load)
            only.kill()
            only.start()


if __name__ == "__main__":
    unittest.main()

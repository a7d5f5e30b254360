#!/usr/bin/python3
"""Backends that are killed (SIGKILL) under load: no GET is lost, no POST executed twice, all workers stop choosing them at once,
and they are chosen again as soon as they are back."""

import unittest

import product
from failover import CLIENTS, FailoverTest, Load, kill_together

DEAD = ("ejected", "probing")
REFUSED = ("connect_refused", "probe_refused")


class KilledTest(FailoverTest):
    def test_one_of_several(self):
        backends = self.start_backends(4)
        victim = backends[0]
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(100)
            victim.kill()
            self.wait_for_state(proxy, victim, *DEAD)
            self.assert_not_chosen(proxy, [victim], load)
            self.assertIn(self.changes(proxy, victim, "ejected")[0], REFUSED)
            victim.start()
            self.wait_for_state(proxy, victim, "live")
            load.run_until_served_by(victim)
        self.assert_nothing_lost(load, killed=backends)
        self.assertEqual(self.executed_twice(backends), [])
        self.assertEqual(load.connections_lost, 0)
        self.assertEqual(self.changes(proxy, victim, "live")[-1], "probe_passed")

    def test_one_after_the_other(self):
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            for backend in backends:
                load.run_requests(50)
                backend.kill()
                load.run_requests(50)
                backend.start()
                self.wait_for_state(proxy, backend, "live")
        self.assert_nothing_lost(load, killed=backends)
        self.assertEqual(self.executed_twice(backends), [])

    def test_most_at_once(self):
        backends = self.start_backends(5)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(100)
            kill_together(backends[1:])
            load.run_requests(100)
            for victim in backends[1:]:
                victim.start()
            for victim in backends[1:]:
                self.wait_for_state(proxy, victim, "live")
            load.run_until_served_by(*backends)
        self.assert_nothing_lost(load, killed=backends)
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

    def test_all_are_back_after_all_were_dead(self):
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(50)
            for backend in backends:
                backend.kill()
            load.run_requests(50)
            for backend in backends:
                backend.start()
            product.wait_until(lambda: [self.state(proxy, backend) for backend in backends] == ["live"] * 3, "all are live")
            failed = len(load.failed())
            load.run_requests(100)
            self.assertLessEqual(len(load.failed()), failed + CLIENTS, "only those that were under way")
        self.assertEqual(self.executed_twice(backends), [])


if __name__ == "__main__":
    unittest.main()

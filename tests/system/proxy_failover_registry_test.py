#!/usr/bin/python3
"""Backends that come to the registry and go from it under load: nobody loses anything, and who is new is connected to before it is
sent anything."""

import unittest

import product
from failover import TELLING, FailoverTest, Load, MoodyBackend
from proxy import LABEL_PATH


class RegistryTest(product.EmptyRegistry, FailoverTest):
    def register(self, *backends):
        for backend in backends:
            self.kazoo.create(f"{LABEL_PATH}/{backend.name}", b"", ephemeral=True, makepath=True)

    def remove(self, *backends):
        for backend in backends:
            self.kazoo.delete(f"{LABEL_PATH}/{backend.name}")

    def start_proxy_of(self, backends, *options, health=None, **changes):
        self.register(*backends)
        settings = self.settings(zookeeper=self.zookeeper.servers, **changes)
        if health:
            settings["services"][0]["health"] = health
        proxy = self.start_proxy(*TELLING, *options, settings=settings)
        self.wait_for_backends(proxy, *(backend.name for backend in backends))
        return proxy

    def test_graceful_removal_and_return(self):
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            for backend in backends:
                load.run_requests(40)
                self.remove(backend)
                self.wait_for_backends(proxy, *(other.name for other in backends if other is not backend))
                # Its last requests have ended; nobody would do so before.
                load.run_through()
                load.run_requests(20)
                backend.kill()
                load.run_requests(20)
                backend.start()
                self.register(backend)
                self.wait_for_backends(proxy, *(other.name for other in backends))
                load.run_until_served_by(backend)
        self.assertEqual(load.failed(), [])
        self.assertEqual(load.connections_lost, 0)
        self.assertEqual(self.executed_twice(backends), [])

    def test_who_is_new_is_connected_to_first(self):
        backends = self.start_backends(2)
        dead, good = self.start_backends(2)
        dead.kill()
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(40)
            self.register(dead, good)
            self.wait_for_backends(proxy, *(backend.name for backend in (*backends, dead, good)))
            load.run_until_served_by(good)
            self.assertNotEqual(self.state(proxy, dead), "live")
            self.assertEqual(self.attempts(proxy, dead), 0)
            dead.start()
            load.run_until_served_by(dead)
        self.assertEqual(load.failed(), [])
        for backend in (dead, good):
            self.assertEqual(self.changes(proxy, backend, "live"), ["probe_passed"])

    def test_who_returns_under_its_name_starts_clean(self):
        backends = self.start_backends(3)
        victim = backends[0]
        proxy = self.start_proxy_of(backends, health={"ejection": "60s"})
        with Load(proxy.port, post_every=0) as load:
            load.run_requests(40)
            victim.be("answer 500")
            self.wait_for_state(proxy, victim, "ejected")
            self.remove(victim)
            self.wait_for_backends(proxy, *(backend.name for backend in backends[1:]))
            victim.be("answer 200")
            self.register(victim)
            self.wait_for_backends(proxy, *(backend.name for backend in backends))
            self.wait_for_state(proxy, victim, "live")
            load.run_until_served_by(victim)
        self.assertLessEqual(len(load.failed()), 25)

    def test_everything_vanishes_and_comes_back(self):
        backends = self.start_backends(4)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(60)
            self.remove(*backends)
            for backend in backends:
                self.wait_for_state(proxy, backend, "unlisted")
            load.run_until_served_by(*backends)
            # One that is gone indeed is dropped at once.
            backends[0].kill()
            product.wait_until(lambda: self.entry(proxy, backends[0]) is None
                               or self.state(proxy, backends[0]) == "leaving", "it is dropped")
            self.assertEqual(self.state(proxy, backends[1]), "unlisted")
            self.register(*backends[1:])
            for backend in backends[1:]:
                self.wait_for_state(proxy, backend, "live")
            self.wait_for_backends(proxy, *(backend.name for backend in backends[1:]))
            load.run_requests(60)
        self.assert_nothing_lost(load, killed=backends)
        self.assertEqual(self.executed_twice(backends), [])
        self.assertEqual(load.connections_lost, 0)

    def test_killed_ones_are_left_out_long_before_their_node_goes(self):
        backends = self.start_backends(3)
        proxy = self.start_proxy_of(backends)
        with Load(proxy.port) as load:
            load.run_requests(40)
            backends[0].kill()
            self.wait_for_state(proxy, backends[0], "ejected", "probing")
            self.assert_not_chosen(proxy, [backends[0]], load)
            self.assertTrue(self.kazoo.exists(f"{LABEL_PATH}/{backends[0].name}"))
            # Its successor has an address of its own, and is there before the old node has gone.
            successor = MoodyBackend(self)
            self.register(successor)
            load.run_until_served_by(successor)
            self.remove(backends[0])
            load.run_requests(60)
        self.assert_nothing_lost(load, killed=backends)


if __name__ == "__main__":
    unittest.main()

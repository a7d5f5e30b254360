#!/usr/bin/python3
"""ZooKeeper in all kinds of trouble, under load: no request fails, and afterwards every backend is used again.

The backends are registered by srsd register, a process for each, as services are. The proxy reaches ZooKeeper through
a relay, so that it can be cut off alone."""

import pathlib
import shutil
import sys
import time
import unittest

import product
from ensemble import Ensemble
from failover import FailoverTest, Load
from proxy import LABEL, LABEL_PATH

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
from cluster import Relays  # noqa: E402

SESSION_TIMEOUT = "1s"
LONGER_THAN_A_SESSION = 1.8
RATE = 80


class OutagesTest(FailoverTest):
    def start_registered(self, count, servers):
        """Backends, and who registers them."""
        backends = self.start_backends(count)
        for backend in backends:
            self.start("srsd", "register", LABEL, backend.name, "--zookeeper", servers,
                       "--session-timeout", SESSION_TIMEOUT)
        return backends

    def start_proxy_at(self, backends, servers, **zookeeper):
        settings = self.settings(zookeeper=servers)
        settings["zookeeper"].update(session_timeout=SESSION_TIMEOUT, **zookeeper)
        proxy = self.start_proxy(settings=settings)
        self.wait_for_backends(proxy, *(backend.name for backend in backends))
        return proxy

    def start_relay(self, zookeeper):
        """Returns it, and the address that it listens at."""
        listen = f"127.0.0.1:{product.free_port()}"
        relay = Relays({"zookeeper": (listen, zookeeper.servers)})
        self.addCleanup(relay.close)
        return relay, listen

    def be_well_again(self, proxy, zookeeper, backends, load):
        """Until all that are registered are in the proxy's set, and each is given requests."""
        names = {backend.name for backend in backends}
        product.wait_until(lambda: proxy.metric("srsd_proxy_registry_connected") == 1, "the proxy is connected")
        kazoo = zookeeper.client()
        product.wait_until(lambda: kazoo.exists(LABEL_PATH) and set(kazoo.get_children(LABEL_PATH)) == names,
                           "all are registered again")
        kazoo.stop()
        kazoo.close()
        self.wait_for_backends(proxy, *names)
        since = time.monotonic()
        load.run_until(lambda: load.served(since).keys() == names, "all backends are used")

    def assert_unharmed(self, load, backends):
        self.assert_nothing_lost(load)
        self.assertEqual(self.executed_twice(backends), [])


class OneServerTest(OutagesTest):
    def setUp(self):
        self.zookeeper = self.start_zookeeper(ZOOKEEPER_TICK_MS="200")
        self.relay, listen = self.start_relay(self.zookeeper)
        self.backends = self.start_registered(3, self.zookeeper.servers)
        self.proxy = self.start_proxy_at(self.backends, listen)

    def be_well(self, load):
        self.be_well_again(self.proxy, self.zookeeper, self.backends, load)

    def test_killed_frozen_cut_off_and_slow(self):
        with Load(self.proxy.port, RATE) as load:
            self.zookeeper.stop()
            load.run_for(LONGER_THAN_A_SESSION)
            self.zookeeper.start()
            self.be_well(load)

            self.zookeeper.freeze()
            load.run_for(LONGER_THAN_A_SESSION)
            self.zookeeper.thaw()
            self.be_well(load)

            # The others are heard meanwhile: one comes that the proxy cannot know of.
            self.relay.set(["zookeeper"], "drop")
            load.run_for(LONGER_THAN_A_SESSION)
            self.backends += self.start_registered(1, self.zookeeper.servers)
            self.relay.set(["zookeeper"], "pass")
            self.be_well(load)

            self.relay.set(["zookeeper"], "pass", delay_ms=200)
            self.backends += self.start_registered(1, self.zookeeper.servers)
            self.be_well(load)
        self.assert_unharmed(load, self.backends)

    def test_wiped(self):
        with Load(self.proxy.port, RATE) as load:
            self.zookeeper.stop()
            shutil.rmtree(pathlib.Path(self.zookeeper.directory) / "data")
            self.zookeeper.start()
            self.be_well(load)
        self.assert_unharmed(load, self.backends)


class ReplacedTest(OutagesTest):
    def test_who_comes_back_before_its_node_went_starts_clean(self):
        """Its node is replaced in one step: no list shows the set without it."""
        zookeeper = self.start_zookeeper()
        kazoo = self.connect(zookeeper)
        erring, other = self.start_backends(2)
        for backend in (erring, other):
            kazoo.create(f"{LABEL_PATH}/{backend.name}", b"", ephemeral=True, makepath=True)
        settings = self.settings(zookeeper=zookeeper.servers)
        settings["services"][0]["health"] = {"errors": 3, "ejection": "10m", "ejection_max": "10m"}
        proxy = self.start_proxy(settings=settings)
        self.wait_for_backends(proxy, erring.name, other.name)
        erring.be("answer 500")
        with Load(proxy.port, RATE):
            self.wait_for_state(proxy, erring, "ejected")
        erring.be("answer 200")
        requests = self.attempts(proxy, other)
        replacement = kazoo.transaction()
        replacement.delete(f"{LABEL_PATH}/{erring.name}")
        replacement.create(f"{LABEL_PATH}/{erring.name}", b"", ephemeral=True)
        replacement.commit()
        self.wait_for_state(proxy, erring, "live")
        proxy.process.wait_for_error('event="backend replaced"')
        self.assertEqual(self.ask_many(proxy, 60).keys(), {erring.name, other.name})
        # The other one went on.
        self.assertGreaterEqual(self.attempts(proxy, other), requests)


class EnsembleTest(OutagesTest):
    def test_leader_lost_and_quorum_lost(self):
        ensemble = Ensemble(ZOOKEEPER_TICK_MS="200")
        self.addCleanup(ensemble.close)
        ensemble.start()
        backends = self.start_registered(3, ensemble.servers)
        proxy = self.start_proxy_at(backends, ensemble.servers)
        with Load(proxy.port, RATE) as load:
            leader = ensemble.leader()
            leader.kill()
            load.run_for(LONGER_THAN_A_SESSION)
            self.be_well_again(proxy, ensemble, backends, load)
            ensemble.leader().kill()
            load.run_for(LONGER_THAN_A_SESSION)
            ensemble.heal()
            self.be_well_again(proxy, ensemble, backends, load)
        self.assert_unharmed(load, backends)


if __name__ == "__main__":
    unittest.main()

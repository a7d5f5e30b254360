#!/usr/bin/python3
"""What the registry says, and what is there: backends that come, go, flap, and vanish from it all at once while they answer."""

import json
import pathlib
import shutil
import tempfile
import time
import unittest

import product
from failover import FailoverTest, Load
from proxy import LABEL_PATH


class RegisteredTest(product.EmptyRegistry, FailoverTest):
    """Backends of moods in a ZooKeeper that the tests share."""

    def start_registered(self, count, *options, kazoo=None, **changes):
        """So many backends, registered, and a proxy that believes in all of them."""
        backends = self.start_backends(count)
        self.register(*backends, kazoo=kazoo)
        proxy = self.start_proxy(*options, zookeeper=self.zookeeper.servers, **changes)
        for backend in backends:
            product.wait_until(lambda backend=backend: self.is_in(proxy, backend, "live"), f"{backend.name} is live")
        return proxy, backends

    def register(self, *backends, kazoo=None):
        for backend in backends:
            (kazoo or self.kazoo).create(f"{LABEL_PATH}/{backend.name}", b"", ephemeral=True, makepath=True)

    def deregister(self, *backends):
        """All in one transaction."""
        transaction = self.kazoo.transaction()
        for backend in backends:
            transaction.delete(f"{LABEL_PATH}/{backend.name}")
        self.assertEqual(set(transaction.commit()), {True})

    def is_in(self, proxy, backend, *states):
        entry = self.entry(proxy, backend)
        return entry is not None and entry["state"] in states

    def wait_for_all(self, proxy, backends, *states):
        product.wait_until(lambda: all(self.is_in(proxy, backend, *states) for backend in backends),
                           f"all are {' or '.join(states)}")

    def wait_for_none(self, proxy):
        product.wait_until(lambda: proxy.backends() == [], "no backend is left")

    def assert_used_evenly(self, proxy, backends, load, requests=200):
        before = [self.attempts(proxy, backend) for backend in backends]
        load.run_requests(requests)
        given = [self.attempts(proxy, backend) - was for backend, was in zip(backends, before)]
        # A tenth of its share has a probability below 1e-6 for each.
        self.assertTrue(all(count > requests / len(backends) / 10 for count in given), given)

    def errors(self, proxy, pattern):
        return [line for line in proxy.process.errors if pattern in line]


class VanishingTest(RegisteredTest):
    def test_all_at_once_and_back(self):
        proxy, backends = self.start_registered(5)
        with Load(proxy.port) as load:
            load.run_requests(50)
            self.deregister(*backends)
            self.wait_for_all(proxy, backends, "unlisted")
            self.assert_used_evenly(proxy, backends, load)
            proxy.process.wait_for_error('level=error event="backends answer that are not registered".* unlisted=5')
            # One ends: the first refused connection is the end of it. The others serve on.
            backends[0].kill()
            product.wait_until(lambda: self.entry(proxy, backends[0]) is None, "who is dead is dropped")
            self.assert_used_evenly(proxy, backends[1:], load)
            # They register again, one by one.
            for backend in backends[1:]:
                self.register(backend)
                load.run_requests(20)
            proxy.process.wait_for_error('event="registry is believed again"')
            self.wait_for_all(proxy, backends[1:], "live")
            self.assert_used_evenly(proxy, backends[1:], load)
        self.assert_nothing_lost(load, killed=backends)
        self.assertEqual(self.executed_twice(backends), [])

    def test_one_session_after_the_other(self):
        sessions = [self.connect(self.zookeeper) for _ in range(4)]
        backends = self.start_backends(4)
        for backend, session in zip(backends, sessions):
            self.register(backend, kazoo=session)
        proxy = self.start_proxy(zookeeper=self.zookeeper.servers)
        self.wait_for_all(proxy, backends, "live")
        with Load(proxy.port) as load:
            load.run_requests(30)
            for session in sessions:
                session.stop()
                load.run_requests(30)
            # Those that went first were believed to be gone. They answer, so they are back.
            self.wait_for_all(proxy, backends, "unlisted")
            self.assert_used_evenly(proxy, backends, load)
        self.assert_nothing_lost(load)

    def test_scaled_down_to_nothing(self):
        proxy, backends = self.start_registered(3)
        # None is there any more when it leaves the registry: nothing contradicts that.
        for backend in backends:
            backend.kill()
            self.deregister(backend)
        self.wait_for_none(proxy)
        answer = proxy.ask()
        self.assertEqual((answer.status, "registered" in answer.text), (503, True))
        self.assertEqual(self.errors(proxy, "level=error"), [])

    def test_the_registry_can_be_believed_always(self):
        proxy, backends = self.start_registered(3, health={"vanish_share": 100})
        self.deregister(*backends)
        self.wait_for_none(proxy)
        self.assertEqual(proxy.ask().status, 503)

    def test_for_so_long_only(self):
        proxy, backends = self.start_registered(2, health={"vanish_hold": "1s"})
        self.deregister(*backends)
        self.wait_for_none(proxy)
        self.assertEqual(len(self.errors(proxy, "evidence=unlisted_too_long")), 2)

    def test_replaced_by_as_many_others(self):
        proxy, backends = self.start_registered(2)
        others = self.start_backends(2)
        with Load(proxy.port) as load:
            load.run_requests(20)
            self.deregister(*backends)
            self.wait_for_all(proxy, backends, "unlisted")
            self.register(others[0])
            self.wait_for_all(proxy, others[:1], "live")
            self.assert_used_evenly(proxy, [*backends, others[0]], load, 100)
            self.register(others[1])
            product.wait_until(lambda: proxy.backends() == sorted(other.name for other in others), "they are replaced")
            self.assert_used_evenly(proxy, others, load, 50)
        self.assert_nothing_lost(load)

    def test_a_rolling_restart_is_believed(self):
        proxy, backends = self.start_registered(3)
        with Load(proxy.port) as load:
            for backend in backends:
                load.run_requests(20)
                self.deregister(backend)
                product.wait_until(lambda backend=backend: self.entry(proxy, backend) is None, "it is not used")
                load.run_requests(20)
                load.run_through()  # none is left that it was given before
                backend.kill()
                backend.start()
                self.register(backend)
                product.wait_until(lambda backend=backend: self.is_in(proxy, backend, "live"), "it is used again")
        self.assert_nothing_lost(load)
        self.assertEqual(self.errors(proxy, "unlisted"), [])


class ComingTest(RegisteredTest):
    def test_who_is_new_is_connected_to_before_it_is_used(self):
        proxy, (first, *_) = self.start_registered(1)
        dead = self.start_backends(1)[0]
        dead.kill()
        with Load(proxy.port) as load:
            self.register(dead)
            self.wait_for_all(proxy, [dead], "ejected", "probing")
            load.run_requests(50)
            self.assertEqual(self.attempts(proxy, dead), 0)
            # It is tried again and again, and used as soon as it is there.
            dead.start()
            self.wait_for_all(proxy, [dead], "live")
            self.assert_used_evenly(proxy, [first, dead], load, 100)
        self.assert_nothing_lost(load)
        self.assertGreater(self.attempts(proxy, dead), 0)

    def test_who_comes_and_goes_has_to_wait(self):
        proxy, (staying, *_) = self.start_registered(1)
        flapping = self.start_backends(1)[0]
        for _ in range(4):
            self.register(flapping)
            product.wait_until(lambda: self.is_in(proxy, flapping, "live"), "it came")
            self.deregister(flapping)
            product.wait_until(lambda: self.entry(proxy, flapping) is None, "it went")
        self.register(flapping)
        proxy.process.wait_for_error('event="backend comes and goes".* times=4 .* waits_ms=1000')
        self.assertEqual(proxy.metric('srsd_proxy_service_backends_flapped_total{service="tornado_app"}'), 1)
        product.wait_until(lambda: self.is_in(proxy, flapping, "live"), "it has waited")
        # Where nobody else is, it serves nevertheless.
        self.deregister(flapping)
        staying.kill()
        self.register(flapping)
        product.wait_until(lambda: proxy.ask().served_by == flapping.name, "it is better than nobody")

    def test_a_probe_asks_before_who_failed_is_used_again(self):
        proxy, (moody, other) = self.start_registered(2, health={"path": "/health", "ejection": "100ms"})
        moody.be("answer 500")
        with Load(proxy.port, post_every=0) as load:
            self.wait_for_all(proxy, [moody], "ejected", "probing")
            proxy_probes = 'srsd_proxy_probes_total{service="tornado_app",result="probe_status"}'
            product.wait_until(lambda: proxy.metric(proxy_probes) >= 2, "it is probed")
            self.assert_not_chosen(proxy, [moody], load, 50)
            self.assertTrue(self.is_in(proxy, other, "live"))
            moody.be("answer 200")
            self.wait_for_all(proxy, [moody], "live")
            self.assert_used_evenly(proxy, [moody, other], load, 100)
        self.assertIn("GET /health", moody.executed)


class ZooKeeperDiesTest(RegisteredTest):
    """With one of the test's own."""

    def setUp(self):
        self.zookeeper = self.start_zookeeper()
        super().setUp()

    @classmethod
    def setUpClass(cls):
        pass

    def test_a_wiped_zookeeper(self):
        proxy, backends = self.start_registered(3)
        with Load(proxy.port) as load:
            load.run_requests(30)
            self.zookeeper.stop()
            shutil.rmtree(pathlib.Path(self.zookeeper.directory) / "data")
            self.zookeeper.start()
            self.wait_for_all(proxy, backends, "unlisted")
            self.assert_used_evenly(proxy, backends, load)
        self.assert_nothing_lost(load)

    def test_the_set_on_disk_is_connected_to_first(self):
        directory = tempfile.mkdtemp(prefix="srsd-state-test-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        settings = self.settings(zookeeper=self.zookeeper.servers)
        settings["zookeeper"].update(state_dir=directory, recheck="1s")
        living, dead = self.start_backends(2)
        self.register(living, dead)
        proxy = self.start_proxy(settings=settings)
        self.wait_for_all(proxy, [living, dead], "live")
        product.wait_until(lambda: list(pathlib.Path(directory).glob("*.state")), "the set is on disk")
        self.assertEqual(proxy.process.terminate(), 0)
        self.zookeeper.stop()
        dead.kill()
        begun = time.monotonic()
        proxy = self.start_proxy(settings=settings)
        product.wait_until(lambda: proxy.ask().status == 200, "the set on disk serves")
        # It is waited for ZooKeeper for a moment only; generous, as machines are loaded.
        self.assertLess(time.monotonic() - begun, 20)
        self.wait_for_all(proxy, [living], "live")
        self.wait_for_all(proxy, [dead], "ejected", "probing")
        self.assertEqual(json.loads(proxy.admin("/backends").text)["services"][0]["source"], "file")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""srsd register on a real ZooKeeper: what it writes, as Kazoo and ZooKeeper's own shell see it, and how it lasts."""

import json
import os
import shutil
import signal
import unittest

import product
from kazoo.security import make_acl

ADDRESS = "192.168.149.134:8888"


class RegisterTest(product.ZooKeeperTest):
    def register(self, *arguments, address=ADDRESS, **options):
        """Start it and wait until it says that it is registered."""
        process = self.start_srsd("register", self.label, address, *arguments, **options)
        process.wait_for_output(f"held.*{self.path()}")
        return process

    def owner(self, address=ADDRESS):
        """The session that holds the address, or None."""
        stat = self.kazoo.exists(self.path(address))
        return stat.ephemeralOwner if stat else None

    def test_what_kazoo_reads(self):
        process = self.register()
        self.assertEqual(process.output, [f"held /zk_registry/data/{self.label}/192.168.149.134:8888"])
        self.assertEqual(self.kazoo.get_children(f"/zk_registry/data/{self.label}"), ["192.168.149.134:8888"])
        data, stat = self.kazoo.get(f"/zk_registry/data/{self.label}/192.168.149.134:8888")
        self.assertEqual(data, b"")
        self.assertIn(stat.ephemeralOwner, self.zookeeper.sessions())
        for parent in ("/zk_registry", "/zk_registry/data", self.path()):
            data, stat = self.kazoo.get(parent)
            self.assertEqual((data, stat.ephemeralOwner), (b"", 0), parent)

    def test_what_zookeepers_own_shell_shows(self):
        self.label = "tornado_app"
        self.register()
        self.register(address="192.168.149.135:8888")
        lines = self.zookeeper.shell("ls", "/zk_registry/data/tornado_app")
        self.assertEqual(lines[-1], "[192.168.149.134:8888, 192.168.149.135:8888]")

    def test_every_kind_of_address(self):
        addresses = ["192.0.2.1:1", "[2001:db8::1]:65535", "shop.example:80", "localhost:8080"]
        for address in addresses:
            self.register(address=address)
        self.assertEqual(sorted(self.kazoo.get_children(self.path())), sorted(addresses))

    def test_own_registry_and_chroot(self):
        self.kazoo.ensure_path("/tenant")
        process = self.start("srsd", "register", self.label, ADDRESS, "--registry", "/services",
                             "--zookeeper", f"{self.zookeeper.servers}/tenant")
        process.wait_for_output(f"^held /services/{self.label}/{ADDRESS}$")
        self.assertTrue(self.kazoo.exists(f"/tenant/services/{self.label}/{ADDRESS}"))

    def test_signals_remove_the_node_before_the_end(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                process = self.register()
                session = self.owner()
                process.signal(number)
                self.assertEqual(process.wait_for_exit(), 0, process.report())
                self.assertIsNone(self.owner(), "gone at the moment of exit")
                self.assertNotIn(session, self.zookeeper.sessions())
                self.assertRegex(process.output[-1], f"^released {self.path(ADDRESS)}")

    def test_json(self):
        process = self.register("--json")
        self.assertEqual(process.terminate(), 0)
        first, last = [json.loads(line) for line in process.output]
        for line in (first, last):
            line.pop("reason", None)
        common = {"label": self.label, "address": ADDRESS, "host": "192.168.149.134", "port": 8888,
                  "path": self.path(ADDRESS)}
        self.assertEqual(first, {"event": "held", **common})
        self.assertEqual(last, {"event": "released", **common})

    def test_killed_and_started_again(self):
        process = self.register("--session-timeout", "4s")
        first = self.owner()
        process.kill()
        self.assertEqual(self.owner(), first, "the node outlives its owner by the session timeout")
        self.register("--session-timeout", "4s")
        second = product.wait_until(lambda: self.owner() not in (None, first) and self.owner(), "a new owner")
        # The first session's end must not take the second one's node away.
        product.wait_until(lambda: first not in self.zookeeper.sessions(), "the first session ends")
        self.assertEqual(self.owner(), second)

    def test_comes_back_after_the_session_was_ended(self):
        process = self.register()
        first = self.owner()
        self.zookeeper.expire(first)
        process.wait_for_error("the session is over")
        seen = process.wait_for_output("^lost .*: .")
        process.wait_for_output("^held", after=seen)
        self.assertNotIn(self.owner(), (None, first))

    def test_comes_back_after_it_was_frozen(self):
        process = self.register("--session-timeout", "1s")
        first = self.owner()
        process.freeze()
        product.wait_until(lambda: self.owner() is None, "ZooKeeper removes the node")
        process.thaw()
        product.wait_until(lambda: self.owner() not in (None, first), "the node comes back")
        process.wait_for_output("^held", after=2)
        self.assertEqual([line.split()[0] for line in process.output], ["held", "lost", "held"])

    def test_comes_back_after_somebody_removed_it(self):
        process = self.register()
        self.kazoo.delete(self.path(), recursive=True)
        product.wait_until(self.owner, "the node comes back")
        seen = process.wait_for_output("^lost .*: .")
        process.wait_for_output("^held", after=seen)

    def test_two_that_want_the_same_address(self):
        first = self.register()
        session = self.owner()
        second = self.start_srsd("register", self.label, ADDRESS)
        second.wait_for_output(f"^conflict {self.path(ADDRESS)}: .")
        self.assertEqual(self.owner(), session)
        self.assertEqual(first.terminate(), 0)
        second.wait_for_output("^held")
        self.assertNotIn(self.owner(), (None, session))

    def test_the_one_that_does_not_hold_it_leaves_it_alone(self):
        self.register()
        session = self.owner()
        second = self.start_srsd("register", self.label, ADDRESS)
        second.wait_for_output("^conflict")
        self.assertEqual(second.terminate(), 0)
        self.assertEqual(self.owner(), session)

    def test_outlives_the_reader_of_its_output(self):
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as pipe:
            process = self.start_srsd("register", self.label, ADDRESS, stdout=pipe)
        first = product.wait_until(self.owner, "the node")
        os.close(reading)
        self.zookeeper.expire(first)
        product.wait_until(lambda: self.owner() not in (None, first), "the node comes back")
        process.wait_for_error("nobody reads standard output")
        self.assertEqual(process.terminate(), 0)
        self.assertIsNone(self.owner())

    def test_says_of_itself_what_it_is_told(self):
        self.register("--weight", "3", "--zone", "eu-1", "--endpoint-label", "rack=7", "--endpoint-label", "note=a=b")
        data, _ = self.kazoo.get(self.path(ADDRESS))
        self.assertEqual(json.loads(data), {"weight": 3, "zone": "eu-1", "labels": {"rack": "7", "note": "a=b"}})

    def test_what_cannot_be_said(self):
        cases = {("--weight", "65536"): '--weight: "65536" is no whole number of 0 to 65535',
                 ("--weight", "-1"): '--weight: "-1" is no whole number of 0 to 65535',
                 ("--zone", "z" * 64): "its zone is no text of up to 63 bytes",
                 ("--endpoint-label", "rack"): '--endpoint-label: "rack" has no "="; write KEY=VALUE',
                 ("--endpoint-label", "=7"): '--endpoint-label: "=7" has no key; write KEY=VALUE',
                 ("--endpoint-label", "a=1", "--endpoint-label", "a=2"): 'the label "a" is given twice'}
        for options, message in cases.items():
            process = self.start_srsd("register", self.label, ADDRESS, *options)
            self.assertEqual(process.wait_for_exit(), 64, options)
            self.assertIn(message, process.errors[0])

    def test_denied(self):
        self.kazoo.ensure_path(product.REGISTRY)
        self.kazoo.create(self.path(), acl=[make_acl("world", "anyone", read=True)])
        process = self.start_srsd("register", self.label, ADDRESS)
        process.wait_for_output(f"^denied {self.path(ADDRESS)}: .")
        self.assertEqual(process.terminate(), 0)


class OutageTest(product.SystemTest):
    """ZooKeeper goes away and comes back."""

    def setUp(self):
        self.zookeeper = self.start_zookeeper()
        self.path = f"{product.REGISTRY}/shop/{ADDRESS}"

    def register(self, *arguments):
        return self.start("srsd", "register", "shop", ADDRESS, "--zookeeper", self.zookeeper.servers, *arguments)

    def owner(self):
        """The session that holds the address, or None; asked anew, for an older connection may know old news."""
        client = self.zookeeper.client()
        try:
            stat = client.exists(self.path)
            return stat.ephemeralOwner if stat else None
        finally:
            client.stop()
            client.close()

    def expect_held(self):
        """The node is there, and of a session that lives."""
        product.wait_until(lambda: self.owner() in self.zookeeper.sessions(), "the node is held")

    def test_stays_registered_when_zookeeper_is_killed_and_started_again(self):
        process = self.register()
        process.wait_for_output("^held")
        for _ in range(2):
            seen = len(process.errors)
            self.zookeeper.stop()
            seen = process.wait_for_error("connection lost", after=seen)
            self.zookeeper.start()
            process.wait_for_error("^srsd: connected", after=seen)
            self.expect_held()
        self.assertEqual(process.terminate(), 0)
        self.assertIsNone(self.owner())

    def test_registers_again_when_zookeeper_comes_back_empty(self):
        process = self.register("--session-timeout", "2s")
        process.wait_for_output("^held")
        self.zookeeper.stop()
        shutil.rmtree(os.path.join(self.zookeeper.directory, "data"))
        self.zookeeper.start()
        process.wait_for_output("^held", after=1)
        self.expect_held()

    def test_registers_again_after_an_outage_longer_than_the_session(self):
        process = self.register("--session-timeout", "1s")
        process.wait_for_output("^held")
        first = self.owner()
        self.zookeeper.stop()
        process.wait_for_error("connection lost")
        process.freeze()  # so that it cannot come back in time after the start
        self.zookeeper.start()
        product.wait_until(lambda: first not in self.zookeeper.sessions(), "the session expires")
        process.thaw()
        process.wait_for_output("^held", after=1)
        self.assertNotEqual(self.owner(), first)
        self.expect_held()

    def test_starts_before_zookeeper(self):
        self.zookeeper.stop()
        process = self.register()
        process.wait_for_error("no server of .* answers")
        self.zookeeper.start()
        process.wait_for_output("^held")
        self.expect_held()

    def test_ends_at_once_when_there_never_was_a_server(self):
        self.zookeeper.stop()
        process = self.register()
        process.wait_for_error("no server of .* answers")
        self.assertEqual(process.terminate(), 0, "69 would mean that it waited for a server")

    def test_says_when_it_could_not_remove_the_node(self):
        process = self.register()
        process.wait_for_output("^held")
        self.zookeeper.freeze()
        self.assertEqual(process.terminate(), 69, process.report())
        process.wait_for_error("goes when its session times out")
        self.zookeeper.thaw()

    def test_a_second_signal_does_not_wait(self):
        process = self.register()
        process.wait_for_output("^held")
        self.zookeeper.freeze()
        process.signal(signal.SIGINT)
        process.signal(signal.SIGTERM)  # another one: two of a kind at the same moment are one
        self.assertEqual(process.wait_for_exit(), 69, process.report())
        process.wait_for_error("not waiting for the removal")
        self.zookeeper.thaw()


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""srsd discover on a real ZooKeeper, with nodes that Kazoo made."""

import json
import os
import re
import socket
import time
import unittest

import product
from kazoo.security import make_digest_acl


class DiscoverTest(product.ZooKeeperTest):
    def discover(self, *arguments, status=0, **options):
        """Run it to its end. Returns what it printed."""
        process = self.start_srsd("discover", self.label, *arguments, **options)
        self.assertEqual(process.wait_for_exit(), status, process.report())
        self.last = process
        return process.output

    def test_prints_all_addresses_sorted(self):
        self.add("192.0.2.3:80", "192.0.2.1:80", "[2001:db8::1]:8080", "shop.example:443", "192.0.2.1:8888")
        self.assertEqual(self.discover(), [
            "192.0.2.1:80", "192.0.2.1:8888", "192.0.2.3:80", "[2001:db8::1]:8080", "shop.example:443"])
        self.assertEqual(self.last.errors, [])

    def test_sees_persistent_nodes_too(self):
        self.kazoo.create(self.path("192.0.2.1:80"), makepath=True)
        self.assertEqual(self.discover(), ["192.0.2.1:80"])

    def test_json(self):
        self.label = 'quo"te \\ back, caf\u00e9'
        self.add("192.0.2.1:80", "[2001:db8::1]:8080")
        self.assertEqual([json.loads(line) for line in self.discover("--json")], [
            {"label": self.label, "address": "192.0.2.1:80", "host": "192.0.2.1", "port": 80},
            {"label": self.label, "address": "[2001:db8::1]:8080", "host": "2001:db8::1", "port": 8080}])

    def test_one_is_picked_by_its_weight(self):
        for address, weight in (("192.0.2.1:80", 0), ("192.0.2.2:80", 5), ("192.0.2.3:80", 0)):
            self.kazoo.create(self.path(address), json.dumps({"weight": weight}).encode(), makepath=True)
        for _ in range(5):
            self.assertEqual(self.discover("--one", "--format", "json"), ["192.0.2.2:80"])
        self.assertEqual(len(self.discover("--format", "json")), 3)
        self.kazoo.set(self.path("192.0.2.2:80"), b'{"weight": 0}')
        self.assertEqual(self.discover("--one", "--format", "json", status=1), [])
        self.assertRegex(self.last.errors[0], "to take requests: all weights are 0$")
        self.assertEqual(self.discover("--one", "--format", "json", "--wait", "3", status=1), [])

    def test_one_is_picked_at_random(self):
        addresses = {"192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"}
        self.add(*addresses)
        picked = set()
        for _ in range(200):  # all the same but for one chance in 10^34
            lines = self.discover("--one")
            self.assertEqual(len(lines), 1)
            picked.add(lines[0])
            if picked == addresses:
                break
        self.assertEqual(picked, addresses)

    def test_waits_until_there_are_enough(self):
        self.add("192.0.2.1:80")
        process = self.start_srsd("discover", self.label, "--wait", "3", "--timeout", "1m", "-v")
        process.wait_for_error("connected to ")
        self.add("192.0.2.2:80")
        self.assertTrue(process.is_running())
        self.add("192.0.2.3:80")
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual(process.output, ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"])

    def test_waits_for_a_label_that_comes_later(self):
        process = self.start_srsd("discover", self.label, "--wait", "1", "--one", "--timeout", "1m", "-v")
        process.wait_for_error("connected to ")
        self.add("192.0.2.1:80")
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual((process.output), ["192.0.2.1:80"])

    def test_does_not_wait_where_there_are_enough(self):
        self.add("192.0.2.1:80", "192.0.2.2:80")
        began = time.monotonic()
        self.assertEqual(self.discover("--wait", "2", "--timeout", "1m"), ["192.0.2.1:80", "192.0.2.2:80"])
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(self.last.errors, [])

    def test_waits_in_vain(self):
        """What there is is printed all the same."""
        self.assertEqual(self.discover("--wait", "2", "--timeout", "3s", status=1), [])
        self.assertEqual(self.last.errors, [f"srsd: only 0 of 2 are registered under {self.label} by now"])
        self.add("192.0.2.1:80")
        self.assertEqual(self.discover("--wait", "2", "--timeout", "3s", status=1), ["192.0.2.1:80"])
        self.assertEqual(self.last.errors, [f"srsd: only 1 of 2 are registered under {self.label} by now"])

    def test_formats(self):
        """Weight, zone and labels where the data has them; the node's name where that is not the address."""
        data = json.dumps({"host": "192.0.2.1", "port": 80, "weight": 3, "labels": {"canary": "yes", "az": "b"}})
        self.kazoo.create(self.path("nerve_1"), data.encode(), makepath=True)
        self.assertEqual(self.discover("--format", "smartstack"), ["192.0.2.1:80"])
        line, = map(json.loads, self.discover("--format", "smartstack", "--json"))
        self.assertRegex(line.pop("created"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(line, {
            "label": self.label, "address": "192.0.2.1:80", "host": "192.0.2.1", "port": 80, "node": "nerve_1",
            "weight": 3, "zone": "b", "labels": {"canary": "yes", "az": "b"}, "owner": "0x0"})
        self.kazoo.create(self.path("192.0.2.2:80"), b'{"zone": "rack\\"7", "weight": 0}')
        line, = map(json.loads, self.discover("--format", "json", "--json"))
        self.assertEqual((line["weight"], line["zone"], "node" in line), (0, 'rack"7', False))

    def test_every_format_that_help_names(self):
        self.add("192.0.2.1:80")
        text = "\n".join(self.discover("--help"))
        names = re.search(r"--format (\S+)", text)[1].split("|")
        self.assertEqual(names, ["name", "json", "smartstack", "serverset", "curator"])
        for name in names:
            self.discover("--format", name, status=0 if name in ("name", "json") else 1)

    def test_nothing_registered(self):
        for case in ("the label does not exist", "the label is empty"):
            with self.subTest(case):
                for arguments in ([], ["--one"], ["--json"]):
                    self.assertEqual(self.discover(*arguments, status=1), [])
                    self.assertEqual(self.last.errors, [f"srsd: no address is registered under {self.label}"])
            self.kazoo.ensure_path(self.path())

    def test_skips_names_that_are_no_address(self):
        self.add("192.0.2.1:80", "nonsense", "192.0.2.1:0")
        self.assertEqual(self.discover(), ["192.0.2.1:80"])
        self.assertTrue(any("nonsense" in line for line in self.last.errors), self.last.report())

    def test_options_stand_anywhere(self):
        self.kazoo.create(f"/elsewhere/{self.label}/192.0.2.9:80", makepath=True)
        servers = self.zookeeper.servers
        for arguments in (
                ["--zookeeper", servers, "--registry", "/elsewhere", "discover", self.label],
                [f"--zookeeper={servers}", "discover", "--registry=/elsewhere", self.label],
                ["discover", "--registry", "/elsewhere", "--", self.label],
                ["discover", self.label, "--registry=/elsewhere", "--session-timeout=4s", "--timeout", "1m"],
                ["discover", self.label, "--registry=/", "--zookeeper", f"{servers}/elsewhere"]):
            with self.subTest(arguments=arguments):
                process = self.start("srsd", *arguments, environment={"SRSD_ZOOKEEPER": servers, "POSIXLY_CORRECT": "1"})
                self.assertEqual(process.wait_for_exit(), 0, process.report())
                self.assertEqual(process.output, ["192.0.2.9:80"])

    def test_the_option_is_stronger_than_the_environment(self):
        self.add("192.0.2.1:80")
        self.assertEqual(self.discover(environment={"SRSD_ZOOKEEPER": "127.0.0.1:1"}), ["192.0.2.1:80"])

    def test_takes_the_server_that_answers(self):
        self.add("192.0.2.1:80")
        process = self.start("srsd", "discover", self.label, "--zookeeper",
                             f"127.0.0.1:{product.free_port()},{self.zookeeper.servers}", "--timeout", "30s")
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual(process.output, ["192.0.2.1:80"])

    def test_looks_names_up(self):
        self.add("192.0.2.1:80")
        port = self.zookeeper.servers.rpartition(":")[2]
        process = self.start("srsd", "discover", self.label, "--timeout", "30s", "--zookeeper",
                             f"no-such-host.invalid:{port},localhost:{port}")
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual(process.output, ["192.0.2.1:80"])
        self.assertTrue(any("no-such-host.invalid" in line for line in process.errors), process.report())

    def test_verbose(self):
        self.add("192.0.2.1:80")
        self.discover("--verbose")
        self.assertTrue(self.last.errors)
        for line in self.last.errors:
            self.assertRegex(line, "^srsd: (info|debug|warning): ")

    def test_denied(self):
        self.kazoo.ensure_path(product.REGISTRY)
        self.kazoo.create(self.path(), acl=[make_digest_acl("somebody", "else", all=True)])
        self.assertEqual(self.discover(status=77), [])
        self.assertTrue(self.last.errors, self.last.report())
        self.assertEqual(self.discover("--wait", "1", "--timeout", "1m", status=77), [])
        self.assertIn(f"srsd: no permission to read {self.path()}", self.last.errors)

    def test_a_reader_that_has_seen_enough(self):
        self.kazoo.ensure_path(self.path())
        pending = [self.kazoo.create_async(self.path(f"192.0.2.1:{port}")) for port in range(10000, 20000)]
        for each in pending:
            each.get(timeout=product.DEADLINE_SECONDS)
        self.assertEqual(len(self.discover()), 10000)
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            self.discover(stdout=pipe)
        self.assertEqual(self.last.errors, [])
        with open("/dev/full", "wb") as full:
            self.discover(stdout=full, status=74)
        self.assertRegex(self.last.errors[0], "^srsd: cannot write to standard output: No space left")


class UnreachableTest(product.SystemTest):
    """Nobody answers: the end comes when --timeout says so, with exit status 69."""

    def expect_timeout(self, servers, *arguments):
        started = time.monotonic()
        process = self.start("srsd", "discover", "shop", "--timeout", "1500ms", "--zookeeper", servers, *arguments)
        self.assertEqual(process.wait_for_exit(), 69, process.report())
        elapsed = time.monotonic() - started
        self.assertEqual(process.output, [])
        self.assertTrue(process.errors)
        self.assertGreater(elapsed, 1.4)
        self.assertLess(elapsed, 15)

    def test_nobody_listens(self):
        self.expect_timeout(f"127.0.0.1:{product.free_port()}")
        self.expect_timeout(f"127.0.0.1:{product.free_port()}", "--wait", "1")

    def test_somebody_listens_and_says_nothing(self):
        with socket.create_server(("127.0.0.1", product.free_port())) as silent:
            self.expect_timeout(f"127.0.0.1:{silent.getsockname()[1]}")

    def test_frozen_server(self):
        zookeeper = self.start_zookeeper()
        zookeeper.freeze()
        self.expect_timeout(zookeeper.servers)


if __name__ == "__main__":
    unittest.main()

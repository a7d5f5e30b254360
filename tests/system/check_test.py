#!/usr/bin/python3
"""srsd check on a real ZooKeeper: each finding is brought about, and nothing else is found."""

import contextlib
import json
import os
import pathlib
import pty
import re
import socket
import time
import unittest

from kazoo.security import make_digest_acl

import product
from ensemble import Ensemble


def listen(host="127.0.0.1", port=0):
    """A socket that takes connections, on a port of its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=64)


def name_of(listener):
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class CheckCase:
    """How a test runs it, and reads what it says."""

    def srsd_check(self, *arguments, status, label=None, servers=None, **options):
        # The last one counts: a machine under load may need longer than the defaults.
        process = self.start("srsd", "check", label or self.label, "--timeout", "1m", "--connect-timeout", "30s",
                             *arguments, "--zookeeper", servers or self.zookeeper.servers, **options)
        self.assertEqual(process.wait_for_exit(), status, process.report())
        return process

    def objects(self, *arguments, status, **options):
        """What --json prints: findings, unknowns and the summary."""
        process = self.srsd_check("--json", *arguments, status=status, **options)
        lines = [json.loads(line) for line in process.output]
        self.assertEqual([line["type"] for line in lines].count("summary"), 1, process.report())
        self.assertEqual(lines[-1]["type"], "summary")
        findings = [line for line in lines if line["type"] == "finding"]
        unknowns = [line for line in lines if line["type"] == "unknown"]
        self.assertEqual(lines[-1]["findings"], len(findings))
        self.assertEqual(lines[-1]["unknown"], len(unknowns))
        return findings, unknowns, lines[-1]

    def assert_findings(self, expected, *arguments, **options):
        """Exactly these (kind, node) are found. Returns the findings."""
        findings, _, _ = self.objects(*arguments, status=2 if expected else 0, **options)
        self.assertEqual([(finding["finding"], finding.get("node")) for finding in findings], expected)
        return findings

    def listen(self, host="127.0.0.1"):
        """A backend: somebody who takes connections. Returns its address."""
        listener = listen(host)
        self.addCleanup(listener.close)
        return name_of(listener)


    def listen_silently(self):
        """Somebody who listens and whose queue is full: a handshake gets no answer."""
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(full.close)
        for _ in range(4):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        return name_of(full)


class CheckTest(CheckCase, product.ZooKeeperTest):
    def test_all_is_well(self):
        self.add(self.listen(), self.listen())
        process = self.srsd_check(status=0)
        self.assertRegex(process.output[0], rf"^{self.path()}: 2 nodes, 2 of them usable; 2 of 2 addresses answer$")
        self.assertRegex(process.output[1], "^session timeout: 10s; the server allows 1s to 1m$")
        self.assertEqual(process.output[-1], "all is well")
        self.assertEqual(process.errors, [])

    def test_summary(self):
        self.add(self.listen())
        _, _, summary = self.objects(status=0)
        self.assertRegex(summary.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(summary, {
            "type": "summary", "label": self.label, "nodes": 1, "usable": 1, "tried": 1, "answering": 1,
            "children_max": 100000, "session_timeout_ms": 10000, "session_timeout_least_ms": 1000,
            "session_timeout_most_ms": 60000, "unknown": 0, "findings": 0})

    def test_nobody_is_registered(self):
        self.assert_findings([("empty", None)])
        self.kazoo.ensure_path(self.path())
        self.assert_findings([("empty", None)])
        process = self.srsd_check(status=2)
        self.assertEqual(process.output[-1], "1 finding")

    def test_names_that_are_no_address(self):
        good = self.listen()
        bad = ["192.0.2.1:0", "2001:db8::1:80", "nonsense", "schön:80"]
        self.add(good, *bad)
        findings = self.assert_findings([("unusable", name) for name in bad])
        self.assertIn("an IPv6 address needs brackets", [finding["text"] for finding in findings])
        process = self.srsd_check(status=2)
        self.assertTrue(any(line.startswith("unusable       schön:80 ") for line in process.output), process.report())
        self.assertEqual(process.errors, [], "the report says it, and once is enough")

    def test_one_address_under_two_spellings(self):
        try:
            port = product.free_port("::1", "127.0.0.1")
        except OSError:
            self.skipTest("this machine has no IPv6")
        with listen("::1", port), listen("127.0.0.1", port):
            self.add(f"[::1]:{port}", f"[0:0:0:0:0:0:0:1]:{port}", f"127.0.0.1:{port}",
                     f"[::ffff:127.0.0.1]:{port}", f"localhost:{port}", f"LocalHost:{port}")
            findings = self.assert_findings([("duplicate", f"[::1]:{port}"),
                                             ("duplicate", f"[::ffff:127.0.0.1]:{port}"),
                                             ("duplicate", f"localhost:{port}")], "--no-connect")
        self.assertEqual(findings[0]["text"], f"the same address as [0:0:0:0:0:0:0:1]:{port}: "
                                              "its backend gets a share of the requests for each")

    def test_a_name_and_its_address(self):
        """Which may be several, by /etc/hosts: then they are different backends to whoever picks one."""
        port = self.listen().rpartition(":")[2]
        self.add(f"127.0.0.1:{port}", f"localhost:{port}")
        found = {line.split()[0] for line in pathlib.Path("/etc/hosts").read_text().splitlines()
                 if "localhost" in line.split()[1:]}
        self.assert_findings([("duplicate", f"localhost:{port}")] if found == {"127.0.0.1"} else [])

    def test_one_address_in_the_data_of_two_nodes(self):
        address = self.listen()
        host, port = address.split(":")
        data = json.dumps({"host": host, "port": int(port)}).encode()
        self.kazoo.ensure_path(self.path())
        for _ in range(2):
            self.kazoo.create(self.path("nerve_"), data, ephemeral=True, sequence=True)
        self.kazoo.create(self.path("nerve_odd"), b"{}", ephemeral=True)
        findings = self.assert_findings([("unusable", "nerve_odd"), ("duplicate", "nerve_0000000001")],
                                        "--format", "smartstack")
        self.assertEqual(findings[1]["address"], address)

    def test_persistent_nodes(self):
        address = self.listen()
        self.kazoo.create(self.path(address), b"", makepath=True)
        finding, = self.assert_findings([("persistent", address)])
        self.assertEqual(finding["owner"], "0x0")
        self.assertRegex(finding["created"], r"^\d{4}-\d\d-\d\dT")
        row, = [line for line in self.srsd_check(status=2).output if line.startswith("persistent")]
        self.assertRegex(row, rf"^persistent +{re.escape(address)} +- +\d+m?s +no session owns it")

    def test_nobody_answers(self):
        refused = f"127.0.0.1:{product.free_port()}"
        self.add(refused, "no-such-host.invalid:80")
        findings = self.assert_findings([("not-answering", refused), ("not-answering", "no-such-host.invalid:80")])
        self.assertEqual(findings[0]["text"], "Connection refused")
        _, _, summary = self.objects("--no-connect", status=0)
        self.assertNotIn("tried", summary)

    def test_somebody_listens_and_never_answers(self):
        silent = self.listen_silently()
        self.add(silent, self.listen())
        finding, = self.assert_findings([("not-answering", silent)], "--connect-timeout", "300ms")
        self.assertEqual(finding["text"], "no answer in time")

    def test_all_at_once(self):
        """Not one after the other, which would take 40 s."""
        silent = sorted(self.listen_silently() for _ in range(40))
        self.add(*silent, self.listen())
        started = time.monotonic()
        self.assert_findings([("not-answering", address) for address in silent], "--connect-timeout", "1s")
        self.assertLess(time.monotonic() - started, 20)

    def test_more_than_there_are_descriptors_for(self):
        self.kazoo.ensure_path(self.path())
        transaction = self.kazoo.transaction()
        for number in range(1, 251):
            transaction.create(self.path(f"127.0.1.{number}:9"), ephemeral=True)
        transaction.commit()
        process = self.start_program("sh", "-c", 'ulimit -n 90 && exec "$@"', "sh", product.binary("srsd"), "check",
                                     self.label, "--zookeeper", self.zookeeper.servers)
        self.assertEqual(process.wait_for_exit(), 2, process.report())
        self.assertIn("250 nodes, 250 of them usable; 0 of 250 addresses answer", process.output[0])
        self.assertEqual(process.output[-1], "250 findings")

    def test_slow_sessions(self):
        slow = self.connect(self.zookeeper, timeout=30)
        address = self.listen()
        self.kazoo.ensure_path(self.path())
        slow.create(self.path(address), b"", ephemeral=True)
        finding, = self.assert_findings([("slow-session", address)])
        self.assertEqual(finding["session_timeout_ms"], 30000)
        self.assertEqual(finding["client"], "127.0.0.1")
        self.assertEqual(finding["owner"], f"{slow.client_id[0]:#x}")
        self.assert_findings([], "--slow", "30s")
        self.assert_findings([], "--ignore", "persistent,slow-session")

    def test_crowded(self):
        addresses = [self.listen() for _ in range(5)]
        self.add(*addresses)
        self.assert_findings([], "--children-max", "7")
        self.assert_findings([("crowded", None)], "--children-max", "5")
        self.assert_findings([("crowded", None)], "--children-max", "4")

    def test_abandoned(self):
        """The owner is frozen and its connection cut: its node stands until the session times out."""
        owner = self.start_srsd("register", self.label, address := self.listen(), "--session-timeout", "60s")
        owner.wait_for_output("^held")
        self.assert_findings([], "--slow", "60s")
        session = self.kazoo.exists(self.path(address)).ephemeralOwner
        owner.kill()
        product.wait_until(lambda: f"sid={session:#x}" not in self.zookeeper.ask(self.zookeeper.port, b"cons"),
                           "the server knows that it is gone")
        self.assert_findings([("abandoned", address)], "--slow", "60s")

    def test_what_does_not_go_together(self):
        for arguments, saying in ((("--ignore", "persistant"), 'unknown finding "persistant", did you mean persistent'),
                                  (("--ignore", ""), 'unknown finding ""'),
                                  (("--ignore", "empty,"), 'unknown finding ""'),
                                  (("--format", "xml"), 'unknown; write one of name|json'),
                                  (("--port-name", "aurora"), "goes with --format serverset only"),
                                  (("--children-max", "0"), "write a number of 1 to"),
                                  (("--children-max", "4294967296"), "write a number of 1 to"),
                                  (("--one",), "--one does not go with check")):
            process = self.start_srsd("check", self.label, *arguments)
            self.assertEqual(process.wait_for_exit(), 64, process.report())
            self.assertIn(saying, process.errors[0])

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            self.srsd_check(status=74, stdout=full)

    def test_progress_on_a_terminal(self):
        """Silent addresses take a while: what it waits for is shown, and taken away again."""
        master, slave = pty.openpty()
        self.add(self.listen_silently())
        process = self.start_program("sh", "-c", f'exec "$@" 2>{os.ttyname(slave)}', "sh", product.binary("srsd"),
                                     "check", self.label, "--zookeeper", self.zookeeper.servers)
        self.assertEqual(process.wait_for_exit(), 2, process.report())
        os.set_blocking(master, False)
        shown = os.read(master, 65536).decode()
        os.close(slave)
        os.close(master)
        self.assertIn("srsd: connecting to the addresses: 0 of 1", shown)
        self.assertTrue(shown.endswith("\r\033[K"), repr(shown))


class OtherServerTest(CheckCase, product.SystemTest):
    """Servers that are not there, that do not tell, or have other bounds."""

    label = "shop"

    def start_server(self, extra="", **environment):
        self.zookeeper = product.ZooKeeper(**environment)
        self.addCleanup(self.zookeeper.close)
        pathlib.Path(self.zookeeper.directory, "zoo.extra").write_text(extra)
        self.zookeeper.start()
        return self.connect(self.zookeeper, timeout=30)

    def test_a_server_that_does_not_tell(self):
        """As they are where nobody has changed it."""
        kazoo = self.start_server("4lw.commands.whitelist=srvr\n")
        address = self.listen()
        kazoo.create(f"{product.REGISTRY}/shop/{address}", b"", ephemeral=True, makepath=True)
        findings, unknowns, summary = self.objects(status=0)
        self.assertEqual(findings, [])
        self.assertEqual(len(unknowns), 2)
        for word, unknown in zip(("cons", "conf"), sorted(unknowns, key=lambda each: each["text"], reverse=True)):
            self.assertIn(f'by {self.zookeeper.servers}: the server does not answer "{word}"; allow it there with '
                          "4lw.commands.whitelist=srvr,conf,cons", unknown["text"])
        self.assertNotIn("session_timeout_least_ms", summary)
        process = self.srsd_check(status=0)
        self.assertEqual(process.output[-1], "all is well, as far as is known")
        self.assertEqual(len([line for line in process.output if line.startswith("not known: ")]), 2)

    def test_a_server_that_tells_its_bounds_alone(self):
        """Whose session is not seen is not taken for gone."""
        kazoo = self.start_server("4lw.commands.whitelist=srvr,conf\n")
        kazoo.create(f"{product.REGISTRY}/shop/{self.listen()}", b"", ephemeral=True, makepath=True)
        findings, unknowns, summary = self.objects(status=0)
        self.assertEqual((findings, len(unknowns), summary["session_timeout_least_ms"]), ([], 1, 1000))

    def test_one_server_of_several_is_away(self):
        kazoo = self.start_server()
        address = self.listen()
        kazoo.create(f"{product.REGISTRY}/shop/{address}", b"", ephemeral=True, makepath=True)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            away = name_of(nobody)
            findings, unknowns, _ = self.objects("--slow", "1m", status=0,
                                                 servers=f"{self.zookeeper.servers},{away}")
        self.assertEqual(findings, [])
        self.assertEqual([unknown["text"] for unknown in unknowns],
                         [f"what {away} says of its clients: Connection refused"])

    def test_bounds_that_are_slow(self):
        kazoo = self.start_server("minSessionTimeout=20000\n")
        address = self.listen()
        kazoo.create(f"{product.REGISTRY}/shop/{address}", b"", ephemeral=True, makepath=True)
        findings = self.assert_findings([("slow-bounds", None), ("slow-session", address)])
        self.assertIn("no session less than 20 s", findings[0]["text"])
        self.assertIn("20s (10s was asked for)", self.srsd_check(status=2).output[1])

    def test_bounds_that_are_slow_and_not_told(self):
        """Our own session shows them."""
        kazoo = self.start_server("4lw.commands.whitelist=srvr\nminSessionTimeout=20000\n")
        kazoo.create(f"{product.REGISTRY}/shop/{self.listen()}", b"", ephemeral=True, makepath=True)
        self.assert_findings([("slow-bounds", None)])
        self.assert_findings([], "--slow", "20s")

    def test_zookeeper_is_down(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            process = self.srsd_check("--timeout", "500ms", status=69, servers=name_of(nobody))
        self.assertEqual(process.output, [])
        self.assertRegex(process.errors[-1], "no server of 127.* answered in time")

    def test_no_permission(self):
        kazoo = self.start_server()
        kazoo.ensure_path(product.REGISTRY)
        kazoo.create(f"{product.REGISTRY}/shop", acl=[make_digest_acl("somebody", "else", all=True)])
        process = self.srsd_check(status=77)
        self.assertRegex(process.errors[-1], f"no permission to read {product.REGISTRY}/shop")

    def test_nodes_that_may_not_be_read(self):
        kazoo = self.start_server()
        secret = self.listen()
        kazoo.ensure_path(f"{product.REGISTRY}/shop")
        kazoo.create(f"{product.REGISTRY}/shop/{secret}", b"", ephemeral=True,
                     acl=[make_digest_acl("somebody", "else", all=True)])
        findings, _, _ = self.objects("--slow", "1m", status=2)
        self.assertEqual([(each["finding"], each.get("node")) for each in findings], [("unusable", secret)])


class EnsembleTest(CheckCase, product.SystemTest):
    label = "shop"

    def test_owners_on_every_server(self):
        """Each server tells of those who are connected to it: only all of them tell who is connected to none."""
        ensemble = Ensemble()
        self.addCleanup(ensemble.close)
        ensemble.start()
        addresses = sorted(self.listen() for _ in ensemble.members)
        owners = [self.start("srsd", "register", "shop", address, "--zookeeper", member.endpoint, "--session-timeout", "15s")
                  for address, member in zip(addresses, ensemble.members)]
        for owner in owners:
            owner.wait_for_output("^held")
        self.assert_findings([], servers=ensemble.servers)
        _, unknowns, _ = self.objects(status=0, servers=ensemble.members[1].endpoint)
        self.assertEqual([unknown["text"] for unknown in unknowns],
                         ["where the owners of 2 nodes are: connected to none of the 1 servers that told; "
                          "name every server with --zookeeper"])
        owners[2].kill()
        product.wait_until(lambda: "sid=0x" not in ensemble.members[2].ask(b"cons"), "the server knows that it is gone")
        self.assert_findings([("abandoned", addresses[2])], servers=ensemble.servers)


class ForeignTest(CheckCase, product.SystemTest):
    """In a network of its own, with addresses that are no loopback ones."""

    label = "shop"

    def setUp(self):
        self.zookeeper = product.ZooKeeper()
        self.addCleanup(self.zookeeper.close)
        pathlib.Path(self.zookeeper.directory, "zoo.extra").write_text("clientPortAddress=0.0.0.0\n")
        self.zookeeper.start()

    def test_foreign(self):
        servers = f"192.0.2.1:{self.zookeeper.port}"
        with contextlib.ExitStack() as stack:
            backends = [stack.enter_context(listen(host)) for host in ("192.0.2.1", "192.0.2.2", "127.0.0.1")]
            addresses = [name_of(backend) for backend in backends]
            owners = [self.start("srsd", "register", "shop", address, "--zookeeper", servers) for address in addresses]
            for owner in owners:
                owner.wait_for_output("^held")
            findings = self.assert_findings([("foreign", address) for address in sorted(addresses[1:])],
                                            servers=servers)
            self.assertEqual({finding["client"] for finding in findings}, {"192.0.2.1"})
            self.assertEqual(findings[0]["text"], "a loopback address, and its owner is at 192.0.2.1: "
                                                  "everybody else reaches himself")
            self.assertEqual(findings[1]["text"], "its owner is connected from 192.0.2.1")


class NetworkTest(product.SystemTest):
    def test_in_a_network_of_its_own(self):
        """ForeignTest, where 192.0.2.1 and 192.0.2.2 are addresses of this machine."""
        script = ("ip link set lo up && ip address add 192.0.2.1/32 dev lo && ip address add 192.0.2.2/32 dev lo && "
                  'exec "$@"')
        process = self.start_program(*product.unshare("--net"), "sh", "-c", script, "sh",
                                     "/usr/bin/python3", "-B", __file__, "-v", "ForeignTest")
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertTrue(any(line.startswith("Ran 1 test") for line in process.errors), process.report())
        self.assertFalse(any("skipped" in line for line in process.errors), process.report())


def load_tests(_loader, groups, _pattern):
    """All but ForeignTest, which NetworkTest runs where its addresses are."""
    return unittest.TestSuite(group for group in groups if not any(isinstance(test, ForeignTest) for test in group))


if __name__ == "__main__":
    unittest.main()

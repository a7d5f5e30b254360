#!/usr/bin/python3
"""srsd watch on a real ZooKeeper, with nodes that Kazoo makes and removes."""

import datetime
import fcntl
import json
import os
import re
import signal
import sys
import tempfile
import termios
import time
import unittest

from kazoo.security import make_digest_acl

import product


def bytes_in(pipe):
    """How many bytes stand in a pipe, unread."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


class WatchTest(product.ZooKeeperTest):
    def watch(self, *arguments, registered=0, brief=True, **options):
        """Start it and wait until it has read the label."""
        process = self.start_srsd("watch", self.label, *["--brief"] * brief, *arguments, **options)
        process.wait_for_error(f"^srsd: watching {self.label}: {registered} registered$")
        return process

    def test_prints_who_is_there_who_comes_and_who_goes(self):
        self.add("192.0.2.2:80", "192.0.2.1:80")
        process = self.watch(registered=2)
        process.wait_for_output("2:80")
        self.assertEqual(process.output, ["+ 192.0.2.1:80", "+ 192.0.2.2:80"])
        self.add("[2001:db8::1]:80")
        process.wait_for_output(r"^\+ \[2001:db8::1\]:80$")
        self.kazoo.delete(self.path("192.0.2.1:80"))
        process.wait_for_output(r"^- 192\.0\.2\.1:80$")
        self.add("192.0.2.1:80")
        process.wait_for_output(r"^\+ 192\.0\.2\.1:80$", after=4)
        self.assertEqual(len(process.output), 5, process.report())
        self.assertEqual(process.terminate(), 0)
        self.assertEqual(len(process.output), 5, process.report())

    def test_a_label_that_does_not_exist_yet(self):
        process = self.watch()
        self.add("192.0.2.1:80")
        process.wait_for_output(r"^\+ 192\.0\.2\.1:80$")
        self.kazoo.delete(self.path(), recursive=True)
        seen = process.wait_for_output(r"^- 192\.0\.2\.1:80$")
        self.add("192.0.2.2:80")
        process.wait_for_output(r"^\+ 192\.0\.2\.2:80$", after=seen)

    def test_nodes_go_with_the_session_of_their_owner(self):
        owner = self.connect(self.zookeeper)
        self.kazoo.ensure_path(self.path())
        owner.create(self.path("192.0.2.1:80"), b"", ephemeral=True)
        process = self.watch(registered=1)
        self.zookeeper.expire(owner.client_id[0])
        process.wait_for_output(r"^- 192\.0\.2\.1:80$")

    def test_owner_age_and_moment(self):
        owner = f"0x{self.kazoo.client_id[0]:x}"
        began = time.time()
        self.add("192.0.2.1:80")
        self.kazoo.create(self.path("[2001:db8:1111:2222::1]:8888"), b"")
        process = self.watch(brief=False, registered=2)
        self.kazoo.delete(self.path("192.0.2.1:80"))
        process.wait_for_output("^- ")
        lines = [re.fullmatch(r"([+-]) (\S+) +(\S+) owner=(0x[0-9a-f]+) age=(\d+)(ms|s)", line)
                 for line in process.output]
        self.assertTrue(all(lines), process.report())
        self.assertEqual([(line[1], line[2], line[4]) for line in lines],
                         [("+", "192.0.2.1:80", owner), ("+", "[2001:db8:1111:2222::1]:8888", "0x0"),
                          ("-", "192.0.2.1:80", owner)])
        for line in lines:
            self.assertRegex(line[3], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            moment = datetime.datetime.fromisoformat(line[3]).timestamp()
            self.assertLess(began - 0.01, moment)
            self.assertLess(moment, time.time() + 0.01)
            self.assertLessEqual(int(line[5]) / (1000 if line[6] == "ms" else 1), time.time() - began + 0.01)

    def test_brief_reads_no_node(self):
        """Nor need it be allowed to."""
        self.kazoo.ensure_path(self.path())
        self.kazoo.create(self.path("192.0.2.1:80"), b"", ephemeral=True,
                          acl=[make_digest_acl("somebody", "else", all=True)])
        process = self.watch(registered=1)
        process.wait_for_output(r"^\+ 192\.0\.2\.1:80$")

    def test_json(self):
        process = self.watch("--json", brief=False)
        self.add("192.0.2.1:80")
        process.wait_for_output("added")
        self.kazoo.delete(self.path("192.0.2.1:80"))
        process.wait_for_output("removed")
        lines = [json.loads(line) for line in process.output]
        for line in lines:
            for moment in ("time", "created"):
                self.assertRegex(line.pop(moment), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        common = {"label": self.label, "address": "192.0.2.1:80", "host": "192.0.2.1", "port": 80,
                  "owner": f"0x{self.kazoo.client_id[0]:x}"}
        self.assertEqual(lines, [{"event": "added", **common}, {"event": "removed", **common}])

    def test_what_changes_of_a_node_that_stays(self):
        """Its weight; its address, which makes another member of it; its owner."""
        process = self.watch("--format", "json", "--json", "--recheck", "1s", brief=False)
        self.add("192.0.2.1:80")
        seen = process.wait_for_output("added")
        self.kazoo.set(self.path("192.0.2.1:80"), b'{"weight": 3}')
        seen = process.wait_for_output('"changed".*"weight":3', after=seen)
        transaction = self.kazoo.transaction()
        transaction.delete(self.path("192.0.2.1:80"))
        transaction.create(self.path("192.0.2.1:80"), b'{"weight": 3}')
        transaction.commit()
        process.wait_for_output('"changed".*"owner":"0x0"', after=seen)

    def test_an_address_that_changes_in_the_data(self):
        process = self.watch("--format", "smartstack", "--recheck", "1s")
        self.kazoo.create(self.path("nerve"), b'{"host":"192.0.2.1","port":80}', makepath=True)
        process.wait_for_output(r"^\+ 192\.0\.2\.1:80$")
        self.kazoo.set(self.path("nerve"), b'{"host":"192.0.2.1","port":80,"weight":7}')
        self.kazoo.set(self.path("nerve"), b'{"host":"192.0.2.1","port":81}')
        process.wait_for_output(r"^\+ 192\.0\.2\.1:81$")
        self.assertEqual(process.output, ["+ 192.0.2.1:80", "- 192.0.2.1:80", "+ 192.0.2.1:81"])

    def test_formats(self):
        """The address, and what else is known, are the data's."""
        process = self.watch("--json", "--format", "serverset", "--port-name", "admin", brief=False)
        member = {"serviceEndpoint": {"host": "192.0.2.1", "port": 80}, "status": "ALIVE",
                  "additionalEndpoints": {"admin": {"host": "192.0.2.1", "port": 81}}}
        self.kazoo.ensure_path(self.path())
        self.kazoo.create(self.path("member_"), json.dumps(member).encode(), ephemeral=True, sequence=True)
        process.wait_for_output("added")
        line = json.loads(process.output[0])
        self.assertEqual((line["address"], line["node"]), ("192.0.2.1:81", "member_0000000000"))

    def test_names_that_are_no_address_are_skipped(self):
        self.add("nonsense", "192.0.2.1:80")
        process = self.watch(registered=1)
        self.add("192.0.2.1:0", "192.0.2.2:80")
        process.wait_for_output(r"^\+ 192\.0\.2\.2:80$")
        self.assertEqual(process.output, ["+ 192.0.2.1:80", "+ 192.0.2.2:80"])
        process.wait_for_error("nonsense")

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                process = self.watch()
                process.signal(number)
                self.assertEqual(process.wait_for_exit(), 0, process.report())

    def test_nohup(self):
        process = self.start_program("sh", "-c", 'trap "" HUP; exec "$@"', "sh", product.binary("srsd"),
                                     "watch", self.label, "--brief", "--zookeeper", self.zookeeper.servers)
        process.wait_for_error("watching")
        process.signal(signal.SIGHUP)
        self.add("192.0.2.1:80")
        process.wait_for_output(r"^\+ 192\.0\.2\.1:80$")
        self.assertTrue(process.is_running())

    def test_ends_with_its_reader(self):
        """As in `srsd watch LABEL | head -1`, without a further node."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as pipe:
            process = self.watch(stdout=pipe)
        os.close(reading)
        self.assertEqual(process.wait_for_exit(), 0, process.report())

    def test_a_pipe_that_is_its_own_reader(self):
        """As in `srsd watch LABEL 1<>fifo`: what stands in the pipe is no sign that its reader is gone."""
        self.add("192.0.2.1:80")
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(f"{folder}/fifo")
            both_ends = os.open(f"{folder}/fifo", os.O_RDWR)
            self.addCleanup(os.close, both_ends)
            process = self.watch(stdout=both_ends, registered=1)
            self.add("192.0.2.2:80")
            product.wait_until(lambda: bytes_in(both_ends) == 2 * len("+ 192.0.2.1:80\n"), "the second line")
            self.assertTrue(process.is_running())

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            process = self.watch(stdout=full)
        self.add("192.0.2.1:80")
        self.assertEqual(process.wait_for_exit(), 74, process.report())

    def test_standard_output_closed_from_the_start(self):
        """No socket may take the place of standard output."""
        process = self.start_program("sh", "-c", 'exec "$@" >&-', "sh", product.binary("srsd"),
                                     "watch", self.label, "--brief", "--zookeeper", self.zookeeper.servers)
        process.wait_for_error("watching")
        self.add("192.0.2.1:80")
        self.assertEqual(process.wait_for_exit(), 74, process.report())
        self.assertTrue(any("Bad file descriptor" in line for line in process.errors), process.report())

    def test_goes_on_after_its_session_expired(self):
        """Frozen past its session timeout; meanwhile one comes and one goes."""
        self.add("192.0.2.1:80")
        others = self.zookeeper.sessions()
        process = self.watch("--session-timeout", "1s", registered=1)
        (session,) = self.zookeeper.sessions() - others
        process.freeze()
        product.wait_until(lambda: session not in self.zookeeper.sessions(), "the session expires")
        self.kazoo.delete(self.path("192.0.2.1:80"))
        self.add("192.0.2.2:80")
        process.thaw()
        process.wait_for_error("the session is over")
        process.wait_for_output(r"^\+ 192\.0\.2\.2:80$")
        self.assertEqual(process.output, ["+ 192.0.2.1:80", "- 192.0.2.1:80", "+ 192.0.2.2:80"])
        self.add("192.0.2.3:80")
        process.wait_for_output(r"^\+ 192\.0\.2\.3:80$")


class OutageTest(product.SystemTest):
    """ZooKeeper goes away and comes back."""

    def setUp(self):
        self.zookeeper = self.start_zookeeper()
        self.path = f"{product.REGISTRY}/shop"

    def test_goes_on_when_zookeeper_is_back(self):
        self.connect(self.zookeeper).create(f"{self.path}/192.0.2.1:80", makepath=True)
        process = self.start("srsd", "watch", "shop", "--brief", "--zookeeper", self.zookeeper.servers)
        process.wait_for_output(r"^\+ 192\.0\.2\.1:80$")
        for round_number in (2, 3):
            seen = len(process.errors)
            self.zookeeper.stop()
            seen = process.wait_for_error("connection lost", after=seen)
            self.zookeeper.start()
            process.wait_for_error("^srsd: connected", after=seen)
            self.connect(self.zookeeper).create(f"{self.path}/192.0.2.{round_number}:80")
            process.wait_for_output(rf"^\+ 192\.0\.2\.{round_number}:80$")
        self.assertEqual(process.output, ["+ 192.0.2.1:80", "+ 192.0.2.2:80", "+ 192.0.2.3:80"])

    def test_starts_before_zookeeper(self):
        self.zookeeper.stop()
        process = self.start("srsd", "watch", "shop", "--brief", "--zookeeper", self.zookeeper.servers)
        process.wait_for_error("no server of .* answers")
        self.zookeeper.start()
        process.wait_for_error("^srsd: watching shop: 0 registered$")
        self.assertEqual(process.terminate(), 0)

    def test_a_signal_ends_it_without_zookeeper(self):
        self.zookeeper.stop()
        process = self.start("srsd", "watch", "shop", "--brief", "--zookeeper", self.zookeeper.servers)
        process.wait_for_error("no server of .* answers")
        self.assertEqual(process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

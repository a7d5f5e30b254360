#!/usr/bin/python3
"""A backend's host that is gone under load: every packet to it and from it is lost. The proxy runs in a network namespace, the
backend in another one, with a link between them."""

import os
import subprocess
import sys
import unittest

import product
from failover import FailoverTest, Load, MoodyBackend

OUT = ("suspect", "ejected", "probing")
OURS, THEIRS = "10.200.0.1", "10.200.0.2"
THEIR_DEVICE, THEIR_HARDWARE = "backend0", "02:00:00:00:00:02"

# What the inside is told by.
INSIDE = "FAILOVER_TEST_INSIDE"


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")


class InsideTest(FailoverTest):
    """Runs in a network namespace of its own: HostTest sees to that."""

    @classmethod
    def setUpClass(cls):
        run("ip", "link", "set", "lo", "up")

    def setUp(self):
        holder = self.start_program("unshare", "--net", "sleep", "infinity")
        product.wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"),
                           "a network namespace for the backend")
        self.enter = ("nsenter", "--net", "--target", str(holder.pid))
        run("ip", "link", "add", "proxy0", "type", "veth", "peer", "name", THEIR_DEVICE, "address", THEIR_HARDWARE,
            "netns", str(holder.pid))
        self.addCleanup(run, "ip", "link", "delete", "proxy0")
        run("ip", "address", "add", f"{OURS}/24", "dev", "proxy0")
        run("ip", "link", "set", "proxy0", "up")
        run(*self.enter, "ip", "address", "add", f"{THEIRS}/24", "dev", THEIR_DEVICE)
        run(*self.enter, "ip", "link", "set", THEIR_DEVICE, "up")
        # As a host is known that is further away: the router before it goes on.
        run("ip", "neighbour", "replace", THEIRS, "lladdr", THEIR_HARDWARE, "dev", "proxy0", "nud", "permanent")

    def test_a_host_that_is_gone(self):
        backends = self.start_backends(3)
        victim = MoodyBackend(self, address=THEIRS, inside=self.enter)
        backends.append(victim)
        proxy = self.start_proxy_of(backends, health={"ejection": "150ms", "ejection_max": "300ms"})
        with Load(proxy.port) as load:
            load.run_until_served_by(victim)
            load.run_requests(100)
            run(*self.enter, "ip", "link", "set", THEIR_DEVICE, "down")
            self.wait_for_state(proxy, victim, *OUT)
            load.run_requests(20)
            self.assert_not_chosen(proxy, [victim], load)
            load.run_for(0.5)
            self.assertIn(self.state(proxy, victim), OUT)
            run(*self.enter, "ip", "link", "set", THEIR_DEVICE, "up")
            self.wait_for_state(proxy, victim, "live")
            load.run_until_served_by(victim)
        self.assertEqual(load.failed("GET"), [])
        self.assertEqual(self.executed_twice(backends), [])
        self.assertEqual(self.changes(proxy, victim, "live")[-1], "probe_passed")

    def test_a_host_that_was_gone_before_it_was_connected_to(self):
        backends = self.start_backends(2)
        victim = MoodyBackend(self, address=THEIRS, inside=self.enter)
        run(*self.enter, "ip", "link", "set", THEIR_DEVICE, "down")
        proxy = self.start_proxy_of([*backends, victim])
        with Load(proxy.port) as load:
            load.run_requests(60)
            self.wait_for_state(proxy, victim, *OUT)
            self.assert_not_chosen(proxy, [victim], load)
        self.assertEqual(load.failed(), [])


class HostTest(FailoverTest):
    def test_a_host_that_loses_all_packets(self):
        process = self.start_program(*product.unshare("--net"), sys.executable, "-B", __file__, "-v", "InsideTest",
                                     environment={INSIDE: "1"})
        self.assertEqual(process.wait_for_exit(180), 0, process.report())
        self.assertRegex("\n".join(process.errors), "Ran [1-9]")


if INSIDE not in os.environ:
    del InsideTest

if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""srsd register auto:PORT: the address that a route to ZooKeeper uses. Other addresses than loopback are those of a
network namespace of the test's own, where a relay stands for a ZooKeeper that is elsewhere."""

import os
import socket
import subprocess
import sys
import threading
import unittest

import product

INSIDE = "SRSD_TEST_IN_NAMESPACE"
ADDRESSES = ("192.0.2.7", "2001:db8::7")
INTERFACE = (("link", "set", "lo", "up"), ("address", "add", "192.0.2.7/32", "dev", "lo"),
             ("address", "add", "2001:db8::7/128", "dev", "lo", "nodad"))


class Relay:
    """Takes connections on an address and passes their bytes to a port of 127.0.0.1."""

    def __init__(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self._target = port
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self._listener.close()


class AutoTest(product.ZooKeeperTest):
    def setUp(self):
        super().setUp()
        self.port = product.free_port()

    def names(self):
        return self.kazoo.get_children(self.path())

    def test_over_loopback_it_warns(self):
        process = self.start_srsd("register", self.label, f"auto:{self.port}")
        process.wait_for_output(f"^held {self.path(f'127.0.0.1:{self.port}')}$")
        process.wait_for_error("no other machine reaches that")
        self.assertEqual(self.names(), [f"127.0.0.1:{self.port}"])
        self.assertEqual(process.terminate(), 0)

    def test_it_waits_for_zookeeper_and_the_service_does_not(self):
        zookeeper = self.start_zookeeper()
        zookeeper.stop()
        process = self.start("srsd", "register", self.label, f"auto:{self.port}", "--zookeeper", zookeeper.servers,
                             "--interval", "50ms", "--", "python3", "-m", "http.server", "--bind", "127.0.0.1",
                             str(self.port))
        process.wait_for_error("no server of .* answers")
        product.wait_until(lambda: self.answers(), "the service serves")
        zookeeper.start()
        process.wait_for_error(f"^srsd: held .*/127.0.0.1:{self.port}$")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def test_signals_while_it_waits_for_zookeeper(self):
        process = self.start("srsd", "register", self.label, "auto:80", "--zookeeper", "127.0.0.1:1", "--",
                             "sleep", "1000")
        process.wait_for_error("no server of .* answers")
        self.assertEqual(process.terminate(), 143, process.report())

    def test_other_addresses(self):
        process = self.start_program(*product.unshare("--net"), sys.executable, "-B", __file__, "-v", "InsideTest",
                                     environment={INSIDE: "1"})
        status = process.wait_for_exit()
        self.assertEqual(status, 0, process.report())
        self.assertRegex("\n".join(process.errors), "Ran [1-9]")


class InsideTest(product.ZooKeeperTest):
    """Runs in a network namespace, which AutoTest makes."""

    @classmethod
    def setUpClass(cls):
        for words in INTERFACE:
            subprocess.run(["ip", *words], check=True, timeout=product.DEADLINE_SECONDS)
        super().setUpClass()

    def test_the_address_of_the_way_to_zookeeper(self):
        for address in ADDRESSES:
            relay = Relay(address, self.zookeeper.port)
            self.addCleanup(relay.close)
            host = f"[{address}]" if ":" in address else address
            process = self.start("srsd", "register", self.label, "auto:8080", "--zookeeper", f"{host}:{relay.port}")
            process.wait_for_output(f"^held {self.path(f'{host}:8080')}$".replace("[", r"\[").replace("]", r"\]"))
            self.assertFalse([line for line in process.errors if "no other machine" in line])
            # A session later it is what it was: others know it.
            self.zookeeper.expire(self.kazoo.exists(self.path(f"{host}:8080")).ephemeralOwner)
            process.wait_for_output("^held .*:8080$", after=2)
            self.assertEqual(self.kazoo.get_children(self.path()), [f"{host}:8080"])
            self.assertEqual(process.terminate(), 0)


if INSIDE not in os.environ:
    del InsideTest

if __name__ == "__main__":
    unittest.main()

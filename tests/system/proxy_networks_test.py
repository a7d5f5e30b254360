#!/usr/bin/python3
"""A rogue registration cannot point the proxy at an address that it must not reach, whatever way it is written."""

import json
import re
import socket
import unittest

import product
from proxy import LABEL, LABEL_PATH, ProxyTest


class NetworksTest(product.EmptyRegistry, ProxyTest):
    def start_proxy(self, *options, networks=None, static=None):
        settings = self.settings(zookeeper=self.zookeeper.servers)
        if networks is not None:
            settings["services"][0]["networks"] = networks
        if static is not None:
            settings["services"][0]["static"] = static
        return super().start_proxy(*options, settings=settings)

    def register(self, *names):
        for name in names:
            self.kazoo.create(f"{LABEL_PATH}/{name}", b"", ephemeral=True, makepath=True)

    def listen(self, address, port=0):
        """A socket that nobody may ever connect to."""
        trap = socket.create_server((address, port))
        trap.setblocking(False)
        self.addCleanup(trap.close)
        return trap

    @staticmethod
    def refused(proxy):
        return json.loads(proxy.admin("/backends").text)["services"][0]["refused"]

    @staticmethod
    def lines(proxy, name):
        return [line for line in proxy.process.errors
                if "backend refused" in line and re.search(rf'endpoint="?{re.escape(name)}("| |$)', line)]

    def expect_untouched(self, proxy, trap, backend):
        self.assertEqual(self.ask_many(proxy, 60), {backend.name: 60})
        with self.assertRaises(BlockingIOError):
            trap.accept()
        for name in self.refused(proxy):
            self.assertEqual(len(self.lines(proxy, name)), 1, f"{name} is told of once\n{proxy.process.report()}")

    def wait_for_refused(self, proxy, *names):
        product.wait_until(lambda: self.refused(proxy) == sorted(names), f"{sorted(names)} are refused")
        self.assertEqual(proxy.metric(f'srsd_proxy_service_backends_refused{{service="{LABEL}"}}'), len(names))

    def test_only_the_networks_of_the_service_are_connected_to(self):
        backend = self.start_backend(address="127.0.0.2")
        trap = self.listen("127.0.0.1")
        port = trap.getsockname()[1]
        # A number, the same as an IPv4-mapped IPv6 address, and a host name that is resolved to it.
        rogues = [f"127.0.0.1:{port}", f"[::ffff:127.0.0.1]:{port}", f"localhost:{port}", f"127.0.0.3:{port}",
                  f"[2001:db8::1]:{port}"]
        self.register(*rogues)
        proxy = self.start_proxy(networks=["127.0.0.2/32", "192.0.2.0/24"])
        self.wait_for_refused(proxy, *rogues)
        self.assertEqual(proxy.ask().status, 503, "a set of nothing else is no set")
        self.register(backend.name)
        self.wait_for_backends(proxy, backend.name)
        self.wait_for_refused(proxy, *rogues)
        self.expect_untouched(proxy, trap, backend)
        self.assertIn("address=127.0.0.1 ", self.lines(proxy, f"localhost:{port}")[0], "it says where that leads")
        # One that goes is forgotten, and told of again when it comes back.
        self.kazoo.delete(f"{LABEL_PATH}/{rogues[0]}")
        self.wait_for_refused(proxy, *rogues[1:])
        self.register(rogues[0])
        self.wait_for_refused(proxy, *rogues)
        self.assertEqual(len(self.lines(proxy, rogues[0])), 2)

    def test_what_no_service_has_is_refused_where_nothing_is_said(self):
        backend = self.start_backend()
        trap = self.listen("127.0.0.1")
        port = trap.getsockname()[1]
        # The first four would end at this machine; the others are no machine's, or a cloud's own.
        rogues = [f"0.0.0.0:{port}", f"[::]:{port}", f"[::ffff:0.0.0.0]:{port}", f"0.0.0.1:{port}",
                  "169.254.169.254:80", "[::ffff:169.254.169.254]:80", "[fe80::1]:80", "224.0.0.1:80",
                  "255.255.255.255:80", "[ff02::1]:80"]
        self.register(backend.name, *rogues)
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, backend.name)
        self.wait_for_refused(proxy, *rogues)
        self.expect_untouched(proxy, trap, backend)

    def test_many_at_once_do_not_flood_the_log(self):
        backend = self.start_backend()
        self.register(*(f"192.0.2.{i}:80" for i in range(1, 101)))
        self.register(backend.name)
        proxy = self.start_proxy(networks=["127.0.0.0/8"])
        self.wait_for_backends(proxy, backend.name)
        proxy.process.wait_for_error(r'event="more backends refused" service=tornado_app count=80')
        self.assertEqual(sum('event="backend refused"' in line for line in proxy.process.errors), 20)
        self.assertEqual(len(self.refused(proxy)), 100)

    def test_addresses_in_the_configuration_are_bound_by_networks_only_if_there_are_some(self):
        backend = self.start_backend(address="127.0.0.1")
        proxy = self.start_proxy(static=[f"localhost:{backend.port}"], networks=["127.0.0.2"])
        self.wait_for_refused(proxy, f"localhost:{backend.port}")
        self.assertEqual(proxy.ask().status, 503)
        # 0.0.0.0 is this machine; who writes it into the configuration means it.
        proxy = self.start_proxy(static=[f"0.0.0.0:{backend.port}"])
        self.assertEqual(self.ask_many(proxy, 5), {backend.name: 5})
        self.assertEqual(self.refused(proxy), [])


if __name__ == "__main__":
    unittest.main()

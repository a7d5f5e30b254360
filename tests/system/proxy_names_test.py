#!/usr/bin/python3
"""Backends given by host name: all addresses, looked up again and again, by a name server and a hosts file of our own
in the place of the system's (in a mount namespace)."""

import json
import threading
import time
import unittest

import product
from name_server import SILENT, NameServer
from proxy import LABEL, ProxyTest

ENTER = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'


class NamesTest(ProxyTest):
    """The proxy looks names up about each second."""

    def setUp(self):
        self.names = NameServer()
        self.addCleanup(self.names.close)
        self.hosts = self.write("127.0.0.1 localhost\n")
        self.resolv = self.write(self.names.configuration)

    def write(self, text):
        path = self.write_settings({})
        self.rewrite(path, text)
        return path

    @staticmethod
    def rewrite(path, text):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def launch(self, settings, *options):
        return self.start_program(
            *product.unshare("--mount"), "sh", "-c", ENTER, "sh", self.hosts, self.resolv,
            product.binary("srsd-proxy"), "--config", self.write_settings(settings), *options)

    def start_proxy(self, *options, **changes):
        return super().start_proxy(*options, name_refresh="1s", **changes)

    @staticmethod
    def addresses(proxy, name):
        """Of that backend, in the order in which they are tried."""
        for service in json.loads(proxy.admin("/backends").text)["services"]:
            for backend in service["backends"]:
                if backend["address"] == name:
                    return backend["addresses"]
        return None

    def wait_for_addresses(self, proxy, name, *addresses):
        product.wait_until(lambda: sorted(self.addresses(proxy, name) or []) == sorted(addresses), f"{name} is there")

    def count_lines(self, proxy, *texts):
        return sum(all(text in line for text in texts) for line in proxy.process.errors)

    def test_all_addresses_are_tried(self):
        backend = self.start_backend()
        name = f"shop.test:{backend.port}"
        self.names.names["shop.test"] = ["127.0.0.3", "127.0.0.1", "::1", "127.0.0.4"]
        proxy = self.start_proxy(static=[name])
        self.wait_for_addresses(proxy, name, *(f"{host}:{backend.port}" for host in (
            "[::1]", "127.0.0.1", "127.0.0.3", "127.0.0.4")))
        self.assertEqual(self.ask_many(proxy, 10), {backend.name: 10})
        self.assertEqual(self.addresses(proxy, name)[0], backend.name, "the one that works is tried first")
        self.assertEqual(proxy.metric(f'srsd_proxy_service_backends{{service="{LABEL}"}}'), 1)

    def test_a_name_that_leads_elsewhere(self):
        old = self.start_backend(port=product.free_port("127.0.0.1", "127.0.0.2"))
        new = self.start_backend(address="127.0.0.2", port=old.port)
        name = f"shop.test:{old.port}"
        self.names.names["shop.test"] = ["127.0.0.1"]
        proxy = self.start_proxy(static=[name])
        self.wait_for_addresses(proxy, name, old.name)
        old.hold = threading.Event()
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(proxy.ask()))
        waiting.start()
        product.wait_until(lambda: old.paths, "a request is in flight")
        self.names.names["shop.test"] = ["127.0.0.2"]
        self.wait_for_addresses(proxy, name, new.name)
        product.wait_until(lambda: proxy.ask().served_by == new.name, "the workers know it")
        self.assertEqual(self.ask_many(proxy, 10), {new.name: 10})
        old.hold.set()
        waiting.join(product.DEADLINE_SECONDS)
        self.assertEqual(answers[0].served_by, old.name, "what was in flight ended where it was")

    def test_a_name_that_hangs_hurts_nobody_else(self):
        zookeeper = self.start_zookeeper()
        kazoo = self.connect(zookeeper)
        backend = self.start_backend()
        silent, known = f"silent.test:{backend.port}", f"shop.test:{backend.port}"
        self.names.names.update({"silent.test": SILENT, "shop.test": ["127.0.0.1"]})
        proxy = self.start_proxy(zookeeper=zookeeper.servers)
        for name in (silent, backend.name):
            kazoo.create(f"{product.REGISTRY}/{LABEL}/{name}", b"", ephemeral=True, makepath=True)
        self.wait_for_backends(proxy, backend.name)
        product.wait_until(lambda: "silent.test" in self.names.asked, "it is looked up")
        kazoo.create(f"{product.REGISTRY}/{LABEL}/{known}", b"", ephemeral=True)
        self.wait_for_backends(proxy, backend.name, known)
        self.assertEqual(self.ask_many(proxy, 20), {backend.name: 20})
        self.names.names["silent.test"] = ["127.0.0.1"]
        self.wait_for_backends(proxy, backend.name, known, silent)
        kazoo.delete(f"{product.REGISTRY}/{LABEL}/{known}")
        self.wait_for_backends(proxy, backend.name, silent)
        time.sleep(0.5)  # for a question that is under way
        asked = self.names.asked.count("shop.test")
        others = self.names.asked.count("silent.test")
        product.wait_until(lambda: self.names.asked.count("silent.test") >= others + 3, "others are looked up")
        self.assertEqual(self.names.asked.count("shop.test"), asked, "one that left is looked up no more")

    def test_a_name_that_goes_keeps_its_addresses(self):
        backend = self.start_backend()
        name = f"shop.test:{backend.port}"
        self.names.names["shop.test"] = ["127.0.0.1"]
        proxy = self.start_proxy(static=[name])
        self.wait_for_addresses(proxy, name, backend.name)
        del self.names.names["shop.test"]
        proxy.process.wait_for_error("host name not resolved.*shop.test")
        asked = self.names.asked.count("shop.test")
        product.wait_until(lambda: self.names.asked.count("shop.test") >= asked + 2, "it is tried again")
        self.assertEqual(self.ask_many(proxy, 5), {backend.name: 5})
        self.assertEqual(self.count_lines(proxy, "not resolved", "shop.test"), 1)
        self.names.names["shop.test"] = ["127.0.0.1"]
        proxy.process.wait_for_error("resolved after all.*shop.test")

    def test_a_name_server_that_hangs_is_logged_as_all_else_is(self):
        self.names.names["silent.test"] = SILENT
        proxy = self.start_proxy("--set", "log.format=json", static=["silent.test:80"])
        proxy.process.wait_for_error('"libevent".*Nameserver')
        for line in proxy.process.errors:
            json.loads(line)

    def test_hosts_file_and_name_servers_that_change(self):
        backend = self.start_backend(port=product.free_port("127.0.0.1", "127.0.0.2"))
        other = self.start_backend(address="127.0.0.2", port=backend.port)
        name, later = f"shop.test:{backend.port}", f"later.test:{backend.port}"
        self.rewrite(self.hosts, "127.0.0.1 localhost shop.test\n")
        proxy = self.start_proxy(static=[name, later])
        self.wait_for_addresses(proxy, name, backend.name)
        self.rewrite(self.hosts, "127.0.0.1 localhost\n127.0.0.2 shop.test\n")
        self.wait_for_addresses(proxy, name, other.name)
        successor = NameServer(later_test=["127.0.0.2"])
        self.addCleanup(successor.close)
        self.rewrite(self.resolv, successor.configuration)
        self.wait_for_addresses(proxy, later, other.name)
        self.assertEqual(self.ask_many(proxy, 5), {other.name: 5})

    def test_addresses_outside_of_the_networks(self):
        backend = self.start_backend()
        name = f"shop.test:{backend.port}"
        self.names.names["shop.test"] = ["127.0.0.3", "127.0.0.1"]
        settings = self.settings(static=[name], name_refresh="1s")
        settings["services"][0]["networks"] = ["127.0.0.1"]
        proxy = ProxyTest.start_proxy(self, settings=settings)
        self.wait_for_addresses(proxy, name, backend.name)
        self.names.names["shop.test"] = ["127.0.0.3"]
        product.wait_until(lambda: proxy.backends() == [], "none is left that is allowed")


if __name__ == "__main__":
    unittest.main()

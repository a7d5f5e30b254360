#!/usr/bin/python3
"""The last known sets on disk: a proxy starts from them while no ZooKeeper answers, and is killed at any moment
without harm to them."""

import json
import os
import pathlib
import random
import shutil
import signal
import tempfile
import threading
import time
import unittest
import zlib

import product
from proxy import LABEL, LABEL_PATH, Proxy, ProxyTest

EXIT_CODE_SETTINGS = 78


class StateTest(ProxyTest):
    def setUp(self):
        self.zookeeper = self.start_zookeeper()
        self.kazoo = self.connect(self.zookeeper)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="srsd-state-test-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def start_proxy(self, *options, networks=None, **changes):
        settings = self.settings(zookeeper=self.zookeeper.servers, **changes)
        if networks is not None:
            settings["services"][0]["networks"] = networks
        settings["zookeeper"].update(state_dir=str(self.directory), state_wait="300ms", recheck="1s")
        return super().start_proxy(*options, settings=settings)

    def register(self, *names):
        """Nodes that stay when ZooKeeper or this client is stopped."""
        for name in names:
            self.kazoo.create(f"{LABEL_PATH}/{name}", b"", makepath=True)

    def file(self):
        """The one file of the label."""
        files = [path for path in self.directory.iterdir() if path.suffix == ".state"]
        self.assertLessEqual(len(files), 1)
        return files[0] if files else None

    def kept(self):
        """The names in the file, which is whole; None when there is none."""
        if self.file() is None:
            return None
        header, body = self.file().read_bytes().split(b"\n", 1)
        self.assertEqual(header, f"srsd-state 1 {zlib.crc32(body):08x} {len(body):010d}".encode())
        about, *members = [json.loads(line) for line in body.splitlines()]
        self.assertEqual((about["path"], about["servers"]), (LABEL_PATH, self.zookeeper.servers))
        return [member["name"] for member in members]

    @staticmethod
    def service(proxy):
        return json.loads(proxy.admin("/backends").text)["services"][0]

    @staticmethod
    def gauge(proxy, name, more=""):
        return proxy.metric(f'{name}{{service="{LABEL}"{more}}}')


class StartTest(StateTest):
    def test_a_start_without_zookeeper_serves(self):
        first, second = self.start_backend(), self.start_backend()
        self.register(first.name, second.name)
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, first.name, second.name)
        product.wait_until(lambda: self.kept() == sorted((first.name, second.name)), "the set is on disk")
        self.assertEqual(self.service(proxy)["source"], "registry")
        self.assertEqual(self.gauge(proxy, "srsd_proxy_service_from_file"), 0)
        self.assertEqual(proxy.process.kill(), -signal.SIGKILL)
        self.zookeeper.stop()

        proxy = self.start_proxy(workers=1)
        self.wait_for_backends(proxy, first.name, second.name)
        self.wait_until_live(proxy)
        self.assertEqual(self.ask_many(proxy, 60).keys(), {first.name, second.name})
        self.assertEqual(proxy.admin("/ready").status, 200)
        service = self.service(proxy)
        self.assertEqual((service["source"], service["is_known"]), ("file", True))
        self.assertGreater(service["confirmed_age_ms"], 0)
        self.assertEqual(self.gauge(proxy, "srsd_proxy_service_from_file"), 1)
        self.assertGreater(self.gauge(proxy, "srsd_proxy_service_confirmed_age_seconds"), 0)
        self.assertEqual(proxy.metric("srsd_proxy_registry_connected"), 0)
        proxy.process.wait_for_error("the last known set is used, 2 members")

        # What ZooKeeper says when it is there replaces that; connections to backends that stay are kept.
        connections = proxy.metric("srsd_proxy_upstream_connects_total")
        self.zookeeper.start()
        product.wait_until(lambda: self.service(proxy)["source"] == "registry", "ZooKeeper is heard")
        self.wait_for_backends(proxy, first.name, second.name)
        self.assertEqual(self.ask_many(proxy, 20).keys(), {first.name, second.name})
        self.assertEqual(proxy.metric("srsd_proxy_upstream_connects_total"), connections)
        product.wait_until(lambda: self.gauge(proxy, "srsd_proxy_service_from_file") == 0, "the gauge says so")
        self.kazoo.delete(f"{LABEL_PATH}/{second.name}")
        self.wait_for_backends(proxy, first.name)
        self.assertEqual(proxy.process.terminate(), 0)
        self.assertEqual(self.kept(), [first.name])

    def test_who_is_in_a_file_is_bound_by_the_networks(self):
        backend = self.start_backend()
        self.register(backend.name, "127.0.0.2:1")
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, backend.name, "127.0.0.2:1")
        self.assertEqual(proxy.process.terminate(), 0)
        self.zookeeper.stop()
        proxy = self.start_proxy(networks=["127.0.0.1"])
        self.wait_for_backends(proxy, backend.name)
        service = self.service(proxy)
        self.assertEqual((service["source"], service["refused"]), ("file", ["127.0.0.2:1"]))
        self.assertEqual(self.ask_many(proxy, 10), {backend.name: 10})

    def test_what_was_last_is_on_disk_after_a_stop(self):
        proxy = self.start_proxy()
        product.wait_until(lambda: proxy.backends() == [], "the label is known to be empty")
        for count in range(1, 6):
            self.register(f"127.0.0.{count}:1")
            product.wait_until(lambda: len(proxy.backends()) == count, f"{count} backends")
        self.assertEqual(proxy.process.terminate(), 0)
        self.assertEqual(self.kept(), [f"127.0.0.{count}:1" for count in range(1, 6)])

    def test_a_file_that_is_damaged_is_told_of_and_waited_without(self):
        backend = self.start_backend()
        self.register(backend.name)
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, backend.name)
        proxy.process.terminate()
        self.zookeeper.stop()
        bytes_before = self.file().read_bytes()
        self.file().write_bytes(bytes_before[:-1])
        proxy = self.start_proxy()
        proxy.process.wait_for_error(r"\.state is not used: it is damaged")
        self.assertEqual(proxy.ask().status, 503)
        self.assertEqual(proxy.admin("/ready").status, 503)
        self.assertEqual(self.gauge(proxy, "srsd_proxy_service_confirmed_age_seconds"), -1)
        self.assertEqual(self.file().read_bytes(), bytes_before[:-1])
        self.zookeeper.start()
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(self.ask_many(proxy, 5), {backend.name: 5})
        product.wait_until(lambda: self.file().stat().st_size == len(bytes_before), "it is replaced")

    def test_a_directory_that_is_not_there_is_a_wrong_setting(self):
        settings = self.settings(zookeeper=self.zookeeper.servers)
        settings["zookeeper"]["state_dir"] = str(self.directory / "missing")
        for options in ((), ("--test",)):
            process = self.launch(settings, *options)
            self.assertEqual(process.wait_for_exit(), EXIT_CODE_SETTINGS)
            self.assertRegex(process.report(), "zookeeper.state_dir: the state directory .*/missing cannot be used: "
                                               "No such file or directory")

    def test_what_is_above_a_limit_is_told(self):
        self.register("127.0.0.1:1")
        proxy = self.start_proxy("--set", "limits.children=2", "--set", "limits.node_data=10",
                                 "--set", "services.0.format=json")
        self.wait_for_backends(proxy, "127.0.0.1:1")
        over = "srsd_proxy_registry_over_limit"
        self.assertEqual([self.gauge(proxy, over, f',limit="{limit}"') for limit in ("children", "name", "node_data")],
                         [0, 0, 0])
        self.kazoo.create(f"{LABEL_PATH}/127.0.0.2:1", b'{"weight":               1}')
        product.wait_until(lambda: self.gauge(proxy, over, ',limit="node_data"') == 1, "too much data")
        self.assertEqual(self.gauge(proxy, "srsd_proxy_registry_nodes_skipped"), 1)
        self.register("127.0.0.3:1")
        product.wait_until(lambda: self.gauge(proxy, over, ',limit="children"') == 1, "too many nodes")
        self.assertEqual(self.gauge(proxy, "srsd_proxy_registry_nodes"), 3)
        self.assertEqual(proxy.backends(), ["127.0.0.1:1"])
        errors = [line for line in proxy.process.errors if "level=error" in line]
        self.assertEqual(len(errors), 2, errors)


class KillTest(StateTest):
    ROUNDS = 15

    def churn(self):
        """Nodes that come and go: the sets are {0..499 and i} for i of the others."""
        i = 500
        while not self.done.is_set():
            self.kazoo.create(f"{LABEL_PATH}/127.0.0.1:{i + 1}")
            self.kazoo.delete(f"{LABEL_PATH}/127.0.0.1:{i}")
            i = i + 1 if i < 60000 else 501

    def test_killed_at_any_moment_the_file_is_the_old_one_or_the_new_one(self):
        always = {f"127.0.0.1:{port}" for port in range(1, 500)}
        self.kazoo.ensure_path(LABEL_PATH)
        for name in sorted(always) + ["127.0.0.1:500"]:
            self.kazoo.create_async(f"{LABEL_PATH}/{name}")
        product.wait_until(lambda: len(self.kazoo.get_children(LABEL_PATH)) == 500, "500 nodes")
        self.done = threading.Event()
        churn = threading.Thread(target=self.churn)
        churn.start()
        try:
            for number in range(self.ROUNDS):
                proxy = Proxy(self.launch(self.killed_settings()))
                if number % 2 == 0:
                    product.wait_until(self.is_writing, "the set is being written")
                else:
                    # The first write begins as soon as there is a set.
                    proxy.process.wait_for_error('event="set of backends"')
                    time.sleep(random.uniform(0, 0.05))
                proxy.process.kill()
                for path in self.directory.glob("*.tmp"):
                    path.unlink()
                kept = self.kept()
                if kept is not None:
                    self.assertLess(len(set(kept) - always), 3, kept)
                    self.assertEqual(always - set(kept), set())
        finally:
            self.done.set()
            churn.join(product.DEADLINE_SECONDS)
        product.wait_until(lambda: self.kept() is not None or self.keep_once(), "a set is on disk")
        self.zookeeper.stop()
        proxy = self.start_proxy()
        product.wait_until(lambda: proxy.backends() == sorted(self.kept()), "the proxy starts from it")
        # What killed writers leave is no set of anybody, and is not there for ever.
        path = self.directory / (self.file().name + ".1-1.tmp")
        path.write_bytes(b"")
        os.utime(path, (0, 0))
        proxy.process.terminate()
        proxy = self.start_proxy()
        self.assertEqual([path for path in self.directory.iterdir() if path.suffix != ".state"], [])

    def is_writing(self):
        """Look for a file that has not its name yet, without a pause, for a second."""
        until = time.monotonic() + 1
        while time.monotonic() < until:
            if any(name.endswith(".tmp") for name in os.listdir(self.directory)):
                return True
        return False

    def killed_settings(self):
        settings = self.settings(zookeeper=self.zookeeper.servers)
        settings["zookeeper"]["state_dir"] = str(self.directory)
        return settings

    def keep_once(self):
        proxy = self.start_proxy()
        product.wait_until(lambda: self.kept() is not None, "a set is on disk")
        return proxy.process.terminate() == 0


if __name__ == "__main__":
    unittest.main()

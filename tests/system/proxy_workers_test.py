#!/usr/bin/python3
"""Workers beside each other: what each has for itself."""

import os
import pathlib
import signal
import sys
import threading
import time
import unittest

import product
import sockets
from proxy import Proxy, ProxyTest

CALL_CLOSE_RANGE = 436
WITH_ONE_TABLE = [sys.executable, "-B", str(product.PROJECT / "tests/support/forbid_call.py"), str(CALL_CLOSE_RANGE)]
TCP_LISTEN = "0A"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class PriorityTest(ProxyTest):
    """Where processors are busy, those who serve requests go before those who look after backends."""

    BACKGROUND = ("registry", "checker")

    def wait_for_steps(self, steps, **settings):
        proxy = self.start_proxy(settings=self.settings(workers=2, static=["127.0.0.1:9"], **settings))
        beside = os.getpriority(os.PRIO_PROCESS, 0)  # the tests themselves may stand behind others
        behind = min(beside + steps, 19)
        expected = {"srsd-proxy": beside, "worker-0": beside, "worker-1": beside,
                    **{name: behind for name in self.BACKGROUND}}

        def as_expected():
            values = proxy.nice_by_thread()
            return {name: values.get(name) for name in expected} == expected
        product.wait_until(as_expected, f"nice values {expected}")

    def test_background_threads_stand_behind_workers(self):
        self.wait_for_steps(5)

    def test_how_far_is_a_setting(self):
        self.wait_for_steps(0, background_nice=0)
        self.wait_for_steps(19, background_nice=19)


class TablesTest(sockets.SocketsTest):
    """Each worker has a table of descriptors of its own, with what is its own in it."""

    WORKERS = 3
    CLIENTS = 12

    @staticmethod
    def has_own_tables():
        """ThreadSanitizer cannot tell tables apart: built with it, all threads share one."""
        return b"__tsan_init" not in pathlib.Path(product.binary("srsd-proxy")).read_bytes()

    def use(self, proxy):
        """Clients come, are served, and stay. Returns the sockets in each table."""
        clients = [self.connect_to(proxy) for _ in range(self.CLIENTS)]
        for client in clients:
            client.sendall(REQUEST)
            self.assertTrue(sockets.receive_head(client)[0].startswith(b"HTTP/1.1 200"))
        return {name: [link for link in links if link.startswith("socket:")]
                for name, links in proxy.descriptors_by_thread().items()}

    @staticmethod
    def listening(proxy):
        """The listening sockets on the ports for clients, as links in a table are named."""
        with open("/proc/net/tcp", encoding="ascii") as lines:
            fields = [line.split() for line in list(lines)[1:]]
        return {f"socket:[{field[9]}]" for field in fields
                if field[3] == TCP_LISTEN and int(field[1].rpartition(":")[2], 16) in proxy.ports}

    def start_one(self, access):
        settings = self.settings(workers=self.WORKERS, static=[self.start_backend().name], log={"access": access})
        return self.start_proxy(settings=settings)

    def test_a_worker_has_its_own_sockets_only(self):
        access = str(pathlib.Path(self.write_settings({})).with_name("access.log"))
        proxy = self.start_one(access)
        listeners = self.WORKERS * len(proxy.ports)
        tables = self.use(proxy)
        workers = [links for name, links in tables.items() if name.startswith("worker-")]
        self.assertEqual(len(workers), self.WORKERS)
        if not self.has_own_tables():
            self.assertTrue(any("share one table" in line for line in proxy.process.errors))
            return
        # Each takes connections from all listeners: those are in each worker's table, and nothing else is in two.
        shared = set.intersection(*map(set, workers))
        self.assertEqual(shared, self.listening(proxy))
        self.assertEqual(len(shared), listeners)
        self.assertFalse(shared & set(tables["srsd-proxy"]))
        everything = [link for links in tables.values() for link in links if link not in shared]
        self.assertEqual(len(everything), len(set(everything)), tables)
        self.assertGreaterEqual(sum(map(len, workers)), self.WORKERS * listeners + self.CLIENTS)
        self.assertLessEqual(len(tables["srsd-proxy"]), 4)  # the admin endpoint, and who asks it
        self.assertFalse(any("share one table" in line for line in proxy.process.errors))
        # A log that was rotated is not held by those who do not write it.
        for name, links in proxy.descriptors_by_thread().items():
            self.assertEqual(access in links, name == "srsd-proxy", name)

    def test_where_the_system_forbids_that_they_share_one(self):
        settings = self.write_settings(self.settings(workers=self.WORKERS, static=[self.start_backend().name]))
        proxy = Proxy(self.start_program(*WITH_ONE_TABLE, product.binary("srsd-proxy"), "--config", settings))
        proxy.wait_for_ports(True)
        tables = self.use(proxy)
        self.assertGreaterEqual(len(tables["srsd-proxy"]), self.CLIENTS)
        self.assertEqual(len([line for line in proxy.process.errors if "share one table" in line]), 1)
        self.assertEqual(proxy.process.terminate(), 0)


    def test_all_listeners_count_in_each_table(self):
        settings = self.write_settings(self.settings(
            workers=self.WORKERS, static=[self.start_backend().name], listeners=[{"address": "127.0.0.1:0"}] * 30,
            limits={"connections": 400}))
        few, program = ["prlimit", "--nofile=200:200"], [product.binary("srsd-proxy"), "--config", settings]
        if self.has_own_tables():
            proxy = Proxy(self.start_program(*few, *program))
            proxy.wait_for_ports(True)
            product.wait_until(lambda: any(
                "allows more clients" in line and "descriptors=600 tables=3 listeners=270" in line
                for line in proxy.process.errors), "it says that there is no room beside the listeners")
            self.assertEqual(proxy.process.terminate(), 0)
        process = self.start_program(*few, *WITH_ONE_TABLE, *program)
        self.assertEqual(process.wait_for_exit(), 71)
        self.assertTrue(any("raise the limit of descriptors" in line for line in process.errors), process.errors)


class EvennessTest(sockets.SocketsTest):
    """Workers have equally many connections, also when there are few."""

    CLIENTS = 8

    def start_one(self, workers, **changes):
        return self.start_proxy(settings=self.settings(
            workers=workers, static=[self.start_backend().name], **changes))

    def connect_some(self, proxy, count, before=b""):
        clients = [self.connect_to(proxy) for _ in range(count)]
        for client in clients:
            client.sendall(before + REQUEST)
        for client in clients:
            self.assert_answered(client)
        return clients

    def assert_answered(self, client):
        self.assertTrue(sockets.receive_head(client)[0].startswith(b"HTTP/1.1 200"))

    @staticmethod
    def shares(proxy, workers):
        return [proxy.metric(f'srsd_proxy_worker_client_connections{{worker="{number}"}}') for number in range(workers)]

    def assert_even(self, proxy, workers, count):
        shares = self.shares(proxy, workers)
        self.assertEqual(sum(shares), count)
        self.assertLessEqual(max(shares) - min(shares), 1, shares)

    def test_few_connections_are_even(self):
        for workers in (2, 4):
            proxy = self.start_one(workers)
            for count in range(1, self.CLIENTS + 1):
                clients = self.connect_some(proxy, 1)
                self.assert_even(proxy, workers, count)
            self.assertEqual(proxy.process.terminate(), 0)
            clients[0].close()

    def test_some_that_come_at_once_are_even(self):
        for workers in (2, 4):
            for listener in ({}, {"proxy_protocol": True}):
                proxy = self.start_one(workers, listeners=[{"address": "127.0.0.1:0", **listener}])
                before = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n" if listener else b""
                self.connect_some(proxy, self.CLIENTS, before)
                self.assert_even(proxy, workers, self.CLIENTS)

    def test_they_are_even_again_when_others_come(self):
        proxy = self.start_one(2)
        clients = self.connect_some(proxy, self.CLIENTS)
        before = self.shares(proxy, 2)
        # Close one after the other, until one worker has none.
        left = list(clients)
        while left and min(self.shares(proxy, 2)) > 0:
            left.pop().close()
            product.wait_until(lambda: sum(self.shares(proxy, 2)) == len(left), "it is closed")
        self.assertEqual(sum(before), self.CLIENTS)
        self.connect_some(proxy, self.CLIENTS - len(left))
        self.assert_even(proxy, 2, self.CLIENTS)

    def test_a_storm_of_short_connections_is_served(self):
        proxy = self.start_one(4)
        counts = [0] * 4

        def storm(number):
            for _ in range(200):
                with self.connect_to(proxy) as client:
                    client.sendall(REQUEST)
                    self.assert_answered(client)
                counts[number] += 1

        threads = [threading.Thread(target=storm, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(counts, [200] * 4)
        product.wait_until(lambda: self.shares(proxy, 4) == [0] * 4, "nothing is counted that is not there")
        time.sleep(1)  # so soon they look at each other again as if there had been no storm
        self.connect_some(proxy, self.CLIENTS)
        self.assert_even(proxy, 4, self.CLIENTS)

    def test_who_has_connected_before_the_end_is_answered(self):
        """Whoever's listener they wait at, and whoever was to take them."""
        for _ in range(10):
            proxy = self.start_one(4)
            clients = [self.connect_to(proxy) for _ in range(32)]
            proxy.process.signal(signal.SIGTERM)
            for client in clients:
                client.sendall(REQUEST)
            for client in clients:
                self.assert_answered(client)
            self.assertEqual(proxy.process.wait_for_exit(), 0)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""Workers beside each other: what each has for itself."""

import pathlib
import sys
import unittest

import product
import sockets
from proxy import Proxy

CALL_CLOSE_RANGE = 436


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
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(sockets.receive_head(client)[0].startswith(b"HTTP/1.1 200"))
        return {name: [link for link in links if link.startswith("socket:")]
                for name, links in proxy.descriptors_by_thread().items()}

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
        everything = [link for links in tables.values() for link in links]
        self.assertEqual(len(everything), len(set(everything)), tables)
        self.assertGreaterEqual(sum(map(len, workers)), listeners + self.CLIENTS)
        self.assertLessEqual(len(tables["srsd-proxy"]), 4)  # the admin endpoint, and who asks it
        self.assertFalse(any("share one table" in line for line in proxy.process.errors))
        # A log that was rotated is not held by those who do not write it.
        for name, links in proxy.descriptors_by_thread().items():
            self.assertEqual(access in links, name == "srsd-proxy", name)

    def test_where_the_system_forbids_that_they_share_one(self):
        settings = self.write_settings(self.settings(workers=self.WORKERS, static=[self.start_backend().name]))
        proxy = Proxy(self.start_program(
            sys.executable, "-B", str(product.PROJECT / "tests/support/forbid_call.py"), str(CALL_CLOSE_RANGE),
            product.binary("srsd-proxy"), "--config", settings))
        proxy.wait_for_ports(True)
        tables = self.use(proxy)
        self.assertGreaterEqual(len(tables["srsd-proxy"]), self.CLIENTS)
        self.assertEqual(len([line for line in proxy.process.errors if "share one table" in line]), 1)
        self.assertEqual(proxy.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

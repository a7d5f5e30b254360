#!/usr/bin/python3
"""Nothing grows: memory and descriptors of the proxy over many requests, connections, failures and registry changes."""

import socket
import threading
import time
import unittest

import product
from proxy import LABEL_PATH, ProxyTest

REQUESTS = 20000
REGISTRY_CHANGES = 100
CHANGE_SECONDS = 0.06  # so that the proxy sees most of them one by one
CLIENTS = 8
GROWTH_KILOBYTES_MAX = 1024  # 50 bytes for each request would be seen


class EnduranceTest(ProxyTest):
    def setUp(self):
        self.zookeeper = self.start_zookeeper()
        self.kazoo = self.connect(self.zookeeper)

    def start_services(self, count):
        """Our example service, for it is fast."""
        services = [self.start("service", "--zookeeper", self.zookeeper.servers, "--port", "0") for _ in range(count)]
        for service in services:
            service.wait_for_output("listening on")
        return [service.output[0].removeprefix("listening on ") for service in services]

    def change_registry(self, count):
        """Nodes that come and go, some of them with nobody behind, some with nonsense for a name."""
        for number in range(count // 2):
            name = ("127.0.0.1:1", "127.0.0.1:2", "nonsense", "localhost:3")[number % 4]
            self.kazoo.create(f"{LABEL_PATH}/{name}", b"", ephemeral=True)
            time.sleep(CHANGE_SECONDS)
            self.kazoo.delete(f"{LABEL_PATH}/{name}")
            time.sleep(CHANGE_SECONDS)

    def ask(self, port, count):
        """`count` requests, on a new connection for every hundred."""
        answered = 0
        for start in range(0, count, 100):
            with socket.create_connection(("127.0.0.1", port), timeout=product.DEADLINE_SECONDS) as client:
                stream = client.makefile("rb")
                for _ in range(min(100, count - start)):
                    client.sendall(b"GET /info HTTP/1.1\r\nHost: a\r\n\r\n")
                    status, length = stream.readline(), 0
                    while (line := stream.readline()) not in (b"\r\n", b""):
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    stream.read(length)
                    answered += status == b"HTTP/1.1 200 OK\r\n"
        return answered

    def burden(self, proxy, requests, changes):
        answered, lock = [0], threading.Lock()

        def client():
            mine = self.ask(proxy.port, requests // CLIENTS)
            with lock:
                answered[0] += mine

        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in clients:
            thread.start()
        self.change_registry(changes)
        for thread in clients:
            thread.join(10 * product.DEADLINE_SECONDS)
        # Requests are tried elsewhere when they meet a node with nobody behind: not one is lost.
        self.assertEqual(answered[0], requests // CLIENTS * CLIENTS)

    def test_nothing_grows(self):
        services = self.start_services(3)
        proxy = self.start_proxy(zookeeper=self.zookeeper.servers,
                                 timeouts={"upstream_idle": "1s"}, retries={"tries": 5})
        self.wait_for_backends(proxy, *services)
        self.meet_host_name(proxy, services)
        self.burden(proxy, REQUESTS // 5, REGISTRY_CHANGES // 5)
        self.settle(proxy, services)
        kilobytes, descriptors = proxy.resident_kilobytes(), proxy.descriptors()
        self.burden(proxy, REQUESTS, REGISTRY_CHANGES)
        self.settle(proxy, services)
        product.wait_until(lambda: proxy.descriptors() <= descriptors, f"no more than {descriptors} descriptors")
        # A sanitizer keeps freed memory back.
        with open(f"/proc/{proxy.process.pid}/maps", encoding="ascii") as maps:
            if "san.so" not in maps.read():
                self.assertLess(proxy.resident_kilobytes() - kilobytes, GROWTH_KILOBYTES_MAX)
        self.assertEqual(proxy.process.terminate(), 0)

    def meet_host_name(self, proxy, services):
        """The resolver opens its sockets with the first host name, and keeps them: before anything is counted."""
        self.kazoo.create(f"{LABEL_PATH}/localhost:3", b"", ephemeral=True)
        self.wait_for_backends(proxy, *services, "localhost:3")
        self.kazoo.delete(f"{LABEL_PATH}/localhost:3")
        self.wait_for_backends(proxy, *services)

    def settle(self, proxy, services):
        """Wait until only what stands for ever is open."""
        self.wait_for_backends(proxy, *services)
        for metric in ("client_connections", "requests_active", "upstream_connections"):
            product.wait_until(lambda: proxy.metric(f"srsd_proxy_{metric}") == 0, f"{metric} is 0")


if __name__ == "__main__":
    unittest.main()

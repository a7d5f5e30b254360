#!/usr/bin/python3
"""Backends that fail at random, and clients that send ahead and leave early, while requests are sent again, to several at a time,
and given up: every answer is that to its request, none looks whole that is not, and nothing is left behind."""

import collections
import random
import re
import socket
import threading
import time
import unittest

import product
from failover import FailoverTest
from proxy import LABEL_PATH
from sockets import reset

CLIENTS = 12
SECONDS = 2.5
AHEAD_MAX = 4


class Ended(Exception):
    """The connection ended where more had to come."""


class StormClient:
    """Sends requests of all kinds on connections of all fates until the time is over, and some were answered."""

    ANSWERS_MIN = 10

    def __init__(self, test, port, seed):
        self.test, self.port, self.random = test, port, random.Random(seed)
        self.seen = collections.Counter()
        self.socket, self.received, self.number, self.name = None, b"", 0, f"{seed:x}"

    def request(self):
        """(method, target, bytes) of a new one."""
        self.number += 1
        method = self.random.choice(("GET", "GET", "GET", "HEAD", "PUT", "POST", "DELETE"))
        target = f"/{self.name}/{self.number}"
        body = b"x" * self.random.choice((0, 1, 100, 20000)) if method in ("PUT", "POST") else b""
        head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return method, target, head + body

    def more(self):
        try:
            more = self.socket.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            raise Ended
        self.received += more

    def read(self, method, target):
        """One answer. Raises Ended where it does not come whole."""
        while b"\r\n\r\n" not in self.received:
            self.more()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        self.seen[status] += 1
        if status < 200:
            self.read(method, target)
            return
        fields = {name.lower(): value for name, value in re.findall(rb"\r\n([^:\r]+): *([^\r]*)", head)}
        length = 0 if method == "HEAD" else int(fields[b"content-length"])
        while len(self.received) < length:
            self.more()
        body, self.received = self.received[:length], self.received[length:]
        if b"x-target" in fields:
            self.test.assertEqual(fields[b"x-target"].decode(), target)
            if method != "HEAD":
                self.test.assertEqual(body, fields[b"x-served-by"] + b"\n")
        else:
            self.test.assertGreaterEqual(status, 500, head)
        if fields.get(b"connection", b"").lower() == b"close":
            raise Ended

    def run_connection(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=product.DEADLINE_SECONDS)
        self.received = b""
        for _ in range(self.random.randint(1, 20)):
            requests = [self.request() for _ in range(self.random.randint(1, AHEAD_MAX))]
            data = b"".join(data for _, _, data in requests)
            if self.random.random() < 0.1:
                # Not all of it is ever sent.
                self.socket.sendall(data[:self.random.randrange(len(data))])
                time.sleep(self.random.random() / 20)
                return
            self.socket.sendall(data)
            if self.random.random() < 0.1:
                time.sleep(self.random.random() / 20)
                return
            for method, target, _ in requests:
                self.read(method, target)

    def run(self, until):
        last = until + product.DEADLINE_SECONDS / 2
        while time.monotonic() < (until if self.seen[200] >= self.ANSWERS_MIN else last):
            try:
                self.run_connection()
            except (Ended, BrokenPipeError, ConnectionResetError):
                self.seen["ended"] += 1
            if self.random.random() < 0.5:
                reset(self.socket)
            else:
                self.socket.close()


EVERYTHING = {"tries": 5, "budget": 1000, "budget_min": 1000000, "hedge": 50, "status_5xx": True, "attempt_timeout": "60ms"}
NERVOUS = {"errors": 4, "ejection": "20ms", "ejection_max": "50ms", "silence": "10ms", "slow_start": "300ms"}


class StormTest(FailoverTest):
    def storm(self, proxy, backends, play):
        """Have clients at work until `play`, which is given the time when they end, has returned."""
        seed = random.randrange(1 << 20)
        failures, clients = [], [StormClient(self, proxy.port, seed * 100 + i) for i in range(CLIENTS)]
        until = time.monotonic() + SECONDS

        def run(client):
            try:
                client.run(until)
            except BaseException as error:  # told in the test's own thread
                failures.append(f"seed {seed}: {error!r}")

        threads = [threading.Thread(target=run, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        play(until)
        for thread in threads:
            thread.join(product.DEADLINE_SECONDS)
        self.assertEqual(failures, [])
        self.assert_nothing_is_left(proxy, backends)
        self.assertEqual(self.executed_twice(backends), [])
        seen = sum((client.seen for client in clients), collections.Counter())
        self.assertGreaterEqual(seen[200], CLIENTS * StormClient.ANSWERS_MIN, seen)

    def start_random_backends(self):
        backends = self.start_backends(5, delay_ms=20)
        for backend in backends:
            backend.be("random")
        return backends

    def assert_nothing_is_left(self, proxy, backends):
        def is_so():
            metrics = proxy.admin("/metrics").text
            active = re.search(r"^srsd_proxy_requests_active (\d+)", metrics, re.M)[1]
            in_use = (proxy.metric("srsd_proxy_upstream_connections")
                      - proxy.metric("srsd_proxy_upstream_connections_idle"))
            return active == "0" and in_use == 0

        product.wait_until(is_so, "no request is under way")
        for backend in backends:
            entry = self.entry(proxy, backend)
            self.assertEqual(entry["in_flight"] if entry else 0, 0)

    def test_everything_at_once(self):
        backends = self.start_random_backends()
        proxy = self.start_proxy_of(
            backends, "--set", "log.level=info", health=NERVOUS, retries=EVERYTHING,
            service={"timeouts": {"request": "500ms"}, "limits": {"requests": 8, "queue": 100}})

        def play(until):
            pause = (until - time.monotonic()) / 8
            backends[0].freeze()
            time.sleep(pause)
            backends[0].thaw()
            for backend in backends[1:3]:
                time.sleep(pause)
                backend.kill()
                time.sleep(pause)
                backend.start()
                backend.be("random")

        self.storm(proxy, backends, play)
        for name in ("retries", "hedges", "hedges_won"):
            self.assertGreater(proxy.metric(f"srsd_proxy_{name}_total"), 0)
        self.assertEqual(proxy.process.terminate(), 0)

    def test_while_backends_come_and_go(self):
        zookeeper = self.start_zookeeper()
        kazoo = self.connect(zookeeper)
        kazoo.ensure_path(LABEL_PATH)
        backends = self.start_random_backends()
        settings = self.settings(zookeeper=zookeeper.servers, retries=EVERYTHING)
        balance = random.choice(("random", "least_requests", "round_robin", "peak_ewma", "ring_hash"))
        settings["services"][0].update(balance=balance, health=NERVOUS)
        registered = {backend.name: False for backend in backends}

        def turn(name):
            if registered[name]:
                kazoo.delete(f"{LABEL_PATH}/{name}")
            else:
                kazoo.create(f"{LABEL_PATH}/{name}", b"", ephemeral=True)
            registered[name] = not registered[name]

        def play(until):
            while time.monotonic() < until:
                turn(random.choice(list(registered)))
                time.sleep(random.random() / 20)

        for backend in backends:
            turn(backend.name)
        proxy = self.start_proxy(settings=settings)
        product.wait_until(proxy.backends, "the set is known")
        with self.subTest(balance=balance):
            self.storm(proxy, backends, play)
        self.assertEqual(proxy.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

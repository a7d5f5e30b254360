"""watchers - who follows labels in the benchmarks of discovery, who changes them, and what the server counts.

Two followers, each a process of its own with one session: bench_watch (libsrsd) and kazoo_watch.py (Kazoo's
ChildrenWatch). The writer speaks ZooKeeper's protocol on a socket of its own, so that the moment at which a request
goes out is known, and costs next to nothing beside what is measured.
"""

import collections
import pathlib
import platform
import re
import socket
import struct
import time

import kazoo
import machine
import product

REGISTRY = product.REGISTRY
READY_SECONDS = 300

Seen = collections.namedtuple("Seen", "label count time_ns")


def addresses(count, first=0):
    """So many different addresses."""
    return [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}:8888"
            for number in range(first, first + count)]


class Follower:
    """A process that follows labels. Ready when it has read each of them once."""

    name = None

    def __init__(self, zookeeper, labels):
        self._zookeeper = zookeeper
        self.process = product.Process([*self.command(), zookeeper.servers, *labels])
        self.process.wait_for_output("^complete$", deadline_seconds=READY_SECONDS)
        session = next(line for line in self.process.output if line.startswith("session "))
        self.session = session.split()[1]

    def command(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid

    def requests(self):
        """How many requests of it the server has received, pings included."""
        lines = self._zookeeper.ask(self._zookeeper.port, b"cons").splitlines()
        line = next(line for line in lines if f"sid={self.session}," in line)
        return int(re.search(r"recved=(\d+)", line).group(1))

    def cpu(self):
        return machine.CpuTimes.of(self.pid)

    def anonymous_kib(self):
        return machine.Memory(self.pid).anonymous_kib

    def finish(self):
        """End it. Returns what it saw, in order."""
        if self.process.terminate() != 0:
            raise AssertionError(self.process.report())
        lines = (line.split() for line in self.process.output if line.startswith("set "))
        return [Seen(label, int(count), int(time_ns)) for _, label, count, time_ns in lines]

    def close(self):
        self.process.close()


class Ours(Follower):
    name = "libsrsd"

    def command(self):
        return [product.binary("bench_watch")]


class Kazoo(Follower):
    name = "Kazoo"

    def command(self):
        return ["/usr/bin/python3", "-B", str(pathlib.Path(__file__).with_name("kazoo_watch.py"))]


class Writer:
    """A session that makes and removes nodes. It sends no pings: idle for `timeout_ms` it is over, and what is
    ephemeral goes with it."""

    CREATE, DELETE = 1, 2
    PERSISTENT, EPHEMERAL = 0, 1
    NODE_EXISTS = -110
    AHEAD = 500  # requests that are sent before the first is answered

    def __init__(self, zookeeper, timeout_ms=60000):
        self._socket = socket.create_connection(("127.0.0.1", zookeeper.port), product.DEADLINE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._xid = 0
        self._socket.sendall(self._frame(struct.pack(">iqiqi16s?", 0, 0, timeout_ms, 0, 16, bytes(16), False)))
        self._receive()

    @staticmethod
    def _frame(payload):
        return struct.pack(">i", len(payload)) + payload

    @staticmethod
    def _text(text):
        return struct.pack(">i", len(text)) + text.encode()

    def _receive_bytes(self, count):
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise AssertionError("ZooKeeper closed the writer's connection")
            data += piece
        return data

    def _receive(self):
        return self._receive_bytes(struct.unpack(">i", self._receive_bytes(4))[0])

    def _answer(self, may_be=()):
        code = struct.unpack(">iqi", self._receive()[:16])[2]
        if code != 0 and code not in may_be:
            raise AssertionError(f"ZooKeeper answers the writer with {code}")

    def _request(self, operation, path, flags=None):
        self._xid += 1
        body = struct.pack(">ii", self._xid, operation) + self._text(path)
        if operation == self.CREATE:  # no data, an ACL of one entry: all may do all
            body += struct.pack(">iii", 0, 1, 31) + self._text("world") + self._text("anyone")
            body += struct.pack(">i", flags)
        else:
            body += struct.pack(">i", -1)
        return self._frame(body)

    def _run(self, requests):
        waiting = 0
        for request in requests:
            self._socket.sendall(request)
            waiting += 1
            if waiting == self.AHEAD:
                self._answer()
                waiting -= 1
        self.receive(waiting)

    def make_label(self, label):
        path = ""
        for part in [*REGISTRY.strip("/").split("/"), label]:
            path += f"/{part}"
            self._socket.sendall(self._request(self.CREATE, path, self.PERSISTENT))
            self._answer(may_be=(self.NODE_EXISTS,))

    def _path(self, label, address):
        return f"{REGISTRY}/{label}/{address}"

    def fill(self, label, names, flags=EPHEMERAL):
        self._run(self._request(self.CREATE, self._path(label, name), flags) for name in names)

    def empty(self, label, names):
        self._run(self._request(self.DELETE, self._path(label, name)) for name in names)

    def _send(self, request):
        asked_ns = time.monotonic_ns()
        self._socket.sendall(request)
        return asked_ns

    def send_create(self, label, name):
        """Ask for one node. Returns when the request was about to go out; receive() has to follow."""
        return self._send(self._request(self.CREATE, self._path(label, name), self.EPHEMERAL))

    def send_delete(self, label, name):
        """Ask for a node's removal. Returns when the request was about to go out; receive() has to follow."""
        return self._send(self._request(self.DELETE, self._path(label, name)))

    def receive(self, count=1):
        """Take so many answers."""
        for _ in range(count):
            self._answer()

    def close(self):
        self._socket.close()


def versions():
    """Lines that say which programs were measured."""
    answer = machine.first_line("dpkg-query", "-W", "-f", "${Version}", "libzookeeper-java")
    return [machine.first_line(product.binary("srsd"), "--version"),
            f"Kazoo {kazoo.__version__}, Python {platform.python_version()}", f"ZooKeeper server {answer}"]

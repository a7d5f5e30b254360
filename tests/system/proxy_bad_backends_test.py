#!/usr/bin/python3
"""Backends that do everything wrong, at random, while clients send ahead: no answer ever reaches another request, and
none looks complete that is not."""

import collections
import random
import socket
import threading
import unittest

import product
from proxy import ProxyTest
from sockets import Origin, reset

CLIENTS = 12
REQUESTS_PER_CLIENT = 100
AHEAD_MAX = 6


def content(number):
    """The body that belongs to a request: it cannot be taken for another one's, nor a part of it for the whole."""
    return b"<%d>" % number + b"%d," % number * (number % 400) + b"</%d>" % number


def chunked(body):
    half = len(body) // 2
    return b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (half, body[:half], len(body) - half, body[half:])


def with_length(body, stated=None):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body) if stated is None else stated, body)


def with_chunks(body):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body)


def with_field(message, line):
    """The same with one more field, the first one."""
    return message.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
EVIL = with_length(b"evil")

# What a backend does with a request: the bytes, and what becomes of its connection. What its client may see of it:
# "whole", "cut" (a body that does not end, or 502 where nothing of it came), "refused" (502).
Fault = collections.namedtuple("Fault", "seen bytes end")
FAULTS = {
    "length": Fault("whole", with_length, "keep"),
    "chunks": Fault("whole", with_chunks, "keep"),
    "hints": Fault("whole", lambda body: HINTS * 3 + with_chunks(body), "keep"),
    "http10": Fault("whole", lambda body: with_length(body).replace(b"/1.1", b"/1.0", 1), "close"),
    "until_close": Fault("whole", lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body, "close"),
    "close_behind": Fault("whole", with_length, "close"),
    "reset_behind": Fault("whole", with_length, "reset"),
    "surplus": Fault("whole", lambda body: with_length(body) + EVIL, "keep"),
    "surplus_chunks": Fault("whole", lambda body: with_chunks(body) + EVIL, "keep"),
    "surplus_line": Fault("whole", lambda body: with_length(body) + b"\r\n", "keep"),
    "short": Fault("cut", lambda body: with_length(body, len(body) + 5), "close"),
    "short_reset": Fault("cut", lambda body: with_length(body, len(body) + 5), "reset"),
    "no_last_chunk": Fault("cut", lambda body: with_chunks(body)[:-5], "close"),
    "no_last_chunk_reset": Fault("cut", lambda body: with_chunks(body)[:-5], "reset"),
    "no_last_line": Fault("cut", lambda body: with_chunks(body)[:-2], "close"),
    "bad_chunk": Fault("cut", lambda body: with_chunks(body)[:-5] + b"no size\r\n\r\n", "keep"),
    "until_reset": Fault("cut", lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body, "reset"),
    "hints_only": Fault("refused", lambda body: HINTS, "close"),
    "half_a_head": Fault("refused", lambda body: b"HTTP/1.1 200 OK\r\nContent-Le", "reset"),
    "nothing": Fault("refused", lambda body: b"", "close"),
    "nothing_reset": Fault("refused", lambda body: b"", "reset"),
    "garbage": Fault("refused", lambda body: b"garbage" + EVIL, "keep"),
    "two_lengths": Fault("refused", lambda body: with_field(with_length(body), b"Content-Length: 1"), "keep"),
    "both_framings": Fault("refused", lambda body: with_field(with_chunks(body), b"Content-Length: 1"), "keep"),
    "bare_lf": Fault("refused", lambda body: with_length(body).replace(b"\r\n", b"\n"), "keep"),
    "switch": Fault("refused", lambda body: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + EVIL, "keep"),
}


class BadBackend(Origin):
    """Serves /NUMBER/FAULT as the fault says, cut into segments at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        super().__init__(self._answer_all)

    def _send(self, connection, data):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data:
            count = len(data) if self.random.random() < 0.5 else self.random.randint(1, len(data))
            connection.sendall(data[:count])
            data = data[count:]

    def _answer_all(self, connection):
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                more = connection.recv(65536)
                if not more:
                    return
                received += more
            head, _, received = received.partition(b"\r\n\r\n")
            _, number, name = head.split(b" ", 2)[1].decode().split("/")
            fault = FAULTS[name]
            data = fault.bytes(content(int(number)))
            if "surplus" in name:
                # In one piece with its response: alone, it might come when the next request is there.
                connection.sendall(data)
            else:
                self._send(connection, data)
            if fault.end == "reset":
                reset(connection)
            if fault.end != "keep":
                return


class Ended(Exception):
    """The connection ended before the response did."""


class Client:
    """A client that sends ahead, and reads what comes with a reader of its own, which knows no mercy."""

    def __init__(self, test, port):
        self.test, self.port, self.socket, self.received = test, port, None, b""

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=product.DEADLINE_SECONDS)
        self.received = b""

    def _more(self):
        try:
            more = self.socket.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            raise Ended
        self.received += more

    def _until(self, end):
        while end not in self.received:
            self._more()
        taken, _, self.received = self.received.partition(end)
        return taken

    def _take(self, count):
        while len(self.received) < count:
            self._more()
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def read_response(self):
        """Status and body of the next final response. Ended where it does not come whole."""
        while True:
            lines = self._until(b"\r\n\r\n").split(b"\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
            version, status = lines[0].split(b" ")[:2]
            self.test.assertEqual(version, b"HTTP/1.1")
            if int(status) >= 200:
                break
            self.test.assertEqual((status, fields.get(b"link")), (b"103", b"</a>"))
        if b"content-length" in fields:
            self.test.assertNotIn(b"transfer-encoding", fields)
            return int(status), self._take(int(fields[b"content-length"]))
        self.test.assertEqual(fields[b"transfer-encoding"], b"chunked")
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._take(size)
            self.test.assertEqual(self._take(2), b"\r\n")
        self.test.assertEqual(self._take(2), b"\r\n")
        return int(status), body

    def check(self, number, name):
        """Read one answer and hold it against its request. False when the connection ended instead."""
        seen = FAULTS[name].seen
        try:
            status, body = self.read_response()
        except Ended:
            self.test.assertEqual(seen, "cut", f"{name}: the connection ended")
            return False
        if status == 200:
            self.test.assertEqual(seen, "whole", f"{name}: it looks complete: {body[:80]}")
            self.test.assertEqual(body, content(number), name)
        else:
            self.test.assertEqual(status, 502, name)
            self.test.assertIn(seen, ("refused", "cut"), name)
        return True

    def run(self, requests):
        """Send the requests, up to AHEAD_MAX ahead, and check the answers; go on behind an answer that was cut."""
        requests = collections.deque(requests)
        while requests:
            ahead = [requests[i] for i in range(min(AHEAD_MAX, len(requests)))]
            if self.socket is None:
                self.connect()
            self.socket.sendall(b"".join(b"GET /%d/%s HTTP/1.1\r\nHost: a\r\n\r\n" % (number, name.encode())
                                         for number, name in ahead))
            for number, name in ahead:
                is_open = self.check(number, name)
                requests.popleft()
                if not is_open:
                    self.socket.close()
                    self.socket = None
                    break
        if self.socket is not None:
            self.test.assertEqual(self.received, b"")
            self.socket.close()


class BadBackendsTest(ProxyTest):
    def run_clients(self, *options):
        seed = random.randrange(1 << 32)
        backend = BadBackend(seed)
        self.addCleanup(backend.close)
        proxy = self.start_proxy(*options, static=[backend.name], retries={"budget_min": 1000000})
        chosen = random.Random(seed)
        failures = []

        def run(requests):
            try:
                Client(self, proxy.port).run(requests)
            except BaseException as error:  # told in the test's own thread
                failures.append(f"seed {seed}: {error!r}")

        names = sorted(FAULTS)
        threads = []
        for client in range(CLIENTS):
            requests = [(client * 1000 + i, chosen.choice(names)) for i in range(REQUESTS_PER_CLIENT)]
            threads.append(threading.Thread(target=run, args=(requests,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        product.wait_until(lambda: proxy.metric("srsd_proxy_requests_active") == 0, "no request is under way")

    def test_no_answer_reaches_another_request(self):
        self.run_clients()

    def test_byte_by_byte(self):
        self.run_clients("--set", "limits.receive=1")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""Bodies of any size at flat memory; a side that is slow stops the other one; what a connection costs at its worst."""

import contextlib
import selectors
import socket
import struct
import threading
import time
import unittest

import product
from proxy import ProxyTest

KILOBYTE, MEGABYTE, GIGABYTE = 1 << 10, 1 << 20, 1 << 30

# What is sent: no two places less than this apart look alike, and no buffer's size divides it.
PATTERN_BYTES = MEGABYTE - 3
PATTERN = bytes((i * i * 31 + i // 251) & 255 for i in range(PATTERN_BYTES))
# From any place in it, as many bytes as are received at once.
TWICE = memoryview(PATTERN + PATTERN + PATTERN[:MEGABYTE - PATTERN_BYTES])

# A gigabyte may take the proxy this much above what it had; more than a receive buffer in each direction is not held.
GROWTH_KILOBYTES_MAX = 2048
SECONDS_MAX = 120

# One receive in either direction (limits.receive), what is held for another try, heads: docs/operations.md.
RECEIVE_KILOBYTES = 256
HELD_KILOBYTES = 64
HEAD_KILOBYTES = 17


def pieces(count):
    """`count` bytes of the pattern, in pieces."""
    at = 0
    while at < count:
        start = at % PATTERN_BYTES
        piece = TWICE[start:start + min(MEGABYTE, count - at)]
        yield piece
        at += len(piece)


class Body:
    """A message body that is received and compared, not kept. `length`: None for chunked."""

    def __init__(self, length):
        self.length, self.taken, self.is_whole = length, 0, length == 0
        self._chunk_left, self._line = 0, b""

    def _take_payload(self, piece):
        start = self.taken % PATTERN_BYTES
        if piece != TWICE[start:start + len(piece)]:
            raise AssertionError(f"other bytes than were sent, in the {len(piece)} from {self.taken} on")
        self.taken += len(piece)

    def take(self, piece):
        """The next bytes received."""
        if self.length is not None:
            self._take_payload(piece)
            self.is_whole = self.taken >= self.length
            return
        while len(piece) > 0:
            payload = piece[:max(0, self._chunk_left - 2)]
            if len(payload) > 0:
                self._take_payload(payload)
            if self._chunk_left > 0:  # the end of its line belongs to a chunk
                step = min(self._chunk_left, max(len(payload), 1))
                self._chunk_left -= step
                piece = piece[step:]
                continue
            self._line += bytes(piece[:1])
            piece = piece[1:]
            if self._line == b"0\r\n\r\n":
                self.is_whole = True
            elif self._line.endswith(b"\r\n") and self._line != b"0\r\n":
                self._chunk_left, self._line = int(self._line, 16) + 2, b""


class Connection:
    """A socket that sends and receives whole messages."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(product.DEADLINE_SECONDS)

    def receive_head(self):
        received = b""
        while b"\r\n\r\n" not in received:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError(f"the end, after {received!r}")
            received += more
        head, _, rest = received.partition(b"\r\n\r\n")
        return head.decode("latin-1"), memoryview(rest)

    def receive_body(self, head, rest):
        """Receive and compare a body. Returns its length."""
        lines = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        body = Body(None if "transfer-encoding" in lines else int(lines.get("content-length", 0)))
        body.take(rest)
        buffer = memoryview(bytearray(MEGABYTE))
        while not body.is_whole:
            count = self.socket.recv_into(buffer)
            if count == 0:
                raise ConnectionError(f"the end, after {body.taken} bytes")
            body.take(buffer[:count])
        return body.taken

    def send_body(self, count, is_chunked):
        for piece in pieces(count):
            if is_chunked:
                self.socket.sendmsg([b"%x\r\n" % len(piece)])
            self.socket.sendall(piece)
            if is_chunked:
                self.socket.sendall(b"\r\n")
        if is_chunked:
            self.socket.sendall(b"0\r\n\r\n")


def framing(count, is_chunked):
    return b"Transfer-Encoding: chunked\r\n\r\n" if is_chunked else b"Content-Length: %d\r\n\r\n" % count


class Memory:
    """What the proxy has of its own."""

    def __init__(self, pid):
        self._pid = pid
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
            self.is_sanitized = "san.so" in maps.read()

    def _read(self, field):
        with open(f"/proc/{self._pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))

    def anonymous_kilobytes(self):
        return self._read("RssAnon")

    def forget_peak(self):
        with open(f"/proc/{self._pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        return self._read("VmHWM")

    def peak_kilobytes(self):
        return self._read("VmHWM")


class BodiesTest(ProxyTest):
    def start_listener(self, serve, buffer_bytes=None):
        """A backend: each connection is handed to `serve`, in a thread of its own. Returns its address."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.addCleanup(listener.close)
        if buffer_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)

        def run(connected):
            with contextlib.suppress(OSError), connected:
                serve(Connection(connected))

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return "%s:%d" % listener.getsockname()

    def connect_to(self, proxy, buffer_bytes=None):
        connected = socket.socket()
        self.addCleanup(connected.close)
        if buffer_bytes:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        connected.connect(("127.0.0.1", proxy.port))
        return Connection(connected)


class LargeTest(BodiesTest):
    """Each way, in each framing: whole, at flat memory, in time."""

    def expect_flat(self, proxy, move, is_chunked):
        """`move(count)` moves so many bytes: once a little to warm up, then the large body."""
        memory = Memory(proxy.process.pid)
        count = 128 * MEGABYTE if memory.is_sanitized else GIGABYTE
        move(8 * MEGABYTE)
        before = memory.forget_peak()
        begin = time.monotonic()
        move(count)
        seconds = time.monotonic() - begin
        growth = memory.peak_kilobytes() - before
        print(f"{self.id().split('.')[-1]}: {count // MEGABYTE} MB in {seconds:.1f} s, {growth} KB more")
        self.assertLess(seconds, SECONDS_MAX)
        # Where the kernel has most of it: a sender that is slow is copied.
        spliced = proxy.metric("srsd_proxy_spliced_bytes_total")
        (self.assertEqual if is_chunked else self.assertGreater)(spliced, 0)
        if not memory.is_sanitized:
            self.assertLess(growth, GROWTH_KILOBYTES_MAX)

    def upload(self, is_chunked):
        received = []

        def serve(connection):
            while True:
                head, rest = connection.receive_head()
                received.append(connection.receive_body(head, rest))
                connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        proxy = self.start_proxy(static=[self.start_listener(serve)])
        client = self.connect_to(proxy)

        def move(count):
            client.socket.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\n" + framing(count, is_chunked))
            client.send_body(count, is_chunked)
            self.assertTrue(client.receive_head()[0].startswith("HTTP/1.1 200 "))
            self.assertEqual(received.pop(), count)

        self.expect_flat(proxy, move, is_chunked)

    def download(self, is_chunked):
        def serve(connection):
            while True:
                head, _ = connection.receive_head()
                count = int(head.split("/", 1)[1].split(" ")[0])
                connection.socket.sendall(b"HTTP/1.1 200 OK\r\n" + framing(count, is_chunked))
                connection.send_body(count, is_chunked)

        proxy = self.start_proxy(static=[self.start_listener(serve)])
        client = self.connect_to(proxy)

        def move(count):
            client.socket.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % count)
            head, rest = client.receive_head()
            self.assertTrue(head.startswith("HTTP/1.1 200 "))
            self.assertEqual(client.receive_body(head, rest), count)

        self.expect_flat(proxy, move, is_chunked)

    def test_upload_of_stated_length(self):
        self.upload(False)

    def test_upload_in_chunks(self):
        self.upload(True)

    def test_download_of_stated_length(self):
        self.download(False)

    def test_download_in_chunks(self):
        self.download(True)


class BrokenTest(BodiesTest):
    """Long bodies that are broken off in the middle, with much of them on its way: the other side sees that, and those who
    come next, over the same worker's pipe, get what is theirs."""

    COUNT, ROUNDS = 16 * MEGABYTE, 6

    def start_backend(self):
        """/COUNT is answered with so much; /COUNT/broken with half of that, and a reset. What is uploaded is compared."""
        self.cut = []

        def serve(connection):
            while True:
                head, rest = connection.receive_head()
                _, count, *how = head.split(" ")[1].split("/")
                try:
                    connection.receive_body(head, rest)
                except ConnectionError:
                    self.cut.append(head)
                    raise
                connection.socket.sendall(b"HTTP/1.1 200 OK\r\n" + framing(int(count), False))
                connection.send_body(int(count) // 2 if how else int(count), False)
                if how:
                    linger = struct.pack("ii", 1, 0)
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return

        return self.start_proxy("--set", "workers=1", static=[self.start_listener(serve)])

    def get(self, proxy, path, buffer_bytes=None):
        client = self.connect_to(proxy, buffer_bytes)
        client.socket.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        return client, client.receive_head()

    def expect_whole(self, proxy):
        """Of a client that takes its time, too."""
        path = b"/%d" % self.COUNT
        slow, (slow_head, slow_rest) = self.get(proxy, path, 16384)
        quick, (head, rest) = self.get(proxy, path)
        self.assertEqual(quick.receive_body(head, rest), self.COUNT)
        self.assertEqual(slow.receive_body(slow_head, slow_rest), self.COUNT)

    def test_backends_that_reset(self):
        proxy = self.start_backend()
        for _ in range(self.ROUNDS):
            client, (head, rest) = self.get(proxy, b"/%d/broken" % self.COUNT)
            with self.assertRaises(ConnectionError):
                client.receive_body(head, rest)
        self.expect_whole(proxy)
        self.assertEqual(proxy.metric("srsd_proxy_requests_active"), 0)

    def test_a_byte_that_is_sent_as_urgent_holds_nothing_up(self):
        proxy = self.start_backend()
        for _ in range(self.ROUNDS):
            client = self.connect_to(proxy)
            client.socket.sendall(b"PUT /0 HTTP/1.1\r\nHost: a\r\n" + framing(self.COUNT, False))
            left = self.COUNT
            for piece in pieces(self.COUNT):
                left -= len(piece)
                client.socket.sendall(piece)
                if self.COUNT // 2 < left < self.COUNT // 2 + 2 * len(piece):
                    client.socket.send(b"!", socket.MSG_OOB)
            self.assertTrue(client.receive_head()[0].startswith("HTTP/1.1 200 "))

    def test_clients_that_leave(self):
        proxy = self.start_backend()
        for turn in range(self.ROUNDS):
            client, _ = self.get(proxy, b"/%d" % self.COUNT, 16384 if turn % 2 else None)
            client.socket.close()
            client = self.connect_to(proxy)
            client.socket.sendall(b"PUT /0 HTTP/1.1\r\nHost: a\r\n" + framing(self.COUNT, False))
            client.send_body(self.COUNT // 2, False)
            client.socket.close()
        product.wait_until(lambda: len(self.cut) == self.ROUNDS, "each backend saw that its upload was cut")
        self.expect_whole(proxy)
        product.wait_until(lambda: proxy.metric("srsd_proxy_requests_active") == 0, "nothing is under way")


class Flood(threading.Thread):
    """Sends on many sockets, the same over and over, until none takes more."""

    def __init__(self):
        super().__init__(daemon=True)
        self._selector, self._lock = selectors.DefaultSelector(), threading.Lock()
        self.sent, self._is_over = {}, False

    def add(self, connected, head, block=PATTERN):
        """Send `head` once, and `block` again and again."""
        connected.setblocking(False)
        self.sent[connected] = connected.sendmsg([head, block]) - len(head)
        with self._lock:
            self._selector.register(connected, selectors.EVENT_WRITE, memoryview(block))

    def run(self):
        while not self._is_over:
            with self._lock:
                ready = self._selector.select(0)
            for key, _ in ready:
                try:
                    self.sent[key.fileobj] += key.fileobj.send(key.data[self.sent[key.fileobj] % len(key.data):])
                except BlockingIOError:
                    pass
                except OSError:
                    with self._lock:
                        self._selector.unregister(key.fileobj)
            time.sleep(0 if ready else 0.02)

    def wait_until_stuck(self, count, progress):
        """Wait until there are `count`, and for a second none has taken anything nor `progress()` changed. Returns what
        each took."""
        product.wait_until(lambda: len(self.sent) >= count, f"{count} connections")
        last, since = None, time.monotonic()
        deadline = since + product.DEADLINE_SECONDS
        while time.monotonic() - since < 1:
            assert time.monotonic() < deadline, "it never gets stuck"
            time.sleep(0.05)
            if (now := (dict(self.sent), progress())) != last:
                last, since = now, time.monotonic()
        return list(last[0].values())

    def close(self):
        self._is_over = True
        self.join(product.DEADLINE_SECONDS)
        self._selector.close()


def kernel_kilobytes_max():
    """What the kernel's buffers take between the side that sends and the one that takes nothing: those of the two sockets
    of the proxy and of the one that sends. They are given somewhat more than their largest size."""
    largest = {}
    for name in ("rmem", "wmem"):
        with open(f"/proc/sys/net/ipv4/tcp_{name}", encoding="ascii") as file:
            largest[name] = int(file.read().split()[2]) // KILOBYTE
    return 3 * (largest["rmem"] + 2 * largest["wmem"])


class PressureTest(BodiesTest):
    """Sides that take nothing: the other side's bytes stay with it, but for what the kernel's buffers take and what the
    proxy holds itself, which is bounded by what docs/operations.md says."""

    # Enough that what belongs to none of them hardly counts, few enough that tests side by side leave the kernel memory
    # for its sockets (tcp_mem): it resets connections where that is over.
    CONNECTIONS = 50
    SMALL_BUFFER = 16384
    OBJECTS_KILOBYTES = 8

    # Nobody is given up while it is measured.
    PATIENT = {name: "10m" for name in ("connect", "request_body", "response_head", "response_body")}

    def setUp(self):
        self.flood, self.is_over = Flood(), threading.Event()
        self.flood.start()
        self.addCleanup(self.flood.close)
        self.addCleanup(self.is_over.set)

    def start_backend_that(self, serve, buffer_bytes=None):
        """A proxy in front of a backend that answers /small, closing, and has `serve` do as it likes with all else. Returns
        the proxy, and what memory it has before anything happens."""
        def answer_or_serve(connection):
            head, _ = connection.receive_head()
            if head.startswith("GET /small"):
                connection.socket.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            else:
                serve(connection)

        proxy = self.start_proxy(static=[self.start_listener(answer_or_serve, buffer_bytes)], timeouts=self.PATIENT)
        self.assertEqual(proxy.ask("/small").status, 200)
        return proxy, Memory(proxy.process.pid).anonymous_kilobytes()

    def wait_to_the_end(self, _connection):
        self.is_over.wait(2 * product.DEADLINE_SECONDS)

    def expect_bounds(self, proxy, before, held_kilobytes_max, is_serving=True, count=CONNECTIONS):
        """All are stuck: each moved a bounded number of bytes, and costs the proxy a bounded amount of memory.
        `is_serving`: others are served meanwhile."""
        memory = Memory(proxy.process.pid)
        moved = self.flood.wait_until_stuck(count, lambda: [
            proxy.metric(f"srsd_proxy_client_{way}_bytes_total") for way in ("sent", "received")])
        # Each worker's own buffer, of one receive, is filled for the first time meanwhile.
        own = proxy.metric("srsd_proxy_workers") * RECEIVE_KILOBYTES
        each = (memory.anonymous_kilobytes() - before - own) / count
        print(f"{self.id().split('.')[-1]}: took {min(moved) // KILOBYTE} to {max(moved) // KILOBYTE} KB each, "
              f"{each:.0f} KB of memory each, at most {held_kilobytes_max}")
        self.assertLess(max(moved) / KILOBYTE, held_kilobytes_max + kernel_kilobytes_max())
        self.assertEqual(proxy.metric("srsd_proxy_requests_active"), count)
        if not memory.is_sanitized:
            self.assertLess(each, held_kilobytes_max)
        if is_serving:
            self.assertEqual(proxy.ask("/small").status, 200)

    def test_clients_that_take_nothing(self):
        proxy, before = self.start_backend_that(lambda connection: self.flood.add(
            connection.socket.dup(), b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"))
        for _ in range(self.CONNECTIONS):
            self.connect_to(proxy, self.SMALL_BUFFER).socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.expect_bounds(proxy, before, RECEIVE_KILOBYTES + HEAD_KILOBYTES + self.OBJECTS_KILOBYTES)

    def test_backends_that_take_nothing(self):
        proxy, before = self.start_backend_that(self.wait_to_the_end, self.SMALL_BUFFER)
        for _ in range(self.CONNECTIONS):
            self.flood.add(self.connect_to(proxy).socket,
                           b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        self.expect_bounds(
            proxy, before, 2 * HELD_KILOBYTES + RECEIVE_KILOBYTES + HEAD_KILOBYTES + self.OBJECTS_KILOBYTES)

    def test_bodies_that_wait_for_a_connection(self):
        """Nobody accepts it: what came by then is held, and no more."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listener.close)
        for _ in range(4):  # its queue is full: a connection is neither accepted nor refused
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        time.sleep(0.2)
        proxy = self.start_proxy(static=["%s:%d" % listener.getsockname()], timeouts=self.PATIENT)
        before = Memory(proxy.process.pid).anonymous_kilobytes()
        for _ in range(self.CONNECTIONS):
            self.flood.add(self.connect_to(proxy).socket,
                           b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        self.expect_bounds(proxy, before, HELD_KILOBYTES + RECEIVE_KILOBYTES + HEAD_KILOBYTES + self.OBJECTS_KILOBYTES,
                           is_serving=False)

    def test_requests_sent_ahead_of_an_answer(self):
        """They wait with their client, but for one receive."""
        proxy, before = self.start_backend_that(self.wait_to_the_end)
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        for _ in range(self.CONNECTIONS):
            self.flood.add(self.connect_to(proxy).socket, b"", request * 10000)
        self.expect_bounds(proxy, before, RECEIVE_KILOBYTES + HEAD_KILOBYTES + self.OBJECTS_KILOBYTES)

    def test_informational_responses_that_nobody_takes(self):
        """Each grows on its way; what is held of them does not. Fewer, for it takes thousands to fill a socket."""
        count = 10
        hint = b"HTTP/1.1 103 E\r\n\r\n"
        proxy, before = self.start_backend_that(
            lambda connection: self.flood.add(connection.socket.dup(), b"", hint * 20000))
        for _ in range(count):
            self.connect_to(proxy, self.SMALL_BUFFER).socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.expect_bounds(proxy, before, RECEIVE_KILOBYTES + HEAD_KILOBYTES + self.OBJECTS_KILOBYTES, count=count)


if __name__ == "__main__":
    unittest.main()

"""capture - a backend that keeps the very bytes the proxy forwards, and holds them to the narrowest form of HTTP/1.1.

The proxy writes heads and framing itself, so there is one way to write each: anything else is an error here, be it legal.
"""

import contextlib
import re
import selectors
import socket
import threading
import time

import product
from servers import Record

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\*|/[!-~]*) HTTP/1\.1")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")
CHUNK_SIZE = re.compile(rb"[1-9a-f][0-9a-f]{0,7}")
# Fields that end at the proxy.
NOT_FORWARDED = (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"http2-settings")


class NotStrict(Exception):
    """What was forwarded is not in the one form that it should be in."""


class Forwarded(Record):
    """One request out of the bytes that the proxy forwarded."""

    def __init__(self, head, body, raw):
        lines = head.split(b"\r\n")
        start = REQUEST_LINE.fullmatch(lines[0])
        if start is None:
            raise NotStrict(f"request line {lines[0]!r:.200}")
        fields = []
        for line in lines[1:]:
            field = FIELD_LINE.fullmatch(line)
            if field is None:
                raise NotStrict(f"field line {line!r:.200}")
            fields.append(field.groups())
        super().__init__(start[1], start[2], body, fields)
        self.head, self.raw = head, raw


def read_head(data):
    """A request out of the front of `data`: (head, framing, where the body begins), or None while it is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    request = Forwarded(data[:end], b"", b"")
    if len(request.values(b"host")) != 1:
        raise NotStrict(f"{len(request.values(b'host'))} Host fields")
    for name in NOT_FORWARDED:
        if request.values(name):
            raise NotStrict(f"{name.decode()} is forwarded")
    framing = request.framing
    if framing not in ("none", "chunked") and not LENGTH.fullmatch(framing.encode().removeprefix(b"length ")):
        raise NotStrict(f"framing {framing!r}")
    return data[:end], framing, end + 4


def read_chunks(data, at):
    """Chunks without extensions and trailers: (payload, where the message ends), or None while it is not complete."""
    body = bytearray()
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = data[at:end]
        if size == b"0":
            if len(data) < end + 4:
                return None
            if data[end + 2:end + 4] != b"\r\n":
                raise NotStrict(f"last chunk {data[at:end + 20]!r}")
            return bytes(body), end + 4
        if not CHUNK_SIZE.fullmatch(size):
            raise NotStrict(f"chunk size {size!r:.80}")
        at = end + 2 + int(size, 16) + 2
        if len(data) < at:
            return None
        if data[at - 2:at] != b"\r\n":
            raise NotStrict(f"end of chunk {data[at - 2:at]!r}")
        body += data[end + 2:at - 2]


def read_request(data):
    """The request at the front of `data`, or None while it is not complete."""
    head = read_head(data)
    if head is None:
        return None
    text, framing, at = head
    if framing == "chunked":
        chunks = read_chunks(data, at)
        if chunks is None:
            return None
        body, end = chunks
    else:
        end = at + (int(framing.split()[1]) if framing != "none" else 0)
        if len(data) < end:
            return None
        body = data[at:end]
    return Forwarded(text, body, data[:end])


class Transcript:
    """What came over one connection during one case: requests, and the bytes of one that did not become complete."""

    def __init__(self):
        self.requests = []
        self.rest = b""

    def parts(self):
        """Each of the requests on its own."""
        for request in self.requests:
            part = Transcript()
            part.requests = [request]
            yield part
        if self.rest:
            part = Transcript()
            part.rest = self.rest
            yield part

    @property
    def raw(self):
        return b"".join(request.raw for request in self.requests) + self.rest


class Connection:
    def __init__(self, connection):
        self.socket = connection
        self.buffer = bytearray()
        self.transcript = Transcript()


class Capture:
    """The backend: a thread that answers each request with an empty 200 as soon as it is complete."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", product.free_port()), backlog=128)
        self.name = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.errors = []
        self._transcripts = []
        self._connections = set()
        self._sentinels = set()
        self._seen = threading.Condition()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._stop_reader, self._stop_writer = socket.socketpair()
        self._selector.register(self._stop_reader, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _are_all_whole(self):
        return not any(connection.buffer for connection in self._connections)

    def _give_up_unfinished(self):
        for connection in [connection for connection in self._connections if connection.buffer]:
            self.errors.append(f"a connection stays in the middle of a request: {bytes(connection.buffer)!r:.200}")
            self._close(connection)

    def _run(self):
        arrived, deadline = set(), 0
        while True:
            # A sentinel tells of what was sent before it, so all that is there is read before it counts. The end of a
            # connection comes late where the kernel is short of memory for its sockets.
            events = self._selector.select(None if not arrived else 0 if self._are_all_whole() else 0.05)
            if not arrived:
                deadline = time.monotonic() + product.DEADLINE_SECONDS / 2
            if arrived and not events and (self._are_all_whole() or time.monotonic() > deadline):
                self._give_up_unfinished()
                with self._seen:
                    self._sentinels |= arrived
                    self._seen.notify_all()
                arrived = set()
            for key, _ in events:
                if key.fileobj is self._stop_reader:
                    return
                if key.fileobj is self.listener:
                    accepted = self.listener.accept()[0]
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connection = Connection(accepted)
                    self._connections.add(connection)
                    self._selector.register(accepted, selectors.EVENT_READ, connection)
                else:
                    arrived |= self._receive(key.data)

    def _receive(self, connection):
        """Returns the targets of sentinels that came."""
        try:
            data = connection.socket.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return set()
        connection.buffer += data
        sentinels = set()
        try:
            while connection.buffer and (request := read_request(bytes(connection.buffer))) is not None:
                del connection.buffer[:len(request.raw)]
                if request.is_sentinel():
                    sentinels.add(request.target)
                else:
                    self._keep(connection).requests.append(request)
                connection.socket.sendall(ANSWER)
        except NotStrict as error:
            self.errors.append(f"forwarded: {error}")
            self._close(connection)
        except OSError:
            self._close(connection)
        return sentinels

    def _keep(self, connection):
        if connection.transcript not in self._transcripts:
            connection.transcript = Transcript()
            self._transcripts.append(connection.transcript)
        return connection.transcript

    def _close(self, connection):
        if connection.buffer:
            self._keep(connection).rest = bytes(connection.buffer)
        self._connections.remove(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def take(self, sentinel):
        """Wait for the sentinel with this target. Returns what came since the last call: transcripts, errors."""
        with self._seen:
            if not self._seen.wait_for(lambda: sentinel in self._sentinels, product.DEADLINE_SECONDS):
                raise AssertionError(f"the proxy does not forward {sentinel!r}")
            self._sentinels.clear()
            transcripts, errors = self._transcripts, self.errors
            self._transcripts, self.errors = [], []
        return transcripts, errors

    def close(self):
        self._stop_writer.send(b"x")
        self._thread.join(product.DEADLINE_SECONDS)
        for key in list(self._selector.get_map().values()):
            with contextlib.suppress(OSError):
                key.fileobj.close()
        self._selector.close()
        self._stop_writer.close()

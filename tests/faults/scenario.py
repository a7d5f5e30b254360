"""scenario - the clients whose story is told again and again, while one call of the proxy after the other fails.
Each step is a client. What it has to get when nothing fails it gets then; when something does, a clean error or a
visibly broken connection will do as well, but never a wrong body, a cut one that looks whole, or silence."""

import contextlib
import itertools
import socket
import threading
import time

from messages import LARGE_BYTES, Cut, Reader, Wrong, chunked, digest, pattern

# Far longer than anything takes here, and shorter than every time-out of the proxy under test.
HANG_SECONDS = 40

# What the proxy may say of a fault. Not 4xx, for the client did nothing wrong; not 504, for that would be a hang.
ERRORS = (500, 502, 503)

# Of an answer that did not come: its connection was closed while it was idle, or just as it was asked.
LET_GO = "let go while idle"

numbers = itertools.count(1)


class Hang(Exception):
    pass


class Client:
    """A connection to the proxy, and what is expected on it."""

    def __init__(self, story, receive_buffer=None, port=None):
        self.story = story
        self.socket = socket.socket()
        self.socket.settimeout(HANG_SECONDS)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", port or story.port))
        self.reader = Reader(self.socket)
        self.is_over = False  # no more can come on this connection
        self.has_rested = False  # it was answered before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """A connection that breaks meanwhile tells so when it is read."""
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            self.socket.sendall(data)

    def request(self, path, method="GET", fields=b"", body=None, version=b"1.1"):
        """The bytes of a request, and its name."""
        name = f"{path.strip('/')}-{next(numbers)}"
        head = b"%s %s HTTP/%s\r\nHost: a\r\nX-Id: %s\r\n%s" % (
            method.encode(), path.encode(), version, name.encode(), fields)
        if body is not None:
            head += b"X-Digest: %s\r\n" % digest(body).encode()
            if b"chunked" not in fields:
                head += b"Content-Length: %d\r\n" % len(body)
        return head + b"\r\n", name

    def expect(self, name, body, status=200, method="GET", informational=()):
        """Read a response; judge it. Returns it, or None when it did not come."""
        if self.is_over:
            return None
        try:
            answer = self.reader.response(method)
        except Cut as cut:
            self.is_over = True
            is_let_go = self.has_rested and not self.reader.held
            self.story.bend(name, LET_GO if is_let_go else f"cut: {cut}")
            return None
        except TimeoutError:
            raise Hang(f"{name}: nothing comes; so far {self.reader.held[-100:]!r}") from None
        self.is_over = answer.is_last
        self.has_rested = True
        if answer.status != status and answer.status in ERRORS:
            if "text/plain" not in answer.fields.get("content-type", "") or (method != "HEAD" and not answer.body):
                raise Wrong(f"{name}: {answer.status} does not say what is wrong")
            self.story.bend(name, f"{answer.status} {answer.body!r}")
        elif answer.status != status:
            raise Wrong(f"{name}: {answer.first} {answer.body[:200]!r}")
        elif body is not None and answer.body != body:
            raise Wrong(f"{name}: a wrong body of {len(answer.body)} bytes instead of {len(body)}: "
                        f"{answer.body[:60]!r} ... {answer.body[-60:]!r}")
        elif not set(answer.informational) <= set(informational):
            raise Wrong(f"{name}: before the answer came {answer.informational}")
        return answer

    def expect_end(self, name):
        """Nothing more may come but the connection's end."""
        try:
            if self.socket.recv(1):
                raise Wrong(f"{name}: bytes behind the last answer")
        except ConnectionError:
            pass
        except TimeoutError:
            raise Hang(f"{name}: the connection is not closed") from None

    def get(self, path, size=200, **options):
        if self.is_over:
            return None
        head, name = self.request(path, **options)
        self.send(head)
        return self.expect(name, pattern(name, size))


class Story:
    """One run of the scenario. `bent` tells of answers that a fault has changed."""

    def __init__(self, port, announced_port):
        self.port = port
        self.announced_port = announced_port  # where connections begin with a PROXY header
        self.bent = []
        self.failures = []

    def bend(self, name, how):
        self.bent.append(f"{name}: {how}")

    def run(self):
        """Raises Wrong or Hang."""
        slow = self._start_slow_reader()
        upload = threading.Thread(target=self._run_step, args=(self.large_upload,), daemon=True)
        upload.start()
        for step in STEPS:
            step(self)
        self._finish_slow_reader(*slow)
        upload.join(HANG_SECONDS * 2)
        if upload.is_alive():
            raise Hang("the upload does not end")
        if self.failures:
            raise self.failures[0]

    def _run_step(self, step):
        try:
            step()
        except (Wrong, Hang, OSError) as error:
            self.failures.append(error)

    def client(self, **options):
        return Client(self, **options)

    # The steps, each a client.

    def _start_slow_reader(self):
        client = self.client(receive_buffer=16384)
        head, name = client.request("/large")
        client.send(head)
        return client, name

    def _finish_slow_reader(self, client, name):
        with client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            client.expect(name, pattern(name, LARGE_BYTES))

    def large_upload(self):
        with self.client() as client:
            body = pattern("upload", LARGE_BYTES)
            head, name = client.request("/slow-upload", method="PUT", body=body)
            client.send(head + body)
            client.expect(name, pattern(name, 200))

    def keep_alive(self):
        with self.client() as client:
            client.get("/plain")
            client.get("/pieces", 900)
            client.get("/plain")

    def pipelined(self):
        with self.client() as client:
            requests = [client.request(path) for path in ("/plain", "/chunked", "/plain")]
            client.send(b"".join(head for head, _ in requests))
            for (_, name), size in zip(requests, (200, 300000, 200)):
                client.expect(name, pattern(name, size))

    def bodies(self):
        with self.client() as client:
            for fields, repeat in ((b"", 1), (b"Transfer-Encoding: chunked\r\n", 1)):
                if client.is_over:
                    return
                body = pattern("body", 20000 * repeat)
                head, name = client.request("/echo", method="POST", fields=fields, body=body)
                client.send(head)
                client.send(chunked(body, 7001) if fields else body)
                client.expect(name, body)

    def repeatable_body(self):
        with self.client() as client:
            body = pattern("put", 30000)
            head, name = client.request("/leaves-first", method="PUT", body=body)
            client.send(head + body)
            client.expect(name, pattern(name, 200))

    def head_in_pieces(self):
        """Longer than what is held without an allocation."""
        with self.client() as client:
            head, name = client.request("/plain", fields=b"".join(b"X-%d: %s\r\n" % (i, b"v" * 500) for i in range(12)))
            for at in range(0, len(head), 2500):
                client.send(head[at:at + 2500])
                threading.Event().wait(0.001)
            client.expect(name, pattern(name, 200))

    def backend_leaves(self):
        with self.client() as client:
            client.get("/leaves-first")
            client.get("/last")
            client.get("/plain")

    def informational(self):
        with self.client() as client:
            head, name = client.request("/hint")
            client.send(head)
            client.expect(name, pattern(name, 200), informational=(103,))

    def expecting(self):
        with self.client() as client:
            body = pattern("expect", 5000)
            head, name = client.request("/echo", method="POST", fields=b"Expect: 100-continue\r\n", body=body)
            client.send(head)
            client.send(body)
            client.expect(name, body, informational=(100,))

    def without_body(self):
        with self.client() as client:
            head, name = client.request("/head", method="HEAD")
            client.send(head)
            client.expect(name, b"", method="HEAD")
            if not client.is_over:
                head, name = client.request("/nothing")
                client.send(head)
                client.expect(name, b"", status=204)

    def framed_anew(self):
        """HTTP/1.0, for which the connection's end is the body's; and a backend of that kind."""
        with self.client() as client:
            client.get("/until-close", 30000)
        with self.client() as client:
            head, name = client.request("/chunked", version=b"1.0")
            client.send(head)
            client.expect(name, pattern(name, 300000))

    def refused(self):
        for line, status in ((b"GET / HTTP/1.1\r\nHost: a\r\nBad Field: 1\r\n\r\n" + b"x" * 3000, 400),
                             (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404)):
            with self.client() as client:
                client.send(line)
                client.expect(f"refused-{status}", None, status=status)
                if status == 400 and client.is_over:
                    client.expect_end("refused")

    def answered_early(self):
        with self.client() as client:
            body = pattern("early", 60000)
            head, name = client.request("/early", method="POST", body=body)
            client.send(head + body[:30000])
            client.expect(name, pattern(name, 200), status=403)

    def broken_backends(self):
        for path, is_cut in (("/nonsense", False), ("/refused", False), ("/cut", True)):
            with self.client() as client:
                head, name = client.request(path)
                client.send(head)
                if not is_cut:
                    client.expect(name, None, status=502)
                elif client.expect(name, b"never the whole") is None:
                    self.bent = [line for line in self.bent if not line.startswith(name)]

    def leaving(self):
        with self.client() as client:
            client.send(client.request("/large")[0])
        with self.client() as client:
            client.send(client.request("/echo", method="POST", fields=b"Content-Length: 1000\r\n")[0] + b"x" * 500)

    def half_closed(self):
        with self.client() as client:
            head, name = client.request("/plain")
            client.send(head)
            with contextlib.suppress(OSError):
                client.socket.shutdown(socket.SHUT_WR)
            client.expect(name, pattern(name, 200))

    def tunnelled(self):
        with self.client() as client:
            head, name = client.request("/tunnel", fields=b"Upgrade: echo\r\nConnection: upgrade\r\n")
            client.send(head)
            try:
                answer = client.reader.head()
                if answer.status != 101:
                    client.reader.body(answer, ends_at_close=True)
                    if answer.status not in ERRORS:
                        raise Wrong(f"{name}: {answer.first}")
                    self.bend(name, answer.first)
                    return
                data = pattern(name, 50000)
                client.send(data)
                client.socket.shutdown(socket.SHUT_WR)
                echo = client.reader.rest()
                if echo != data:
                    raise Wrong(f"{name}: {len(echo)} bytes of {len(data)} came back")
            except TimeoutError:
                raise Hang(f"{name}: {client.reader.held[-100:]!r}") from None
            except (Cut, OSError) as cut:
                self.bend(name, f"cut: {cut}")

    def announced(self):
        with self.client(port=self.announced_port) as client:
            client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n")
            client.get("/plain")
        with self.client(port=self.announced_port) as client:
            client.send(b"NO PROXY\r\n")
            client.expect_end("unannounced")

    def afterwards(self):
        """Nothing fails any more: all is well."""
        self.bent = []
        with self.client() as client:
            client.get("/plain")
            client.get("/chunked", 300000)
        if self.bent:
            raise Wrong(f"afterwards: {self.bent}")


STEPS = (Story.keep_alive, Story.pipelined, Story.bodies, Story.repeatable_body, Story.head_in_pieces,
         Story.backend_leaves, Story.informational, Story.expecting, Story.without_body, Story.framed_anew,
         Story.refused, Story.answered_early, Story.broken_backends, Story.leaving, Story.half_closed,
         Story.tunnelled, Story.announced)


class Long(Story):
    """Large bodies alone, each way and both, whole and broken off."""

    def run(self):
        slow = self._start_slow_reader()
        self.large_upload()
        with self.client() as client:
            client.send(client.request("/large")[0])
            with contextlib.suppress(OSError):
                client.socket.recv(100000)
        with self.client() as client:
            client.send(client.request("/nothing", method="POST", fields=b"Content-Length: 3000000\r\n")[0] + b"x" * 500000)
        self._finish_slow_reader(*slow)


class Curious(Story):
    """Requests that are traced: they ask why, and each is told of in the access log."""

    WHY = b"Srsd-Explain: 1\r\n"

    def run(self):
        with self.client() as client:
            for path in ("/plain", "/plain", "/leaves-first"):
                client.get(path, fields=self.WHY)
        for path, status in (("/nowhere", 404), ("/refused", 502)):
            with self.client() as client:
                head, name = client.request(path, fields=self.WHY)
                client.send(head)
                client.expect(name, None, status=status)
        self.tunnelled()
        with self.client() as client:
            client.send(b"GET /plain HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            client.expect("two hosts", None, status=400)


class Waiting(Story):
    """Clients that stay, and say nothing: each is let go after a time-out."""

    PATIENCE_SECONDS = 0.25  # the proxy's, with clients and backends
    STALLS_MAX = 20

    FULL = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
    SAID = (
        b"",
        FULL,
        FULL[:20],
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello",
        b"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /stalled HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",  # which it does not read
    )

    def run(self):
        clients = [self.client(receive_buffer=16384) for _ in self.SAID]
        for client, said in zip(clients, self.SAID):
            client.send(said)
        for client, said in zip(clients, self.SAID):
            with client:
                self._read_to_the_end(client, said.split(b" HTTP")[0].decode() or "silence")

    def afterwards(self):
        """Where the machine stalled for longer than the proxy's patience it is the machine's fault: once more."""
        for stalls in itertools.count(1):
            begun = time.monotonic()
            try:
                return super().afterwards()
            except Wrong:
                if time.monotonic() - begun < self.PATIENCE_SECONDS or stalls == self.STALLS_MAX:
                    raise

    def _read_to_the_end(self, client, name):
        answer = None
        try:
            answer = client.reader.response()
            if answer.status not in (200, 408, 504, *ERRORS):
                raise Wrong(f"{name}: {answer.first}")
            client.expect_end(name)
        except Cut:
            pass
        except TimeoutError:
            raise Hang(f"{name}: no end, {answer}") from None

"""origin - the scenario's backends, in this process: what a request's path asks for is done. They look at what the
proxy forwards: `wrongs` tells of requests that are no HTTP, of bodies that look complete and are not what the client
sent, and of a request that may not be repeated and came twice."""

import collections
import contextlib
import socket
import struct
import threading
import time

from messages import LARGE_BYTES, Cut, Reader, Wrong, chunked, digest, pattern

DEADLINE_SECONDS = 30


def reset(connection):
    """Close without a clean end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Origin:
    def __init__(self):
        self.wrongs = []
        self.seen = collections.Counter()  # by the request's X-Id
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.name = "%s:%d" % self._socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.settimeout(DEADLINE_SECONDS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = Reader(connection)
        try:
            with connection:
                while self._answer(connection, reader):
                    pass
        except (Cut, OSError):
            pass  # the proxy left: the clients are asked what they saw
        except (Wrong, ValueError, IndexError) as error:
            self.wrongs.append(f"a backend received {error}")

    def _answer(self, connection, reader):
        """One request. False: the connection is closed after it."""
        request = reader.request()
        method, path, _ = request.first.split(" ")
        name = request.fields.get("x-id", "")
        self.seen[name] += 1
        if method == "POST" and name and self.seen[name] > 1:
            self.wrongs.append(f"{name} came twice: {request.first}")
        act = getattr(self, "do_" + path.strip("/").partition("/")[0].replace("-", "_"))
        if request.fields.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if path == "/slow-upload":
            time.sleep(0.02)
        if path != "/early":
            reader.body(request)
            if "x-digest" in request.fields and digest(request.body) != request.fields["x-digest"]:
                self.wrongs.append(f"{name}: {len(request.body)} bytes of a body are not what the client sent")
        return act(connection, name, request)

    # What paths ask for. The body tells whose answer it is.

    def do_plain(self, connection, name, _):
        body = pattern(name, 200)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        return True

    do_slow_upload = do_plain

    def do_echo(self, connection, name, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(request.body, 3001))
        return True

    def do_head(self, connection, name, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
        return True

    def do_large(self, connection, name, _):
        body = pattern(name, LARGE_BYTES)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    def do_pieces(self, connection, name, _):
        """Head and body in several pieces."""
        body = pattern(name, 900)
        for piece in (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", b"Transfer-Encoding: chunked\r\n\r\n12", b"c\r\n" + body[:300],
                      b"\r\n258\r\n", body[300:], b"\r\n0\r\n\r\n"):
            connection.sendall(piece)
            time.sleep(0.001)
        return True

    def do_until_close(self, connection, name, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + pattern(name, 30000))
        return False

    def do_chunked(self, connection, name, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(pattern(name, 300000)))
        return True

    def do_hint(self, connection, name, request):
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        return self.do_plain(connection, name, request)

    def do_nothing(self, connection, name, _):
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        return True

    def do_leaves_first(self, connection, name, request):
        """The first that asks gets no answer."""
        return self.seen[name] > 1 and self.do_plain(connection, name, request)

    def do_last(self, connection, name, request):
        """Answers, and closes without having said so: the pooled connection dies."""
        self.do_plain(connection, name, request)
        return False

    def do_cut(self, connection, name, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.002)
        reset(connection)
        return False

    def do_early(self, connection, name, _):
        """Answers before the body has come, and reads no more."""
        body = pattern(name, 200)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1 << 20)
        return False

    def do_tunnel(self, connection, *_):
        """Gives back what comes, to the end."""
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
        while received := connection.recv(65536):
            connection.sendall(received)
        return False

    def do_silent(self, connection, *_):
        """Never answers."""
        connection.recv(1)
        return False

    def do_stalled(self, connection, *_):
        """Never ends its answer."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
        connection.recv(1)
        return False

    def do_nonsense(self, connection, name, _):
        connection.sendall(b"NONSENSE\r\n\r\n")
        return False

"""sockets - for the tests that need bare sockets on either side of the proxy: exact bytes, ends, resets."""

import contextlib
import socket
import struct
import threading

import product
from proxy import ProxyTest


class Origin:
    """A listening socket whose connections are handed to a function, each in a thread of its own."""

    def __init__(self, serve, receive_buffer=None):
        self.socket = socket.create_server(("127.0.0.1", product.free_port()), backlog=1024)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.name = "%s:%d" % self.socket.getsockname()
        self._serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                connection.settimeout(product.DEADLINE_SECONDS)
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError), connection:
            self._serve(connection)

    def close(self):
        self.socket.close()


def receive_head(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            break
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


class SocketsTest(ProxyTest):
    def settings(self, **changes):
        """Each connection that an origin gets is the test's: nobody probes."""
        return super().settings(**{"health": {"probe": "off"}, **changes})

    def start_origin(self, *arguments, **options):
        origin = Origin(*arguments, **options)
        self.addCleanup(origin.close)
        return origin

    def connect_to(self, proxy, receive_buffer=None):
        client = socket.socket()
        self.addCleanup(client.close)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(product.DEADLINE_SECONDS)
        client.connect(("127.0.0.1", proxy.port))
        return client


def reset(connection):
    """Close so that the other side sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

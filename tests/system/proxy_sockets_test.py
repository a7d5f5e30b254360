#!/usr/bin/python3
"""What takes bare sockets to see: exact bytes, back-pressure, connections that are never accepted, many clients."""

import contextlib
import selectors
import socket
import struct
import threading
import time
import unittest

import product
from sockets import Origin, SocketsTest, receive_head

MEGABYTE = 1 << 20
# More than all socket buffers between client and backend hold together, autotuned to their largest.
LARGE_BODY = 96 * MEGABYTE


class BytesTest(SocketsTest):
    def test_fields_reach_the_backend_in_order_and_untouched(self):
        heads = []

        def serve(connection):
            heads.append(receive_head(connection)[0])
            connection.sendall(b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-B: \xe9\xff\r\nset-cookie: b\r\nVia: 1.1 inner\r\n"
                               b"Content-Length: 0\r\n\r\n")
            connection.recv(1)

        proxy = self.start_proxy(static=[self.start_origin(serve).name])
        client = self.connect_to(proxy)
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nCookie: a=1; b=\"2\"\r\nX-B: \xe9\t\xff  x\r\nCookie: c\r\nX-empty:\r\n"
                       b"Via: 1.0 older\r\nx-a:  spaced \t \r\nX-Request-Id: 1\r\n\r\n")
        answer, _ = receive_head(client)
        self.assertEqual(heads[0].split(b"\r\n")[0], b"GET / HTTP/1.1")
        self.assertIn(b"\r\nHost: a\r\n", heads[0])
        self.assertIn(b"\r\nCookie: a=1; b=\"2\"\r\nX-B: \xe9\t\xff  x\r\nCookie: c\r\nX-empty:\r\nVia: 1.0 older\r\nx-a:  spaced",
                      heads[0])
        self.assertIn(b"X-Request-Id: 1\r\n", heads[0])
        # A list may stand in several fields: ours is the last one.
        self.assertEqual([line for line in heads[0].split(b"\r\n") if line.lower().startswith(b"via:")],
                         [b"Via: 1.0 older", b"Via: 1.1 srsd-proxy"])
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-B: \xe9\xff\r\nset-cookie: b\r\nVia: 1.1 inner\r\n"),
                        answer)
        self.assertIn(b"\r\nVia: 1.1 srsd-proxy\r\n", answer)

    def test_a_body_of_all_bytes_in_odd_pieces(self):
        body = bytes(range(256)) * 4096

        def serve(connection):
            head, rest = receive_head(connection)
            self.assertIn(b"Transfer-Encoding: chunked", head)
            received = bytearray(rest)
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += connection.recv(65536)
            payload, at = bytearray(), 0
            while True:
                end = received.index(b"\r\n", at)
                size = int(received[at:end], 16)
                if size == 0:
                    break
                payload += received[end + 2:end + 2 + size]
                at = end + 2 + size + 2
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(payload))
            connection.sendall(payload)
            connection.recv(1)

        proxy = self.start_proxy(static=[self.start_origin(serve).name])
        client = self.connect_to(proxy)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        at, step, sent = 0, 1, bytearray()
        while at < len(body):
            piece = body[at:at + step]
            sent += b"%x\r\n%s\r\n" % (len(piece), piece)
            at += len(piece)
            step = step * 3 % 40009 + 1
        sent += b"0\r\n\r\n"
        for start in range(0, len(sent), 7919):
            client.sendall(sent[start:start + 7919])
        _, received = receive_head(client)
        while len(received) < len(body):
            more = client.recv(MEGABYTE)
            self.assertTrue(more, "cut")
            received += more
        self.assertEqual(received, body)


class BackPressureTest(SocketsTest):
    def wait_until_stuck(self, counter):
        """Wait until `counter()` has moved, and then has not for a second. Returns it."""
        product.wait_until(lambda: counter() > 0, "the first bytes are on their way")
        last, since = counter(), time.monotonic()
        while time.monotonic() - since < 1:
            time.sleep(0.05)
            if counter() != last:
                last, since = counter(), time.monotonic()
        return last

    def test_a_client_that_does_not_read_stops_the_backend(self):
        sent = [0]

        def serve(connection):
            receive_head(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BODY)
            block = b"x" * MEGABYTE
            while sent[0] < LARGE_BODY:
                sent[0] += connection.send(block)
            connection.recv(1)

        proxy = self.start_proxy(static=[self.start_origin(serve).name])
        client = self.connect_to(proxy, receive_buffer=65536)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stuck = self.wait_until_stuck(lambda: sent[0])
        self.assertLess(stuck, LARGE_BODY // 2)
        # Other clients are served meanwhile: nothing is stuck but this one.
        self.assertEqual(proxy.admin("/healthz").status, 200)
        received = len(receive_head(client)[1])
        while received < LARGE_BODY:
            more = client.recv(MEGABYTE)
            self.assertTrue(more, f"cut after {received} bytes")
            received += len(more)
        self.assertEqual(received, LARGE_BODY)

    def test_a_backend_that_does_not_read_stops_the_client(self):
        is_reading, received = threading.Event(), [0]

        def serve(connection):
            received[0] = len(receive_head(connection)[1])
            is_reading.wait(product.DEADLINE_SECONDS)
            while received[0] < LARGE_BODY:
                more = connection.recv(MEGABYTE)
                if not more:
                    return
                received[0] += len(more)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.recv(1)

        proxy = self.start_proxy(static=[self.start_origin(serve, receive_buffer=65536).name])
        client = self.connect_to(proxy)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % LARGE_BODY)
        sent, failures = [0], []

        def send():
            block = b"y" * MEGABYTE
            try:
                while sent[0] < LARGE_BODY:
                    sent[0] += client.send(block[:LARGE_BODY - sent[0]])
            except OSError as error:
                failures.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        stuck = self.wait_until_stuck(lambda: sent[0])
        self.assertLess(stuck, LARGE_BODY // 2)
        is_reading.set()
        sender.join(product.DEADLINE_SECONDS)
        self.assertEqual(failures, [])
        self.assertTrue(receive_head(client)[0].startswith(b"HTTP/1.1 200"))
        self.assertEqual(received[0], LARGE_BODY)

    def test_a_body_that_waits_for_its_backend_is_not_late(self):
        received = [0]

        def serve(connection):
            received[0] = len(receive_head(connection)[1])
            time.sleep(3)  # the client, which has more to send, is not the one to wait for
            while received[0] < LARGE_BODY:
                received[0] += len(connection.recv(MEGABYTE))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.recv(1)

        proxy = self.start_proxy(static=[self.start_origin(serve, receive_buffer=65536).name],
                                 timeouts={"request_body": "1s"})
        client = self.connect_to(proxy)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % LARGE_BODY)
        client.sendall(b"y" * LARGE_BODY)
        self.assertTrue(receive_head(client)[0].startswith(b"HTTP/1.1 200"))
        self.assertEqual(received[0], LARGE_BODY)

    def test_a_client_that_does_not_read_stops_informational_responses(self):
        sent, hint = [0], b"HTTP/1.1 103 Early Hints\r\nLink: <" + b"x" * 8000 + b">\r\n\r\n"

        def serve(connection):
            receive_head(connection)
            while sent[0] < LARGE_BODY:
                connection.sendall(hint)
                sent[0] += len(hint)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")
            connection.recv(1)

        proxy = self.start_proxy(static=[self.start_origin(serve).name])
        client = self.connect_to(proxy, receive_buffer=65536)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertLess(self.wait_until_stuck(lambda: sent[0]), LARGE_BODY // 2)
        received, end = b"", b""
        while not end.endswith(b"\r\n\r\nlast"):
            received = client.recv(MEGABYTE)
            self.assertTrue(received, "cut")
            end = end[-100:] + received
        self.assertIn(b"HTTP/1.1 200 OK\r\n", end)

    def test_a_client_that_never_reads_is_given_up(self):
        closed = threading.Event()

        def serve(connection):
            receive_head(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BODY)
            try:
                connection.sendall(b"x" * LARGE_BODY)
            except OSError:
                closed.set()

        proxy = self.start_proxy(static=[self.start_origin(serve).name], timeouts={"response_body": "1s"})
        client = self.connect_to(proxy, receive_buffer=65536)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(closed.wait(product.DEADLINE_SECONDS), "the backend's connection is closed as well")
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0, "the client's is closed")


class ConnectTest(SocketsTest):
    def start_full(self):
        """An address where connections are neither accepted nor refused: the queue of its listener is full."""
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        time.sleep(0.2)
        return "%s:%d" % listener.getsockname()

    def test_a_connection_that_is_never_accepted_is_504(self):
        proxy = self.start_proxy(static=[self.start_full()], timeouts={"connect": "300ms"})
        for method, body in (("GET", None), ("POST", b"order")):
            answer = proxy.ask(method=method, body=body)
            self.assertEqual(answer.status, 504)
            self.assertIn("did not accept the connection in time", answer.text)

    def test_another_backend_is_tried_after_that(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[self.start_full(), backend.name], timeouts={"connect": "200ms"})
        for _ in range(10):  # half of them begin with the one that does not answer
            self.assertEqual(proxy.ask(method="POST", body=b"order" * 1000).served_by, backend.name)
        product.wait_until(lambda: proxy.metric("srsd_proxy_retries_total") > 0 or proxy.ask().status != 200,
                           "one began there")


    def test_a_client_that_leaves_meanwhile(self):
        proxy = self.start_proxy(static=[self.start_full()], timeouts={"connect": "10m"})
        for body in (b"", b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 5\r\n\r\nhe"):
            client = self.connect_to(proxy)
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + (body or b"\r\n"))
            product.wait_until(lambda: proxy.metric("srsd_proxy_upstream_connections") == 1, "it is being connected")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            for metric in ("upstream_connections", "requests_active", "client_connections"):
                product.wait_until(lambda: proxy.metric(f"srsd_proxy_{metric}") == 0, f"{metric} is 0")


class ManyTest(SocketsTest):
    def test_many_clients_at_once(self):
        backends = [self.start_backend() for _ in range(2)]
        proxy = self.start_proxy(static=[backend.name for backend in backends])
        selector = selectors.DefaultSelector()
        self.addCleanup(selector.close)
        clients = [self.connect_to(proxy) for _ in range(300)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            selector.register(client, selectors.EVENT_READ)
        received, is_open = {client: b"" for client in clients}, len(clients)
        deadline = time.monotonic() + product.DEADLINE_SECONDS
        while is_open and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                more = key.fileobj.recv(65536)
                received[key.fileobj] += more
                if not more:
                    selector.unregister(key.fileobj)
                    is_open -= 1
        self.assertEqual({answer[:15] for answer in received.values()}, {b"HTTP/1.1 200 OK"})
        self.assertEqual(sum(backend.answered for backend in backends), len(clients))

    def test_clients_that_leave_at_any_moment(self):
        backend = self.start_backend(delay_seconds=0.05)
        proxy = self.start_proxy(static=[backend.name])
        request = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        for length in range(len(request) + 1):
            client = self.connect_to(proxy)
            client.sendall(request[:length])
            client.close()
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0
                           and proxy.metric("srsd_proxy_requests_active") == 0, "nothing is left of them")
        self.assertEqual(proxy.ask().status, 200)
        self.assertEqual(proxy.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""Upgraded connections: a real WebSocket server and client; ends, resets, back-pressure and a stop of the proxy."""

import asyncio
import hashlib
import signal
import socket
import threading
import unittest

import product
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket
from sockets import SocketsTest, receive_head, reset

MEGABYTE = 1 << 20
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
ASKING = b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
ROUTES = [{"path": "/", "service": "tornado_app", "upgrade": ["websocket", "test"]}]


class Echo(tornado.websocket.WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


class TunnelTest(SocketsTest):
    def start_tunnel(self, serve, *options):
        """A proxy with one backend, which serves what comes after its 101; a client that has been answered."""
        def answer(connection):
            receive_head(connection)
            connection.sendall(SWITCHED)
            serve(connection)

        proxy = self.start_proxy("--set", "workers=1", *options, static=[self.start_origin(answer).name], routes=ROUTES)
        client = self.connect_to(proxy)
        client.sendall(ASKING)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
        return proxy, client

    @staticmethod
    def wait_for_none(proxy):
        product.wait_until(lambda: proxy.metric("srsd_proxy_tunnels") == 0, "no tunnel is open")
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0, "no client is connected")
        product.wait_until(lambda: proxy.metric("srsd_proxy_upstream_connections") == 0, "no backend is connected")

    def test_a_websocket_of_tornado(self):
        names, stop = [], []
        is_up = threading.Event()

        async def serve():
            sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
            names.append("%s:%d" % sockets[0].getsockname())
            tornado.httpserver.HTTPServer(tornado.web.Application([("/socket", Echo)])).add_sockets(sockets)
            ended = asyncio.Event()
            stop.append((asyncio.get_running_loop(), ended))
            is_up.set()
            await ended.wait()

        server = threading.Thread(target=lambda: asyncio.run(serve()))
        server.start()
        self.addCleanup(server.join, product.DEADLINE_SECONDS)
        self.assertTrue(is_up.wait(product.DEADLINE_SECONDS))
        self.addCleanup(lambda: stop[0][0].call_soon_threadsafe(stop[0][1].set))
        proxy = self.start_proxy(static=names, routes=ROUTES)

        async def talk():
            connection = await tornado.websocket.websocket_connect(f"ws://127.0.0.1:{proxy.port}/socket")
            for message in ("hello", b"\x00\xff" * 70000, "", "ž" * 300):
                await connection.write_message(message, binary=isinstance(message, bytes))
                self.assertEqual(await connection.read_message(), message)
            self.assertEqual(proxy.metric("srsd_proxy_tunnels"), 1)
            connection.close()
            self.assertIsNone(await connection.read_message())

        asyncio.run(asyncio.wait_for(talk(), product.DEADLINE_SECONDS))
        self.wait_for_none(proxy)
        self.assertEqual(proxy.metric("srsd_proxy_tunnels_total"), 1)

    def test_a_client_that_ends_its_side_gets_the_rest(self):
        def serve(connection):
            received = b""
            while more := connection.recv(65536):
                received += more
            connection.sendall(b"got " + received)

        proxy, client = self.start_tunnel(serve)
        client.sendall(b"all of it")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive_all(client), b"got all of it")
        self.wait_for_none(proxy)

    def test_a_backend_that_ends_its_side_gets_the_rest(self):
        received = []
        is_over = threading.Event()

        def serve(connection):
            connection.sendall(b"that was all")
            connection.shutdown(socket.SHUT_WR)
            received.append(self.receive_all(connection))
            is_over.set()

        proxy, client = self.start_tunnel(serve)
        self.assertEqual(self.receive_all(client), b"that was all")
        self.assertEqual(proxy.metric("srsd_proxy_tunnels"), 1)
        client.sendall(b"thank you, ")
        client.sendall(b"good bye")
        client.shutdown(socket.SHUT_WR)
        self.assertTrue(is_over.wait(product.DEADLINE_SECONDS))
        self.assertEqual(received, [b"thank you, good bye"])
        self.wait_for_none(proxy)

    def test_a_reset_of_the_backend_is_the_clients(self):
        proxy, client = self.start_tunnel(reset)
        with self.assertRaises(ConnectionResetError):
            self.receive_all(client)
        self.wait_for_none(proxy)

    def test_a_reset_of_the_client_ends_the_backends_side(self):
        is_over = threading.Event()

        def serve(connection):
            connection.sendall(b"x")
            try:
                self.receive_all(connection)
            except ConnectionResetError:
                pass
            is_over.set()

        proxy, client = self.start_tunnel(serve)
        self.assertEqual(client.recv(1), b"x")
        reset(client)
        self.assertTrue(is_over.wait(product.DEADLINE_SECONDS))
        self.wait_for_none(proxy)

    def test_much_in_both_directions_at_once(self):
        """Each side sends all it has while the other one reads slower than that; nothing is lost or mixed."""
        size = 24 * MEGABYTE
        upward, downward = bytes(range(256)) * (size // 256), bytes(reversed(range(256))) * (size // 256)
        digests = []

        def serve(connection):
            sender = threading.Thread(target=connection.sendall, args=(downward,))
            sender.start()
            digests.append(hashlib.sha256(self.receive_all(connection)).digest())
            sender.join()

        proxy, client = self.start_tunnel(serve)
        memory = proxy.resident_kilobytes()

        def send():
            client.sendall(upward)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        self.assertEqual(hashlib.sha256(self.receive_all(client)).digest(), hashlib.sha256(downward).digest())
        sender.join()
        product.wait_until(lambda: digests, "the backend has read it all")
        self.assertEqual(digests, [hashlib.sha256(upward).digest()])
        self.assertLess(proxy.resident_kilobytes() - memory, 16 * 1024)
        self.wait_for_none(proxy)

    def test_a_proxy_that_stops_gives_tunnels_the_drain_timeout(self):
        def serve(connection):
            connection.sendall(connection.recv(100))
            self.receive_all(connection)

        proxy, client = self.start_tunnel(serve, "--set", "drain_timeout=3s")
        proxy.process.signal(signal.SIGTERM)
        proxy.process.wait_for_error(r"event=draining")
        client.sendall(b"still here")
        self.assertEqual(client.recv(100), b"still here")
        self.assertEqual(proxy.process.wait_for_exit(), 1, "the tunnel was cut when drain_timeout was over")

    @staticmethod
    def receive_all(connection):
        received = bytearray()
        while more := connection.recv(1 << 16):
            received += more
        return bytes(received)


if __name__ == "__main__":
    unittest.main()

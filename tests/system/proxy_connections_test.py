#!/usr/bin/python3
"""Connections before their first request: whom they are from, how many there may be, and what they take."""

import contextlib
import ipaddress
import os
import re
import signal
import socket
import struct
import threading
import time
import unittest

import product
import sockets
from proxy import Proxy

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
STREAM_INET, STREAM_INET6 = 0x11, 0x21

QUIET_SECONDS = 10  # between two lines of a worker that tell of a shortage


def checksum(data):
    """CRC-32C, one bit at a time."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def binary_header(source, destination="192.0.2.1", attached=b"", command=PROXY, has_checksum=False):
    """A PROXY header, version 2."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    body = source.packed + destination.packed + struct.pack(">HH", 40000, 80) + attached
    if has_checksum:
        body += b"\x03\0\x04\0\0\0\0"
    family = STREAM_INET if source.version == 4 else STREAM_INET6
    header = SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body
    return header[:-4] + struct.pack(">I", checksum(header)) if has_checksum else header


def status_of(port, before=b""):
    """The status of the answer to a request with `before` before it; None: closed without one."""
    with socket.create_connection(("127.0.0.1", port), product.DEADLINE_SECONDS) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(before + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer, _ = sockets.receive_head(client)
            if answer.startswith(b"HTTP/1.1 "):
                return int(answer.split()[1])
    return None


class ProxyProtocolTest(sockets.SocketsTest):
    def setUp(self):
        self.heads = []

        def serve(connection):
            while True:
                head, _ = sockets.receive_head(connection)
                if head == b"\r\n\r\n":
                    return
                self.heads.append(head.decode("latin-1"))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        self.origin = self.start_origin(serve)

    def start_listeners(self, **options):
        """The first listener wants the header, the second one does not."""
        return self.start_proxy(static=[self.origin.name], listeners=[
            {"address": "127.0.0.1:0", "proxy_protocol": True, **options}, {"address": "127.0.0.1:0", **options}])

    def forwarded_for(self, proxy, header):
        """The X-Forwarded-For that the backend sees of a client that comes with this header."""
        client = self.connect_to(proxy)
        client.sendall(header + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer, _ = sockets.receive_head(client)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        return re.search(r"^X-Forwarded-For: (.*)\r$", self.heads[-1], re.MULTILINE)[1]

    def test_the_header_tells_the_clients_address(self):
        proxy = self.start_listeners()
        for address in ("192.0.2.7", "2001:db8::7", "::1", "fe80::1:2:3"):
            destination = "198.51.100.1" if "." in address else "2001:db8::1"
            for attached in (b"", b"\x02\0\x09localhost" + b"\x04\0\0", b"\x30" + struct.pack(">H", 3000) + b"n" * 3000):
                for has_checksum in (False, True):
                    header = binary_header(address, destination, attached, has_checksum=has_checksum)
                    self.assertEqual(self.forwarded_for(proxy, header), address)
        self.assertEqual(self.forwarded_for(proxy, binary_header("::ffff:192.0.2.8", "::1")), "192.0.2.8")
        self.assertEqual(self.forwarded_for(proxy, binary_header("192.0.2.7", command=LOCAL)), "127.0.0.1")
        self.assertEqual(
            self.forwarded_for(proxy, SIGNATURE + b"\x21\x31" + struct.pack(">H", 216) + b"/path".ljust(216, b"\0")),
            "127.0.0.1")
        self.assertEqual(proxy.metric("srsd_proxy_proxy_headers_refused_total"), 0)

    def test_each_listener_has_its_own_way(self):
        proxy = self.start_listeners()
        self.assertEqual(self.forwarded_for(proxy, b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"), "192.0.2.7")
        self.assertEqual(status_of(proxy.ports[1]), 200)
        self.assertEqual(status_of(proxy.ports[1], b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"), 400)
        self.assertIsNone(status_of(proxy.ports[0]), "without an answer")

    def test_deferred_connections_are_served_and_silent_ones_end_in_time(self):
        proxy = self.start_listeners(deferred=True)
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"
        self.assertEqual(self.forwarded_for(proxy, header), "192.0.2.7")
        self.assertEqual(status_of(proxy.ports[1]), 200)
        client = self.connect_to(proxy)
        for at in range(len(header)):
            client.sendall(header[at:at + 1])
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(sockets.receive_head(client)[0].startswith(b"HTTP/1.1 200 OK\r\n"))
        client.close()
        proxy = self.start_proxy("--set", "timeouts.request_head=200ms", static=[self.origin.name],
                                 listeners=[{"address": "127.0.0.1:0", "deferred": True}])
        silent, leaving = self.connect_to(proxy), self.connect_to(proxy)
        leaving.close()
        self.assertEqual(silent.recv(1), b"", "closed without a word, within the test's deadline")
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0, "both are over")
        self.assertEqual(proxy.metric("srsd_proxy_client_connections_total"), 2)

    def test_a_wrong_header_is_counted_and_its_reason_logged(self):
        proxy = self.start_proxy("--set", "log.level=debug", static=[self.origin.name],
                                 listeners=[{"address": "127.0.0.1:0", "proxy_protocol": True}])
        broken = bytearray(binary_header("192.0.2.7", has_checksum=True))
        broken[16] ^= 1
        for header, reason in ((b"GET / HTTP/1.1\r\n\r\n", "missing"), (bytes(broken), "wrong checksum"),
                               (SIGNATURE + b"\x21\x11\xff\xff", "too long")):
            self.assertIsNone(status_of(proxy.port, header))
            proxy.process.wait_for_error(f'no PROXY header.*{reason}')
        self.assertEqual(proxy.metric("srsd_proxy_proxy_headers_refused_total"), 3)
        self.assertEqual(proxy.metric("srsd_proxy_requests_total"), 0)


class DeferredTest(sockets.SocketsTest):
    def start_deferred(self, serve, **options):
        origin = self.start_origin(serve)
        return self.start_proxy(static=[origin.name], listeners=[{"address": "127.0.0.1:0", "deferred": True}], **options)

    def test_a_request_is_given_up_when_its_client_leaves(self):
        begun, given_up = threading.Event(), threading.Event()

        def serve(connection):
            sockets.receive_head(connection)
            begun.set()
            with contextlib.suppress(ConnectionError):
                connection.recv(1)
            given_up.set()

        proxy = self.start_deferred(serve)
        client = self.connect_to(proxy)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertTrue(begun.wait(product.DEADLINE_SECONDS))
        sockets.reset(client)
        self.assertTrue(given_up.wait(product.DEADLINE_SECONDS))
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0, "it is over")

    def test_what_comes_behind_a_request_does_not_cost_its_answer(self):
        """Closing a socket in which something is unread resets the connection, and drops what is still to be sent."""
        body = b"x" * 30_000

        def serve(connection):
            sockets.receive_head(connection)
            client.sendall(b"\r\n")
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        proxy = self.start_deferred(serve)
        for count in range(1, 5):
            client = self.connect_to(proxy, receive_buffer=2048)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            product.wait_until(lambda: (proxy.metric("srsd_proxy_requests_total"),
                                        proxy.metric("srsd_proxy_requests_active")) == (count, 0), "it is answered")
            _, answer = sockets.receive_head(client)
            while more := client.recv(65536):
                answer += more
            self.assertEqual(len(answer), len(body))

    def test_draining_serves_who_has_connected_before(self):
        def serve(connection):
            while sockets.receive_head(connection)[0] != b"\r\n\r\n":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        proxy = self.start_deferred(serve, workers=2)
        clients = [self.connect_to(proxy) for _ in range(16)]
        proxy.process.signal(signal.SIGTERM)
        proxy.process.wait_for_error("draining")
        time.sleep(0.3)
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients:
            head, _ = sockets.receive_head(client)
            self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\n"), head)
            self.assertIn(b"\r\nConnection: close\r\n", head)
        self.assertEqual(proxy.process.wait_for_exit(), 0)


class LimitsTest(sockets.SocketsTest):
    def connect_many(self, proxy, count):
        """So many connections, each with an answered request."""
        clients = [self.connect_to(proxy) for _ in range(count)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return clients, [int(sockets.receive_head(client)[0].split()[1]) for client in clients]

    def test_one_client_over_all_workers(self):
        proxy = self.start_proxy("--set", "limits.connections_per_client=10", static=[self.start_backend().name],
                                 workers=4)
        clients, statuses = self.connect_many(proxy, 25)
        self.assertEqual((statuses.count(200), statuses.count(429)), (10, 15))
        self.assertEqual(status_of(proxy.port), 429)
        for client in clients:
            client.close()
        product.wait_until(lambda: status_of(proxy.port) == 200, "there is room again")
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0, "all are closed")
        self.assertEqual(self.connect_many(proxy, 10)[1], [200] * 10)
        self.assertGreaterEqual(proxy.metric('srsd_proxy_problems_total{reason="client_limit"}'), 16)
        self.assertEqual(proxy.process.terminate(), 0)

    def test_the_answer_is_read_whatever_the_client_still_sends(self):
        proxy = self.start_proxy("--set", "limits.connections=1", static=[self.start_backend().name])
        self.assertEqual(self.connect_many(proxy, 1)[1], [200])
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", proxy.port), product.DEADLINE_SECONDS) as client:
                client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000)
                received = b""
                while more := client.recv(65536):
                    received += more
            self.assertTrue(received.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), received)
            self.assertIn(b"\r\nRetry-After: 1\r\n", received)

    def test_a_flood_above_the_limit_is_bounded_and_leaves_nothing(self):
        proxy = self.start_proxy("--set", "limits.connections=20", static=[self.start_backend().name], workers=1)
        clients, statuses = self.connect_many(proxy, 20)
        self.assertEqual(statuses, [200] * 20)
        before = proxy.descriptors()
        flood = [self.connect_to(proxy) for _ in range(800)]  # and they say nothing
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections_refused_total") == 800, "all are refused")
        self.assertLessEqual(proxy.descriptors(), before + 300)
        self.assertEqual(proxy.metric("srsd_proxy_client_connections"), 20)
        # Whoever is in is served meanwhile.
        clients[0].sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200", sockets.receive_head(clients[0])[0])
        for client in flood + clients:
            client.close()
        product.wait_until(lambda: proxy.descriptors() < before, "nothing is left of them")
        self.assertEqual(status_of(proxy.port), 200)


class ShortageTest(sockets.SocketsTest):
    """Out of descriptors: idle connections go first; without any, connections wait, and nothing spins."""

    def start_short(self, descriptors, workers=1, **changes):
        """A proxy that may have only so many descriptors."""
        settings = self.write_settings(self.settings(workers=workers, **changes))
        proxy = Proxy(self.start_program("prlimit", f"--nofile={descriptors}:{descriptors}",
                                         product.binary("srsd-proxy"), "--config", settings))
        proxy.wait_for_ports(True)
        return proxy

    def cpu_seconds(self, proxy):
        with open(f"/proc/{proxy.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def assert_tells_seldom(self, proxy, workers, seconds):
        """That descriptors are short: at most once, and again every ten seconds. Returns how often it did."""
        lines = [line for line in proxy.process.errors if "are short" in line]
        self.assertLessEqual(len(lines), workers * (1 + seconds // QUIET_SECONDS), lines)
        return len(lines)

    def room_lines(self, proxy):
        return [line for line in proxy.process.errors if "allows more clients" in line]

    def ask_on(self, client):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head, body = sockets.receive_head(client)
        self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
        left = int(re.search(rb"Content-Length: (\d+)", head)[1]) - len(body)
        while left > 0:
            left -= len(client.recv(left))

    def test_idle_clients_make_room_for_new_ones(self):
        for workers in (1, 2):
            begun = time.monotonic()
            proxy = self.start_short(100, workers, static=[self.start_backend().name])
            clients = []
            for _ in range(300 * workers):  # each worker has a table of its own
                clients.append(self.connect_to(proxy))
                self.ask_on(clients[-1])
            # The oldest ones are closed, cleanly, and the newest one is open.
            self.assertEqual(clients[0].recv(1), b"")
            self.ask_on(clients[-1])
            self.assertGreater(proxy.metric("srsd_proxy_idle_connections_let_go_total"), 150 * workers)
            self.assert_tells_seldom(proxy, workers, time.monotonic() - begun)
            for client in clients:
                client.close()
            self.assertEqual(proxy.process.terminate(), 0)

    def test_without_idle_ones_connections_wait_and_nothing_spins(self):
        begun = time.monotonic()
        backend = self.start_backend()
        proxy = self.start_short(100, static=[backend.name])
        self.assertEqual(proxy.ask().status, 200)
        product.wait_until(lambda: self.room_lines(proxy), "it says at the start how few descriptors there are")
        self.assertIn("connections=10000 descriptors=100 tables=1 listeners=1", self.room_lines(proxy)[0])
        backend.hold = threading.Event()
        self.addCleanup(backend.hold.set)
        clients = [self.connect_to(proxy) for _ in range(120)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        product.wait_until(lambda: len(proxy.descriptors_by_thread()["worker-0"]) >= 99, "there are no descriptors")
        admin = [socket.create_connection(("127.0.0.1", proxy.admin_port), product.DEADLINE_SECONDS) for _ in range(2)]
        time.sleep(0.5)
        before, lines = self.cpu_seconds(proxy), len(proxy.process.errors)
        time.sleep(3)
        self.assertLess(self.cpu_seconds(proxy) - before, 0.6)
        self.assertLess(len(proxy.process.errors) - lines, 10)
        self.assertGreater(self.assert_tells_seldom(proxy, 1, time.monotonic() - begun), 0)
        backend.hold.set()
        statuses = [sockets.receive_head(client)[0].split(b" ", 2)[1:2] for client in clients]
        # A request for which there was no connection to a backend was told so; none is lost.
        self.assertEqual({status[0] for status in statuses if status} - {b"200", b"503"}, set())
        self.assertEqual(len([status for status in statuses if status]), len(clients))
        for client in clients + admin:
            client.close()
        product.wait_until(lambda: proxy.metric("srsd_proxy_client_connections") == 0, "all are closed")
        self.assertEqual(proxy.ask().status, 200)
        self.assertEqual(proxy.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

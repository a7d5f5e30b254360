#!/usr/bin/python3
"""Why a request went where it went: told to those who may ask, in fields that programs can read, and to nobody else."""

import http.client
import re
import socket
import unittest

import product
from proxy import LABEL, ProxyTest

LOCAL = {"networks": ["127.0.0.0/8"]}
# One member of a List of RFC 8941: a token with parameters, whose values are tokens, integers, strings, or nothing.
PARAMETER = r';([a-z][a-z0-9_]*)(?:=(-?[0-9]+|[A-Za-z][\w.:/]*|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"))?'
MEMBER = re.compile(rf"([a-z]+)((?:{PARAMETER})*)")


def parse(field):
    """A member as (its token, its parameters)."""
    match = MEMBER.fullmatch(field)
    assert match is not None, f"not a member of a List: {field}"
    values = {}
    for name, value in re.findall(PARAMETER, match[2]):
        values[name] = True if value == "" else value[1:-1] if value[0] == '"' else int(value) if value.isdigit() else value
    return match[1], values


class ExplainTest(ProxyTest):
    def start_proxy(self, *options, static, **changes):
        service = {"name": LABEL, "static": static, "health": {"probe": "off"}, **changes.pop("service", {})}
        return super().start_proxy(*options, services=[service], workers=1, **changes)

    def ask(self, proxy, **headers):
        """The status, and what explains it: {token: [parameters]}."""
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
        self.addCleanup(connection.close)
        connection.request("GET", "/", headers={"Srsd-Explain": "1", **{key.replace("_", "-"): value
                                                                      for key, value in headers.items()}})
        response = connection.getresponse()
        response.read()
        explained = {}
        for field in response.headers.get_all("Srsd-Explain", []):
            token, values = parse(field)
            explained.setdefault(token, []).append(values)
        return response.status, explained

    def test_the_choice(self):
        names = [self.start_backend().name for _ in range(3)]
        proxy = self.start_proxy(static=names, explain=LOCAL)
        self.wait_until_live(proxy)
        status, explained = self.ask(proxy)
        self.assertEqual(status, 200)
        [service], [tried] = explained["service"], explained["try"]
        self.assertEqual((service["name"], service["policy"], service["backends"], service["candidates"]),
                         (LABEL, "random", 3, 3))
        self.assertGreater(service["version"], 0)
        self.assertEqual(sorted(backend["endpoint"] for backend in explained["backend"]), sorted(names))
        [chosen] = [backend for backend in explained["backend"] if backend["why"] == "chosen"]
        self.assertEqual((tried["endpoint"], tried["evidence"]), (chosen["endpoint"], "under_way"))
        for backend in explained["backend"]:
            self.assertIn(backend["why"], ("chosen", "others_were_better"))
            self.assertEqual((backend["weight"], backend["in_flight"]), (1, 0))
            self.assertGreaterEqual(backend["for_ms"], 0)
            self.assertGreaterEqual(backend["late_ms"], 50)

    def test_a_backend_in_slow_start(self):
        names = [self.start_backend().name for _ in range(2)]
        health = {"probe": "off", "slow_start": "1h"}
        proxy = self.start_proxy(static=names, service={"health": health}, explain=LOCAL)
        status, explained = self.ask(proxy)
        self.assertEqual(status, 200)
        self.assertEqual([(backend["weight"], backend["warm_percent"]) for backend in explained["backend"]], [(1, 10)] * 2)

    def test_an_ejected_backend_is_left_out_for_a_reason(self):
        backend, dead = self.start_backend(), f"127.0.0.1:{product.free_port()}"
        proxy = self.start_proxy(static=[backend.name, dead], service={"health": {"probe": "connect"}}, explain=LOCAL)

        def is_out():
            status, explained = self.ask(proxy)
            self.assertEqual(status, 200)
            [told] = [entry for entry in explained["backend"] if entry["endpoint"] == dead]
            return told["why"] == "not_in_rotation" and told["state"] in ("ejected", "probing") and "refused" in told["reason"]

        product.wait_until(is_out, "the dead backend is told to be out of rotation, refused")

    def test_tries_of_an_answer_of_the_proxys_own(self):
        dead = [f"127.0.0.1:{product.free_port()}" for _ in range(2)]
        proxy = self.start_proxy(static=dead, explain=LOCAL)
        status, explained = self.ask(proxy)
        self.assertEqual(status, 502)
        self.assertEqual({tried["endpoint"] for tried in explained["try"]}, set(dead))
        for tried in explained["try"]:
            self.assertEqual(tried["evidence"], "connect_refused")
            self.assertLessEqual(tried["begun_us"], tried["ended_us"])

    def test_nobody_to_choose_from(self):
        proxy = self.start_proxy(static=["127.0.0.1:1"], explain=LOCAL,
                                 routes=[{"path": "/nowhere", "service": LABEL}])
        status, explained = self.ask(proxy)
        self.assertEqual((status, explained), (404, {}))

    def test_of_many_backends_the_rest_is_counted(self):
        backend = self.start_backend()
        many = [f"127.1.{i // 200}.{i % 200 + 1}:{backend.port}" for i in range(200)]
        proxy = self.start_proxy(static=many, explain=LOCAL)
        _, explained = self.ask(proxy)
        self.assertEqual((len(explained["backend"]), explained["others"]), (32, [{"count": 168}]))
        self.assertEqual(explained["backend"][0]["why"], "chosen")

    def test_strangers_are_told_nothing(self):
        backend = self.start_backend()
        for explain, forwarded, headers, is_told in (
                ({}, {}, {}, False),
                ({"networks": ["192.0.2.0/24"]}, {}, {}, False),
                (LOCAL, {}, {"X_Forwarded_For": "127.0.0.1"}, False),
                (LOCAL, {"trusted": ["127.0.0.1"]}, {"X_Forwarded_For": "192.0.2.7"}, False),
                ({"networks": ["192.0.2.0/24"]}, {"trusted": ["127.0.0.1"]}, {"X_Forwarded_For": "192.0.2.7"}, True),
                (LOCAL, {"trusted": "none"}, {"X_Forwarded_For": "192.0.2.7"}, True)):
            with self.subTest(explain=explain, forwarded=forwarded, headers=headers):
                proxy = self.start_proxy(static=[backend.name], **({"explain": explain} if explain else {}),
                                         **({"forwarded": forwarded} if forwarded else {}))
                status, explained = self.ask(proxy, **headers)
                self.assertEqual((status, bool(explained)), (200, is_told))

    def test_a_switch_of_protocols_is_explained(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            name = f"127.0.0.1:{server.getsockname()[1]}"
            proxy = self.start_proxy(static=[name], explain=LOCAL,
                                     routes=[{"path": "/", "service": LABEL, "upgrade": ["websocket"]}])
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=product.DEADLINE_SECONDS) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSrsd-Explain: 1\r\n\r\n")
                backend, _ = server.accept()
                with backend:
                    self.assertNotIn(b"explain", backend.recv(65536).lower())
                    backend.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
                    head = client.recv(65536)
                    self.assertIn(f'Srsd-Explain: backend;endpoint="{name}";why=chosen'.encode(), head)
                    self.assertTrue(head.endswith(b"\r\n\r\n"), head)


if __name__ == "__main__":
    unittest.main()

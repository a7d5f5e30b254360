#!/usr/bin/python3
"""Backends that other systems registered, in their own documents, and the weights these give."""

import json
import math
import os
import shutil
import tempfile
import unittest
import uuid

import product
from proxy import ProxyTest

FORMATS = ("json", "smartstack", "serverset", "curator")


def document(kind, backend, weight=None, **changes):
    """What such a system writes of a backend."""
    host, port = backend.name.rsplit(":", 1)
    endpoint = {"host": host, "port": int(port)}
    if kind == "json":
        said = {} if weight is None else {"weight": weight, "zone": "z1", "labels": {"rack": "7"}}
    elif kind == "smartstack":
        said = {**endpoint, "name": "i-1234", "haproxy_server_options": None, "labels": {"az": "z1", "rack": "7"}}
        if weight is not None:
            said["weight"] = weight
    elif kind == "serverset":
        said = {"serviceEndpoint": endpoint, "additionalEndpoints": {"admin": {"host": host, "port": 1}},
                "status": "ALIVE", "shard": 0}
        if weight is not None:
            said["metadata"] = {"weight": str(weight), "zone": "z1", "rack": "7"}
    else:
        said = {"name": "shop", "id": str(uuid.uuid4()), "address": host, "port": int(port), "sslPort": None,
                "payload": {"@class": "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
                            "id": "application-1", "name": "shop", "metadata": {}},
                "registrationTimeUTC": 1480963577325, "serviceType": "DYNAMIC",
                "uriSpec": {"parts": [{"value": "scheme", "variable": True}]}}
        if weight is not None:
            said["payload"]["metadata"] = {"weight": str(weight), "zone": "z1", "rack": "7"}
    said.update(changes)
    return said


class FormatsTest(product.EmptyRegistry, ProxyTest):
    def start_proxy(self, *services, **zookeeper):
        """With these services, each at the path of its name; nodes are read again about each second."""
        settings = self.settings(services=list(services),
                                 routes=[{"path": f"/{service['name']}", "service": service["name"]}
                                         for service in services])
        settings["zookeeper"] = {"servers": self.zookeeper.servers, "session_timeout": "5s", "recheck": "1s",
                                 **zookeeper}
        return super().start_proxy(settings=settings)

    def register(self, kind, backend, said, label=None):
        """As that system does: its node's name and kind. Returns the path."""
        prefix = {"json": backend.name, "smartstack": "i-1234_", "serverset": "member_",
                  "curator": str(uuid.uuid4())}[kind]
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        return self.kazoo.create(f"{product.REGISTRY}/{label or kind}/{prefix}", data, ephemeral=True, makepath=True,
                                 sequence=kind in ("smartstack", "serverset"))

    @staticmethod
    def entries(proxy, service):
        """{address: what the admin endpoint says of it}"""
        services = {entry["name"]: entry for entry in json.loads(proxy.admin("/backends").text)["services"]}
        return {backend["address"]: backend for backend in services[service]["backends"]}

    def wait_for_weights(self, proxy, service, weights):
        """Of {backend: weight}, and no others."""
        wanted = {backend.name: weight for backend, weight in weights.items()}

        def is_so():
            return {name: entry["weight"] for name, entry in self.entries(proxy, service).items()} == wanted

        product.wait_until(is_so, f"the weights of {service} are {wanted}")
        self.wait_for_backends(proxy, *wanted, service=service)

    def expect_shares(self, proxy, service, weights, count=800):
        """Of {backend: weight}; seven standard deviations are never passed by chance, in all these runs."""
        served = self.ask_many(proxy, count, path=f"/{service}")
        total = sum(weights.values())
        for backend, weight in weights.items():
            share = weight / total
            bound = 7 * math.sqrt(count * share * (1 - share))
            self.assertLessEqual(abs(served.get(backend.name, 0) - count * share), bound, (service, served))

    def test_each_system_is_read_with_its_weights(self):
        backends = [self.start_backend() for _ in range(4)]
        paths = {}
        for kind in FORMATS:
            for backend, weight in zip(backends, (None, 3, 0)):
                paths[kind, backend] = self.register(kind, backend, document(kind, backend, weight))
        # What Finagle keeps beside its members.
        self.kazoo.create(f"{product.REGISTRY}/serverset/vector_0000000009", b'{"vector": []}')
        proxy = self.start_proxy(*({"name": kind, "format": kind} for kind in FORMATS))
        weights = dict(zip(backends, (1, 3, 0)))
        for kind in FORMATS:
            with self.subTest(kind):
                self.wait_for_weights(proxy, kind, weights)
                self.expect_shares(proxy, kind, weights)
                entry = self.entries(proxy, kind)[backends[1].name]
                self.assertEqual((entry["zone"], entry["labels"]["rack"]), ("z1", "7"))
                node = paths[kind, backends[1]].rsplit("/", 1)[1]
                self.assertEqual(entry.get("node", entry["address"]), node)
        # One whose data is broken is left out; one that breaks afterwards stays as it was. Weights change.
        for kind in FORMATS:
            self.register(kind, backends[3], b'{"weight": ')
            self.kazoo.set(paths[kind, backends[2]], b"{}" if kind != "json" else b"[]")
            self.kazoo.set(paths[kind, backends[0]], json.dumps(document(kind, backends[0], 2)).encode())
        changed = dict(zip(backends, (2, 3, 0)))
        for kind in FORMATS:
            with self.subTest(kind, changed=True):
                before = self.entries(proxy, kind)[backends[1].name]["requests"]
                self.wait_for_weights(proxy, kind, changed)
                self.expect_shares(proxy, kind, changed)
                after = self.entries(proxy, kind)[backends[1].name]["requests"]
                self.assertGreater(after, before, "the backend goes on")
                proxy.process.wait_for_error(rf'event="backend weight" service={kind} endpoint={backends[0].name} '
                                             r'weight=2 before=1')
                proxy.process.wait_for_error(rf'{kind}/.*(ends within the JSON|is missing)')
        self.assertNotIn("vector_", "\n".join(proxy.process.errors), "no fault, and not worth a word")

    def test_members_that_say_not_now_take_no_part(self):
        backends = [self.start_backend() for _ in range(2)]
        not_now = {"smartstack": {"available": False}, "serverset": {"status": "STOPPING"},
                   "curator": {"enabled": False}}
        paths = {kind: [self.register(kind, backend, document(kind, backend)) for backend in backends]
                 for kind in not_now}
        proxy = self.start_proxy(*({"name": kind, "format": kind} for kind in not_now))
        for kind in not_now:
            self.wait_for_weights(proxy, kind, {backend: 1 for backend in backends})
        for kind, changes in not_now.items():
            self.kazoo.set(paths[kind][0], json.dumps(document(kind, backends[0], **changes)).encode())
        for kind in not_now:
            with self.subTest(kind):
                self.wait_for_weights(proxy, kind, {backends[1]: 1})
                self.assertEqual(self.ask_many(proxy, 20, path=f"/{kind}"), {backends[1].name: 20})
                self.assertFalse([line for line in proxy.process.errors if "level=warning" in line and kind in line])
                self.kazoo.set(paths[kind][0], json.dumps(document(kind, backends[0])).encode())
                self.wait_for_weights(proxy, kind, {backend: 1 for backend in backends})

    def test_nobody_is_asked_where_all_weights_are_0(self):
        backend = self.start_backend()
        path = self.register("json", backend, document("json", backend, 0))
        proxy = self.start_proxy({"name": "json", "format": "json"})
        self.wait_for_weights(proxy, "json", {backend: 0})
        answer = proxy.ask("/json")
        self.assertEqual(answer.status, 503)
        self.assertIn("registered to take requests", answer.text)
        self.kazoo.set(path, b"")
        self.wait_for_weights(proxy, "json", {backend: 1})
        self.assertEqual(proxy.ask("/json").status, 200)
        self.assertEqual(backend.answered, 1)

    def test_an_address_counts_once_however_many_nodes_it_has(self):
        backends = [self.start_backend() for _ in range(2)]
        old = self.register("serverset", backends[0], document("serverset", backends[0], 1))
        self.register("serverset", backends[1], document("serverset", backends[1], 1))
        proxy = self.start_proxy({"name": "serverset", "format": "serverset"})
        self.wait_for_weights(proxy, "serverset", dict.fromkeys(backends, 1))
        # It came back before its old session expired, and is stronger now.
        new = self.register("serverset", backends[0], document("serverset", backends[0], 2))
        self.wait_for_weights(proxy, "serverset", {backends[0]: 2, backends[1]: 1})
        self.expect_shares(proxy, "serverset", {backends[0]: 2, backends[1]: 1})
        entry = self.entries(proxy, "serverset")[backends[0].name]
        self.assertEqual(entry["node"], new.rsplit("/", 1)[1])
        self.kazoo.delete(old)
        proxy.process.wait_for_error(r'event="backend removed"')
        self.expect_shares(proxy, "serverset", {backends[0]: 2, backends[1]: 1})
        self.assertGreater(self.entries(proxy, "serverset")[backends[0].name]["requests"], entry["requests"],
                           "the backend goes on")

    def test_what_srsd_register_says_is_read(self):
        backends = [self.start_backend() for _ in range(2)]
        options = ([], ["--weight", "3", "--zone", "z1", "--endpoint-label", "rack=7 \u00e9 \"\\"])
        for backend, more in zip(backends, options):
            process = self.start("srsd", "register", "shop", backend.name, "--zookeeper", self.zookeeper.servers, *more)
            process.wait_for_output("^held ")
        proxy = self.start_proxy({"name": "shop", "format": "json"})
        weights = dict(zip(backends, (1, 3)))
        self.wait_for_weights(proxy, "shop", weights)
        self.expect_shares(proxy, "shop", weights)
        entry = self.entries(proxy, "shop")[backends[1].name]
        self.assertEqual((entry["zone"], entry["labels"]), ("z1", {"rack": "7 \u00e9 \"\\"}))

    def test_the_last_known_set_has_what_nodes_said(self):
        zookeeper = self.start_zookeeper()
        directory = tempfile.mkdtemp(prefix="srsd-formats-test-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        kazoo = self.connect(zookeeper)
        backends = [self.start_backend() for _ in range(2)]
        weights = dict(zip(backends, (1, 3)))
        for backend, weight in weights.items():
            kazoo.create(f"{product.REGISTRY}/shop/member_", json.dumps(document("serverset", backend, weight)).encode(),
                         sequence=True, makepath=True)
        service = {"name": "shop", "format": "serverset"}
        proxy = self.start_proxy(service, servers=zookeeper.servers, state_dir=directory)
        self.wait_for_weights(proxy, "shop", weights)
        product.wait_until(lambda: os.listdir(directory), "the set is on disk")
        proxy.process.terminate()
        zookeeper.freeze()
        proxy = self.start_proxy(service, servers=zookeeper.servers, state_dir=directory)
        self.wait_for_weights(proxy, "shop", weights)
        self.expect_shares(proxy, "shop", weights)
        entry = self.entries(proxy, "shop")[backends[1].name]
        self.assertEqual((entry["node"], entry["zone"], entry["labels"]["rack"]), ("member_0000000001", "z1", "7"))

    def test_nodes_may_be_one_further_down(self):
        backends = [self.start_backend() for _ in range(2)]
        proxy = self.start_proxy({"name": "shop", "format": "smartstack", "below": "services",
                                  "health": {"vanish_share": 100}})
        self.wait_for_weights(proxy, "shop", {})
        # The label itself is not there either at first.
        self.register("smartstack", backends[0], document("smartstack", backends[0]), label="shop/services")
        self.wait_for_weights(proxy, "shop", {backends[0]: 1})
        self.register("smartstack", backends[1], document("smartstack", backends[1]), label="shop/services")
        self.wait_for_weights(proxy, "shop", dict.fromkeys(backends, 1))
        self.kazoo.delete(f"{product.REGISTRY}/shop", recursive=True)
        self.wait_for_weights(proxy, "shop", {})
        self.register("smartstack", backends[1], document("smartstack", backends[1]), label="shop/services")
        self.wait_for_weights(proxy, "shop", {backends[1]: 1})
        self.assertEqual(proxy.ask("/shop").served_by, backends[1].name)

    def test_an_additional_endpoint_is_named(self):
        backend = self.start_backend()
        host, port = backend.name.rsplit(":", 1)
        said = {"serviceEndpoint": {"host": host, "port": 1},
                "additionalEndpoints": {"http": {"host": host, "port": int(port)}}, "status": "ALIVE"}
        self.register("serverset", backend, said)
        self.register("serverset", backend, {**said, "additionalEndpoints": {}})
        proxy = self.start_proxy({"name": "serverset", "format": "serverset", "port_name": "http"})
        self.wait_for_weights(proxy, "serverset", {backend: 1})
        self.assertEqual(proxy.ask("/serverset").served_by, backend.name)
        proxy.process.wait_for_error("it has no additional endpoint of that name")


if __name__ == "__main__":
    unittest.main()

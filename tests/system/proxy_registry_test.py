#!/usr/bin/python3
"""The proxy follows the registry: nodes that come and go, ZooKeeper that comes and goes, names that are no address."""

import json
import pathlib
import threading
import time
import unittest

import product
from proxy import LABEL, LABEL_PATH, ProxyTest

TORNADO_SERVICE = pathlib.Path(__file__).resolve().parent / "tornado_service.py"


class RegistryTest(product.EmptyRegistry, ProxyTest):
    def start_proxy(self, *options, **changes):
        return super().start_proxy(*options, zookeeper=self.zookeeper.servers, **changes)

    def register(self, *backends, label=LABEL, kazoo=None):
        for backend in backends:
            name = backend if isinstance(backend, str) else backend.name
            (kazoo or self.kazoo).create(f"{product.REGISTRY}/{label}/{name}", b"", ephemeral=True, makepath=True)

    def deregister(self, *backends, label=LABEL):
        for backend in backends:
            self.kazoo.delete(f"{product.REGISTRY}/{label}/{backend.name}")


class NodesTest(RegistryTest):
    def test_a_label_that_does_not_exist_yet(self):
        proxy = self.start_proxy()
        product.wait_until(lambda: proxy.backends() == [], "the label is known to be empty")
        answer = proxy.ask()
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
        self.assertIn("No backend of this service is registered to take requests. [tornado_app]", answer.text)
        proxy.process.wait_for_error('level=warning event="no backend is registered.* service=tornado_app')
        backend = self.start_backend()
        self.register(backend)
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(proxy.ask().served_by, backend.name)

    def test_a_node_that_appears_gets_traffic_and_one_that_vanishes_gets_none(self):
        first, second, third = (self.start_backend() for _ in range(3))
        self.register(first, second)
        # All of them will go, and answer on.
        proxy = self.start_proxy(health={"vanish_share": 100})
        self.wait_for_backends(proxy, first.name, second.name)
        self.wait_until_live(proxy)
        # That a fair choice of two leaves one out 60 times has a probability below 1e-17.
        self.assertEqual(self.ask_many(proxy, 60).keys(), {first.name, second.name})
        self.register(third)
        self.wait_for_backends(proxy, first.name, second.name, third.name)
        self.wait_until_live(proxy)
        self.assertEqual(self.ask_many(proxy, 120).keys(), {first.name, second.name, third.name})
        self.deregister(second)
        self.wait_for_backends(proxy, first.name, third.name)
        served = second.answered
        self.assertEqual(self.ask_many(proxy, 60).keys(), {first.name, third.name})
        self.assertEqual(second.answered, served)
        self.deregister(first, third)
        self.wait_for_backends(proxy)
        self.assertEqual(proxy.ask().status, 503)
        self.register(second)
        self.wait_for_backends(proxy, second.name)
        self.assertEqual(self.ask_many(proxy, 10).keys(), {second.name})

    def test_requests_in_flight_outlive_their_node(self):
        leaving, staying = self.start_backend(), self.start_backend()
        leaving.hold = threading.Event()
        self.register(leaving)
        proxy = self.start_proxy(health={"probe": "connect"})  # only our requests are counted
        self.wait_for_backends(proxy, leaving.name)
        idle = [threading.Thread(target=lambda: proxy.ask("/idle")) for _ in range(8)]
        for client in idle:
            client.start()
        product.wait_until(lambda: len(leaving.paths) == 8, "eight requests are at the backend")
        leaving.hold.set()
        for client in idle:
            client.join(product.DEADLINE_SECONDS)
        leaving.hold.clear()
        leaving.paths.clear()
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(proxy.ask("/slow"))) for _ in range(5)]
        for client in clients:
            client.start()
        product.wait_until(lambda: len(leaving.paths) == 5, "five requests are at the backend")
        self.deregister(leaving)
        self.register(staying)
        self.wait_for_backends(proxy, staying.name)
        # Its idle connections are closed, those of the five requests are not.
        product.wait_until(lambda: proxy.metric("srsd_proxy_upstream_connections") == 5, "five connections")
        self.assertEqual(self.ask_many(proxy, 20).keys(), {staying.name})
        self.assertEqual(answers, [])
        leaving.hold.set()
        for client in clients:
            client.join(product.DEADLINE_SECONDS)
        self.assertEqual([(answer.status, answer.served_by) for answer in answers], [(200, leaving.name)] * 5)
        self.assertEqual(len(leaving.paths), 5)
        # Its connections go with it.
        product.wait_until(lambda: proxy.metric("srsd_proxy_upstream_connections")
                           == proxy.metric("srsd_proxy_upstream_connections_idle"), "no connection is in use")

    def test_a_node_that_comes_back_at_once(self):
        backend = self.start_backend()
        self.register(backend)
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, backend.name)
        for _ in range(20):
            self.deregister(backend)
            self.register(backend)
        product.wait_until(lambda: proxy.backends() == [backend.name] and proxy.ask().status == 200, "it serves again")
        self.wait_for_backends(proxy, backend.name)
        self.ask_many(proxy, 20)

    def test_names_that_are_no_address_do_no_harm(self):
        backend = self.start_backend()
        names = ["nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:80x", ":80",
                 "999.1.1.1:80", "[::1:80", "a b:80", "häuser:80", "\"quoted\\:80", "x" * 300 + ":80", "." * 3 + ":1"]
        self.register(*names)
        self.register(backend)
        proxy = self.start_proxy("--set", "log.format=json")
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(self.ask_many(proxy, 20).keys(), {backend.name})
        self.register("more nonsense")
        product.wait_until(lambda: any("more nonsense" in line for line in proxy.process.errors), "it is reported")
        self.assertEqual(self.ask_many(proxy, 20).keys(), {backend.name})
        lines = [json.loads(line) for line in proxy.process.errors]
        # Each is reported once.
        self.assertEqual(sum("127.0.0.1:65536" in json.dumps(line) for line in lines), 1)
        self.assertEqual(proxy.process.terminate(), 0)

    def test_a_name_with_a_host(self):
        backend = self.start_backend()
        self.register(f"localhost:{backend.port}")
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, f"localhost:{backend.port}")
        self.assertEqual(self.ask_many(proxy, 5), {backend.name: 5})

    def test_ipv6(self):
        try:
            backend = self.start_backend(address="::1")
        except OSError as error:
            self.skipTest(f"this machine has no ::1: {error}")
        self.register(backend)
        proxy = self.start_proxy()
        self.wait_for_backends(proxy, f"[::1]:{backend.port}")
        self.assertEqual(self.ask_many(proxy, 5), {backend.name: 5})

    def test_the_spread_over_backends(self):
        backends = [self.start_backend() for _ in range(4)]
        self.register(*backends)
        settings = self.settings(zookeeper=self.zookeeper.servers)
        settings["services"][0]["choices"] = 1
        proxy = super().start_proxy(settings=settings)
        self.wait_for_backends(proxy, *(backend.name for backend in backends))
        self.wait_until_live(proxy)
        count = 4000
        served = self.ask_many(proxy, count)
        self.assertEqual(served.keys(), {backend.name for backend in backends})
        expected = count / len(backends)
        chi_square = sum((number - expected) ** 2 / expected for number in served.values())
        # Three degrees of freedom: exceeded by chance with a probability below 1e-10.
        self.assertLess(chi_square, 50, served)

    def test_the_busy_one_of_two_is_avoided(self):
        slow, fast = self.start_backend(), self.start_backend()
        slow.hold = threading.Event()
        self.register(slow, fast)
        proxy = self.start_proxy("--set", "workers=1")
        self.wait_for_backends(proxy, slow.name, fast.name)
        clients = []
        try:
            while not slow.paths:
                clients.append(threading.Thread(target=proxy.ask))
                clients[-1].start()
                time.sleep(0.05)
                self.assertLess(len(clients), 60)
            # One request is in flight there, so every next one goes to the other.
            self.assertEqual(self.ask_many(proxy, 100), {fast.name: 100})
        finally:
            slow.hold.set()
        for client in clients:
            client.join(product.DEADLINE_SECONDS)


    def test_more_nodes_than_allowed(self):
        backend = self.start_backend()
        self.register(backend)
        proxy = self.start_proxy("--set", "limits.children=3")
        self.wait_for_backends(proxy, backend.name)
        names = [f"127.0.0.1:{port}" for port in (1, 2, 3)]
        self.register(*names)
        proxy.process.wait_for_error("limit|more than|too many|children")
        # Which of the steps from one to four nodes the proxy saw is chance; what is past the limit it never takes on.
        self.assertEqual(self.ask_many(proxy, 20).keys(), {backend.name})
        self.assertLessEqual(len(proxy.backends()), 3)
        for name in names[1:]:
            self.kazoo.delete(f"{LABEL_PATH}/{name}")
        self.wait_for_backends(proxy, backend.name, names[0])

    def test_a_thousand_nodes(self):
        backend = self.start_backend()
        transaction = self.kazoo.transaction()
        self.kazoo.ensure_path(LABEL_PATH)
        for port in range(1, 1001):
            transaction.create(f"{LABEL_PATH}/127.0.0.2:{port}", b"", ephemeral=True)
        transaction.commit()
        proxy = self.start_proxy()
        product.wait_until(lambda: len(proxy.backends() or []) == 1000, "all are known")
        proxy.process.wait_for_error('event="set of backends".* count=1000 added=1000 removed=0 ')
        self.assertEqual(sum('event="backend added"' in line for line in proxy.process.errors), 20, "that many are named")
        transaction = self.kazoo.transaction()
        for port in range(1, 1001):
            transaction.delete(f"{LABEL_PATH}/127.0.0.2:{port}")
        transaction.create(f"{LABEL_PATH}/{backend.name}", b"", ephemeral=True)
        transaction.commit()
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(self.ask_many(proxy, 20), {backend.name: 20})


class ServicesTest(RegistryTest):
    def test_several_services_as_shipped(self):
        apps = [self.start_backend() for _ in range(2)]
        orders = self.start_backend()
        reports = [self.start_backend() for _ in range(2)]
        self.register(*apps)
        self.register(orders, label="orders")
        proxy = super().start_proxy(
            "--set", f"zookeeper.servers={self.zookeeper.servers}", "--set", "listeners.0.address=127.0.0.1:0",
            "--set", "admin.address=127.0.0.1:0",
            "--set", f"services.legacy_reports.static.0={reports[0].name}",
            "--set", f"services.legacy_reports.static.1={reports[1].name}",
            "--set", "services.orders.health.vanish_share=100",
            settings=str(product.PROJECT / "config/several-services.yaml"))
        self.wait_for_backends(proxy, *(backend.name for backend in apps))
        self.wait_for_backends(proxy, orders.name, service="orders")
        self.wait_for_backends(proxy, *(backend.name for backend in reports), service="legacy_reports")
        for path, servers, asked in (("/", apps, "/"), ("/x?y", apps, "/x?y"), ("/info", apps, "/info"),
                                     ("/info/more?a=b", apps, "/info?a=b"), ("/orders/17", [orders], "/orders/17"),
                                     ("/ordersaway", apps, "/ordersaway"), ("/reports", reports, "/reports")):
            answer = proxy.ask(path)
            self.assertIn(answer.served_by, [backend.name for backend in servers], path)
            self.assertEqual(json.loads(answer.text)["path"], asked)
        # One without backends does not touch the others.
        self.deregister(orders, label="orders")
        self.wait_for_backends(proxy, service="orders")
        self.assertEqual([proxy.ask("/orders").status, proxy.ask("/reports").status, proxy.ask("/").status],
                         [503, 200, 200])

    def test_the_shipped_default(self):
        backend = self.start_backend()
        self.register(backend)
        proxy = super().start_proxy(
            "--set", f"zookeeper.servers={self.zookeeper.servers}", "--set", "listeners.0.address=127.0.0.1:0",
            "--set", "admin.address=127.0.0.1:0", settings=str(product.PROJECT / "config/srsd-proxy.yaml"))
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(json.loads(proxy.ask("/anything/at/all?a=b").text)["path"], "/info?a=b")

    def test_static_and_registry_side_by_side_without_zookeeper(self):
        backend = self.start_backend()
        settings = self.settings(zookeeper=f"127.0.0.1:{product.free_port()}")
        settings["services"].append({"name": "fixed", "static": [backend.name]})
        settings["routes"].append({"path": "/fixed", "service": "fixed"})
        proxy = super().start_proxy(settings=settings)
        product.wait_until(lambda: proxy.ask("/fixed").status == 200, "the static service serves")
        self.assertEqual(proxy.ask("/").status, 503)

    def test_a_python_service_of_somebody_else(self):
        proxy = self.start_proxy("--set", "routes.0.forward_to=/info")
        services = [self.start_program("/usr/bin/python3", "-B", str(TORNADO_SERVICE), self.zookeeper.servers)
                    for _ in range(2)]
        for service in services:
            service.wait_for_output("registered")
        names = [service.output[-1].removeprefix("registered ") for service in services]
        self.wait_for_backends(proxy, *names)
        self.wait_until_live(proxy)
        self.assertEqual(self.ask_many(proxy, 60).keys(), set(names))
        self.assertEqual(json.loads(proxy.ask("/").text).keys(), {"cpu_info", "system_info", "localtime"})
        # One dies without a word: its node stays until its session ends, and the other answers for both.
        services[0].kill()
        self.assertEqual(self.ask_many(proxy, 60).keys(), {names[1]})
        self.wait_for_backends(proxy, names[1])
        self.assertEqual(services[1].terminate(), 0)
        self.wait_for_backends(proxy)


class ZooKeeperTest(ProxyTest):
    def test_it_starts_without_zookeeper(self):
        zookeeper = self.start_zookeeper()
        zookeeper.stop()
        proxy = self.start_proxy(zookeeper=zookeeper.servers)
        answer = proxy.ask()
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
        self.assertIn("ZooKeeper has not answered. [tornado_app]", answer.text)
        ready = proxy.admin("/ready")
        self.assertEqual(ready.status, 503)
        self.assertIn(LABEL, ready.text)
        self.assertEqual(proxy.admin("/healthz").status, 200)
        zookeeper.start()
        backend = self.start_backend()
        self.connect(zookeeper).create(f"{LABEL_PATH}/{backend.name}", b"", ephemeral=True, makepath=True)
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(proxy.ask().status, 200)
        self.assertEqual(proxy.admin("/ready").status, 200)

    def test_it_serves_while_zookeeper_is_dead_and_follows_again(self):
        zookeeper = self.start_zookeeper()
        first, second = self.start_backend(), self.start_backend()
        # Not ephemeral: nobody's session may take them away while the server is down.
        kazoo = self.connect(zookeeper)
        kazoo.create(f"{LABEL_PATH}/{first.name}", b"", makepath=True)
        proxy = self.start_proxy(zookeeper=zookeeper.servers)
        self.wait_for_backends(proxy, first.name)
        self.assertEqual(proxy.metric("srsd_proxy_registry_connected"), 1)
        zookeeper.stop()
        product.wait_until(lambda: proxy.metric("srsd_proxy_registry_connected") == 0, "the loss is noticed")
        self.assertEqual(self.ask_many(proxy, 50), {first.name: 50})
        self.assertEqual(proxy.admin("/ready").status, 200)
        # Longer than its session lives on the server.
        time.sleep(6)
        self.assertEqual(self.ask_many(proxy, 50), {first.name: 50})
        zookeeper.start()
        product.wait_until(lambda: proxy.metric("srsd_proxy_registry_connected") == 1, "it is connected again")
        self.assertEqual(self.ask_many(proxy, 50), {first.name: 50})
        kazoo = self.connect(zookeeper)
        kazoo.create(f"{LABEL_PATH}/{second.name}", b"")
        self.wait_for_backends(proxy, first.name, second.name)
        kazoo.delete(f"{LABEL_PATH}/{first.name}")
        self.wait_for_backends(proxy, second.name)
        self.assertEqual(self.ask_many(proxy, 20), {second.name: 20})
        self.assertEqual(proxy.process.terminate(), 0)

    def test_a_chroot_and_a_server_that_is_down(self):
        zookeeper = self.start_zookeeper()
        backend = self.start_backend()
        self.connect(zookeeper).create(f"/tenants/one/services/{LABEL}/{backend.name}", b"", ephemeral=True, makepath=True)
        proxy = self.start_proxy("--set", "zookeeper.registry=/services",
                                 zookeeper=f"127.0.0.1:{product.free_port()},{zookeeper.servers}/tenants/one")
        self.wait_for_backends(proxy, backend.name)
        self.assertEqual(self.ask_many(proxy, 5), {backend.name: 5})

    def test_changes_while_it_was_cut_off(self):
        zookeeper = self.start_zookeeper()
        first, second = self.start_backend(), self.start_backend()
        kazoo = self.connect(zookeeper)
        kazoo.create(f"{LABEL_PATH}/{first.name}", b"", makepath=True)
        proxy = self.start_proxy(zookeeper=zookeeper.servers)
        self.wait_for_backends(proxy, first.name)
        proxy.process.freeze()
        kazoo.create(f"{LABEL_PATH}/{second.name}", b"")
        kazoo.delete(f"{LABEL_PATH}/{first.name}")
        time.sleep(7)  # its session ends meanwhile
        proxy.process.thaw()
        self.wait_for_backends(proxy, second.name)
        self.assertEqual(self.ask_many(proxy, 20), {second.name: 20})

    def test_it_ends_while_zookeeper_is_frozen(self):
        zookeeper = self.start_zookeeper()
        proxy = self.start_proxy(zookeeper=zookeeper.servers)
        product.wait_until(lambda: proxy.backends() == [], "it is connected")
        zookeeper.freeze()
        self.addCleanup(zookeeper.thaw)
        self.assertEqual(proxy.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

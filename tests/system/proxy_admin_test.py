#!/usr/bin/python3
"""The admin endpoint: health, readiness, metrics that Prometheus accepts and that count right, backends as JSON."""

import json
import socket
import subprocess
import unittest

import product
from proxy import LABEL, ProxyTest


class AdminTest(ProxyTest):
    def test_healthz_ready_and_what_is_not_there(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name])
        for path in ("/healthz", "/ready"):
            product.wait_until(lambda: proxy.admin(path).status == 200, path)
            self.assertEqual(proxy.admin(path, "HEAD").status, 200)
            self.assertEqual(proxy.admin(path, "POST").status, 501)
        answer = proxy.admin("/else")
        self.assertEqual(answer.status, 404)
        self.assertIn("/metrics", answer.text)
        # It is not to be had where clients are.
        self.assertEqual(json.loads(proxy.ask("/healthz").text)["path"], "/healthz")

    def test_off(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name], admin={"address": "off"})
        self.assertEqual(len(proxy.ports), 1)
        self.assertEqual(proxy.ask().status, 200)
        self.assertEqual(proxy.process.terminate(), 0)

    def test_metrics_are_valid(self):
        backends = [self.start_backend() for _ in range(2)]
        proxy = self.start_proxy(static=[backend.name for backend in backends])
        self.ask_many(proxy, 10)
        answer = proxy.admin("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        checked = subprocess.run(["promtool", "check", "metrics"], input=answer.text, text=True, capture_output=True,
                                 check=False, timeout=product.DEADLINE_SECONDS)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_metrics_count(self):
        backend = self.start_backend()
        dead = f"127.0.0.1:{product.free_port()}"
        settings = self.settings(static=[backend.name])
        settings["services"].append({"name": "dead", "static": [dead]})
        settings["routes"] = [{"path": "/live", "service": LABEL}, {"path": "/dead", "service": "dead"}]
        proxy = self.start_proxy(settings=settings)
        self.ask_many(proxy, 7, "/live")
        for _ in range(3):
            self.assertEqual(proxy.ask("/dead", "POST", b"x").status, 502)
        self.assertEqual(proxy.ask("/nowhere").status, 404)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=product.DEADLINE_SECONDS) as client:
            client.sendall(b"nonsense\r\n\r\n")
            while client.recv(65536):
                pass
        for name, value in {
                "srsd_proxy_requests_total": 11,
                'srsd_proxy_responses_total{class="2xx"}': 7,
                'srsd_proxy_responses_total{class="4xx"}': 2,
                'srsd_proxy_responses_total{class="5xx"}': 3,
                'srsd_proxy_problems_total{reason="connect_refused"}': 3,
                'srsd_proxy_problems_total{reason="no_route"}': 1,
                'srsd_proxy_problems_total{reason="bad_request_line"}': 1,
                "srsd_proxy_client_connections_total": 6,
                "srsd_proxy_upstream_reuses_total": 6,
                "srsd_proxy_retries_total": 6,
                "srsd_proxy_attempts_total": 16,
                "srsd_proxy_requests_active": 0,
                f'srsd_proxy_backend_requests_total{{service="{LABEL}",backend="{backend.name}"}}': 7,
                f'srsd_proxy_backend_failures_total{{service="{LABEL}",backend="{backend.name}"}}': 0,
                f'srsd_proxy_backend_requests_total{{service="dead",backend="{dead}"}}': 9,
                f'srsd_proxy_backend_failures_total{{service="dead",backend="{dead}"}}': 9,
                f'srsd_proxy_request_duration_seconds_bucket{{service="{LABEL}",le="+Inf"}}': 7,
                f'srsd_proxy_request_duration_seconds_count{{service="{LABEL}"}}': 7,
                'srsd_proxy_request_duration_seconds_count{service="dead"}': 3,
                f'srsd_proxy_backend_response_seconds_count{{service="{LABEL}"}}': 7,
                'srsd_proxy_backend_response_seconds_count{service="dead"}': 0,
                f'srsd_proxy_service_backends{{service="{LABEL}"}}': 1}.items():
            product.wait_until(lambda: proxy.metric(name) == value, f"{name} is {value}, not {proxy.metric(name)}", 10)

    def test_backends(self):
        backends = [self.start_backend() for _ in range(2)]
        proxy = self.start_proxy(static=[backend.name for backend in backends])
        served = self.ask_many(proxy, 20)
        told = json.loads(proxy.admin("/backends").text)
        self.assertEqual(proxy.admin("/backends").headers["Content-Type"], "application/json")
        service, = told["services"]
        self.assertEqual((service["name"], service["source"], service["is_known"]), (LABEL, "static", True))
        self.assertEqual([entry["address"] for entry in service["backends"]], sorted(b.name for b in backends))
        self.assertEqual({entry["address"]: entry["requests"] for entry in service["backends"] if entry["requests"]},
                         served)
        self.assertEqual({entry["failures"] for entry in service["backends"]}, {0})

        # A client may have its response a moment before the worker has counted the end.
        def in_flight():
            service, = json.loads(proxy.admin("/backends").text)["services"]
            return sum(entry["in_flight"] for entry in service["backends"])

        product.wait_until(lambda: in_flight() == 0, "no request is in flight")

    def test_before_the_first_set(self):
        proxy = self.start_proxy(zookeeper=f"127.0.0.1:{product.free_port()}")
        ready = proxy.admin("/ready")
        self.assertEqual(ready.status, 503)
        self.assertIn(f"the backends of {LABEL} are not known yet", ready.text)
        service, = json.loads(proxy.admin("/backends").text)["services"]
        self.assertEqual((service["source"], service["is_known"], service["backends"]), ("registry", False, []))
        self.assertEqual(proxy.metric("srsd_proxy_registry_connected"), 0)
        self.assertEqual(proxy.metric(f'srsd_proxy_service_set_age_seconds{{service="{LABEL}"}}'), -1)

    def test_nonsense_does_not_stop_it(self):
        proxy = self.start_proxy(static=["127.0.0.1:1"])
        for nonsense in (b"\0\0\0\0\r\n\r\n", b"GET", b"GET / HTTP/9.9\r\n\r\n", b"x" * 100000,
                         b"GET / HTTP/1.1\r\nX: " + b"y" * 20000 + b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", proxy.admin_port), timeout=product.DEADLINE_SECONDS) as client:
                try:
                    client.sendall(nonsense)
                except ConnectionError:
                    pass
        self.assertEqual(proxy.admin("/healthz").status, 200)
        self.assertEqual(proxy.process.terminate(), 0)


if __name__ == "__main__":
    unittest.main()

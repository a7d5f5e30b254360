#!/usr/bin/python3
"""services[].subset: a proxy uses its share of the backends, and others where too few of these work."""

import json
import unittest

import product
from failover import FailoverTest


class SubsetTest(FailoverTest):
    def service(self, proxy):
        return json.loads(proxy.admin("/backends").text)["services"][0]

    def used(self, proxy):
        return {entry["address"]: entry["state"] for entry in self.service(proxy)["backends"]}

    def start_with_subset(self, backends, identity, **changes):
        proxy = self.start_proxy_of(backends, service={"subset": {"size": 2, "identity": identity}}, **changes)
        product.wait_until(lambda: list(self.used(proxy).values()).count("live") >= 2, "two serve")
        return proxy

    def test_a_proxy_uses_its_share_and_others_where_these_are_ejected(self):
        backends = self.start_backends(6, delay_ms=0)
        proxy = self.start_with_subset(backends, "one")
        used = set(self.used(proxy))
        self.assertEqual(len(used), 2)
        self.assertEqual(self.service(proxy)["subset"], {"size": 2, "registered": 6})
        again = self.start_with_subset(backends, "one")
        self.assertEqual(set(self.used(again)), used)
        shares = {frozenset(self.used(self.start_with_subset(backends, f"other {number}"))) for number in range(4)}
        self.assertGreater(len(shares | {frozenset(used)}), 1)
        for backend in backends:
            if backend.name in used:
                backend.kill()
        for _ in range(20):
            proxy.ask("/")
        product.wait_until(
            lambda: [state for name, state in self.used(proxy).items() if name not in used].count("live") == 2,
            "two others serve")
        self.assertEqual(proxy.ask("/").status, 200)


if __name__ == "__main__":
    unittest.main()

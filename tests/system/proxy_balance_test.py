#!/usr/bin/python3
"""services[].balance: each policy through the whole proxy. How evenly they choose stands in tests/unit/balance."""

import collections
import http.client
import itertools
import unittest

import product
from failover import FailoverTest, Load

POLICIES = ["random", "least_requests", "round_robin", "peak_ewma", "ring_hash"]


class BalanceTest(FailoverTest):
    def start_balanced(self, backends, balance, **service):
        """A proxy of one worker, once it sends requests to all of them."""
        proxy = self.start_proxy_of(backends, service={"balance": balance, **service}, workers=1)
        self.wait_for_all(proxy, backends)
        return proxy

    def wait_for_all(self, proxy, backends):
        """Each is asked for paths of its own, others each time, so that a key of every one comes by."""
        seen, wanted, numbers = set(), {backend.name for backend in backends}, itertools.count()

        def see():
            for number in itertools.islice(numbers, 50):
                seen.add(self.ask(proxy, f"/{number}", {"x-user": f"warm {number}"}))
            states = {self.entry(proxy, backend).get("state", "live") for backend in backends}
            return wanted <= seen and len(states) == 1

        product.wait_until(see, f"all of {wanted} serve")

    def ask(self, proxy, path="/", fields=None):
        """Who served it."""
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
        try:
            connection.request("GET", path, headers=fields or {})
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, 200)
            return response.getheader("x-served-by")
        finally:
            connection.close()

    def test_each_policy_serves_from_all_backends(self):
        backends = self.start_backends(3, delay_ms=1)
        for balance in POLICIES:
            with self.subTest(balance=balance):
                proxy = self.start_balanced(backends, balance)
                with Load(proxy.port, requests_per_second=500, clients=8) as load:
                    load.run_requests(150)
                    # peak_ewma spares one whose first answer took long, until that is forgotten.
                    load.run_until(lambda: set(load.served()) == {backend.name for backend in backends}, "all serve")
                self.assert_nothing_lost(load)
                proxy.process.terminate()

    def test_round_robin_takes_turns(self):
        backends = self.start_backends(3, delay_ms=0)
        proxy = self.start_balanced(backends, "round_robin")
        served = [self.ask(proxy) for _ in range(12)]
        self.assertEqual(served[:3] * 4, served)
        self.assertEqual(len(set(served)), 3)

    def test_a_slow_backend_is_spared(self):
        backends = self.start_backends(3, delay_ms=1)
        for balance in ["least_requests", "peak_ewma"]:
            with self.subTest(balance=balance):
                proxy = self.start_balanced(backends, balance, health={"silence": "0ms"})
                backends[0].be("delay 600")
                with Load(proxy.port) as load:
                    load.run_requests(200)
                backends[0].be("delay 1")
                self.assert_nothing_lost(load)
                served = load.served()
                self.assertLess(served[backends[0].name], served.total() / len(backends) / 2, served)
                proxy.process.terminate()

    def test_ring_hash_keeps_requests_of_one_header_together(self):
        backends = self.start_backends(4, delay_ms=0)
        proxy = self.start_balanced(backends, "ring_hash", hash_on="header:X-User")

        def served():
            # Ports, and so the ring, differ from run to run: that one of four has none of 120 is below 1e-9.
            return {user: {self.ask(proxy, f"/{turn}", {"X-User": user}) for turn in range(2)}
                    for user in map(str, range(120))}

        before = served()
        self.assertEqual({user: len(by) for user, by in before.items() if len(by) > 1}, {})
        counts = collections.Counter(next(iter(by)) for by in before.values())
        self.assertEqual(set(counts), {backend.name for backend in backends})
        backends[0].kill()
        self.ask(proxy, "/", {"X-User": next(user for user, by in before.items() if backends[0].name in by)})
        for user, by in served().items():
            if backends[0].name in before[user]:
                self.assertNotIn(backends[0].name, by)
            else:
                self.assertEqual(by, before[user])


if __name__ == "__main__":
    unittest.main()

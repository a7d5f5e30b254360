#!/usr/bin/python3
"""What the proxy forwards is taken by three independent servers for what it was meant to be, or the proxy refuses it.

corpus/accepted/NAME.http is one request that has to pass, NAME.5.http are five; corpus/refused/NAME.400.http has to be
refused with 400, with no server seeing a complete request (NAME.0.http ends in the middle, which needs no answer).
"""

import unittest

from bench import Bench, corpus
from mutations import Generator

SEED = 9112
MUTATED_CASES = 600


class DifferentialTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bench = cls.enterClassContext(Bench())

    def assert_nothing_found(self, findings, case):
        if findings:
            self.fail("\n".join(findings) + f"\nof {case!r:.2000}")

    def test_odd_requests_pass_and_mean_the_same_to_all(self):
        for name, count, case in corpus("accepted"):
            with self.subTest(name):
                outcome = self.bench.check(case)
                self.assert_nothing_found(outcome.findings, case)
                self.assertEqual(outcome.statuses, [200] * (count or 1))
                self.assertEqual(len(outcome.requests), count or 1)

    def test_malformed_requests_reach_no_server(self):
        for name, status, case in corpus("refused"):
            with self.subTest(name):
                outcome = self.bench.check(case)
                self.assert_nothing_found(outcome.findings, case)
                self.assertEqual(outcome.requests, [])
                if status:
                    self.assertEqual(outcome.statuses, [status])
                    self.assertEqual(outcome.bytewise_statuses, [status])
                else:
                    self.assertNotIn(200, outcome.statuses)

    def test_servers_behind_the_proxy_get_what_was_captured(self):
        for verdict in ("accepted", "refused"):
            for name, _, case in corpus(verdict):
                with self.subTest(name):
                    self.assert_nothing_found(self.bench.check_live(case), case)

    def test_mutated_requests_mean_the_same_to_all_or_nothing(self):
        generator = Generator([case for verdict in ("accepted", "refused") for _, _, case in corpus(verdict)], SEED)
        forwarded = 0
        for number in range(MUTATED_CASES):
            case = generator.next()
            with self.subTest(number):
                outcome = self.bench.check(case)
                self.assert_nothing_found(outcome.findings, case)
                forwarded += len(outcome.requests)
        # Mutations that are all refused would show nothing.
        self.assertGreater(forwarded, MUTATED_CASES // 4)


if __name__ == "__main__":
    unittest.main()

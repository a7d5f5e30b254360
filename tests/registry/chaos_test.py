"""chaos_test - libsrsd beside all that can happen to an ensemble of three and to the network before it: each scenario
of tests/chaos once, then faults at random from a fixed seed. When all is healed, what is believed is compared with what
ZooKeeper holds, at last with what its own shell lists. A client of Kazoo takes part. bench/chaos goes on for minutes.

CHAOS_SEED=N draws other faults.
"""

import os
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

import at_random  # noqa: E402
import checker  # noqa: E402
import cluster  # noqa: E402
import product  # noqa: E402
import scenarios  # noqa: E402

SEED = int(os.environ.get("CHAOS_SEED", "20"))
STORMS = 2
STORM_SECONDS = 8

# What is allocated is compared when the registry holds the same. A sanitizer's allocator says nothing, but looks for
# leaks when the client ends.
HEAP_MORE_MAX_BYTES = 8 * 1024


class ChaosTest(unittest.TestCase):
    """One story on one cluster: a client that has survived much is the one to be tested further."""

    def test_what_is_believed_is_what_is_there(self):
        world = cluster.Cluster()
        self.addCleanup(world.close)
        draw = random.Random(SEED)
        self.assertEqual(checker.settle(world, world.srsd), [])
        for function in scenarios.ALL:
            self.tell(scenarios.play(world, function, draw))
        heap_bytes, descriptors = self.measure(world)
        for _ in range(STORMS):
            storm = at_random.Storm(STORM_SECONDS)
            try:
                self.tell(scenarios.play(world, storm, draw))
            except AssertionError as finding:
                raise AssertionError("\n".join([f"seed {SEED}", *storm.actions, str(finding)])) from None
        self.assertEqual(checker.shell_findings(world, world.srsd), [])
        heap_bytes_after, descriptors_after = self.measure(world)
        print(f"allocated: {heap_bytes:,} bytes, then {heap_bytes_after:,}; descriptors: {descriptors}, {descriptors_after}")
        self.assertLessEqual(descriptors_after, descriptors)
        self.assertLessEqual(heap_bytes_after, heap_bytes + HEAP_MORE_MAX_BYTES)
        self.assertEqual(world.srsd.quit(), 0, world.srsd.process.report())

    def measure(self, world):
        """What libsrsd's client has allocated, and how many descriptors it has open."""
        world.as_at_first()
        self.assertEqual(checker.settle(world, world.srsd), [])
        return world.srsd.heap_bytes(), world.srsd.descriptors()

    @staticmethod
    def tell(outcome):
        """What came of it, for who reads the log of a run."""
        said = [f"{outcome.name}: {outcome.seconds:.1f} s"]
        for client in ("srsd", "kazoo"):
            recovered = outcome.recovered[client]
            said.append(f"{client} " + ("not well" if recovered is None else f"well after {recovered:.2f} s")
                        + f", {1000 * outcome.cpu_seconds[client]:.0f} ms of CPU")
        print("; ".join(said), flush=True)


if __name__ == "__main__":
    unittest.main()

"""ensemble_test - the command on an ensemble of three: it goes on while any one of them is lost."""

import unittest

import product
from ensemble import Ensemble


class EnsembleTest(product.SystemTest):
    """One story, because an ensemble takes a while to start."""

    def test_watch_goes_on_while_servers_are_lost(self):
        ensemble = Ensemble()
        self.addCleanup(ensemble.close)
        ensemble.start()
        self.assertEqual(len(ensemble.followers()), 2)
        kazoo = ensemble.client(timeout=6)
        self.addCleanup(kazoo.close)
        self.addCleanup(kazoo.stop)
        watch = self.start("srsd", "watch", "app", "--zookeeper", ensemble.servers)
        label = f"{product.REGISTRY}/app"
        kazoo.retry(kazoo.create, f"{label}/192.0.2.1:80", makepath=True)
        seen = watch.wait_for_output(r"192\.0\.2\.1:80")

        leader = ensemble.leader()
        leader.kill()
        self.assertIsNot(ensemble.leader(), leader)
        kazoo.retry(kazoo.create, f"{label}/192.0.2.2:80")
        seen = watch.wait_for_output(r"192\.0\.2\.2:80", after=seen)

        leader.launch()
        ensemble.wait_until_serving([leader])
        follower = ensemble.followers()[0]
        follower.freeze()
        kazoo.retry(kazoo.create, f"{label}/192.0.2.3:80")
        follower.thaw()
        seen = watch.wait_for_output(r"192\.0\.2\.3:80", after=seen)

        ensemble.wait_until_serving()
        ensemble.roll()
        kazoo.retry(kazoo.create, f"{label}/192.0.2.4:80")
        watch.wait_for_output(r"192\.0\.2\.4:80", after=seen)
        listing = ensemble.shell("ls", label)[-1]
        self.assertEqual(listing, "[192.0.2.1:80, 192.0.2.2:80, 192.0.2.3:80, 192.0.2.4:80]")


if __name__ == "__main__":
    unittest.main()

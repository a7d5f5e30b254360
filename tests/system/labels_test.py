#!/usr/bin/python3
"""srsd labels on a real ZooKeeper."""

import json
import unittest

import product
from kazoo.security import make_digest_acl


class LabelsTest(product.SystemTest):
    """One after the other: what labels there are is what the test is about."""

    def labels(self, *arguments, status=0, servers=None):
        process = self.start("srsd", "labels", *arguments, "--zookeeper", servers or self.zookeeper.servers)
        self.assertEqual(process.wait_for_exit(), status, process.report())
        self.last = process
        return process.output

    def test_labels(self):
        self.zookeeper = self.start_zookeeper()
        kazoo = self.connect(self.zookeeper)
        self.assertEqual(self.labels(status=1), [])
        self.assertEqual(self.last.errors, [f"srsd: no label is registered under {product.REGISTRY}"])
        kazoo.ensure_path(product.REGISTRY)
        self.assertEqual(self.labels(status=1), [])
        names = ["192.0.2.1:80", "Shop", "caf\u00e9", "search", "shop", "tornado_app", "web:80"]
        for name in names:
            kazoo.create(f"{product.REGISTRY}/{name}")
        kazoo.create(f"{product.REGISTRY}/shop/192.0.2.1:80")
        ordered = sorted(names, key=lambda name: name.encode())
        self.assertEqual(self.labels(), ordered)
        self.assertEqual(self.last.errors, [])
        self.assertEqual([json.loads(line) for line in self.labels("--json")], [{"label": name} for name in ordered])
        registry, _, last = product.REGISTRY[1:].partition("/")
        self.assertEqual(self.labels("--registry", f"/{registry}"), [last])
        self.assertEqual(self.labels("--registry", "/", servers=f"{self.zookeeper.servers}{product.REGISTRY}"), ordered)
        self.assertEqual(self.labels("--registry", f"/{last}", servers=f"{self.zookeeper.servers}/{registry}"), ordered)
        self.assertEqual(self.labels("--registry", "/", status=64), [])
        self.assertRegex(self.last.errors[0], "give --registry")
        kazoo.create("/closed", acl=[make_digest_acl("somebody", "else", all=True)])
        self.assertEqual(self.labels("--registry", "/closed", status=77), [])
        self.zookeeper.stop()
        self.assertEqual(self.labels("--timeout", "300ms", status=69), [])


if __name__ == "__main__":
    unittest.main()

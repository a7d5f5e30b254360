#!/usr/bin/python3
"""Labels that belong to a user: srsd and the proxy with ZooKeeper's digest authentication."""

import os
import shutil
import tempfile
import unittest

import product
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl
from proxy import ProxyTest

ADDRESS = "192.168.149.134:8888"
PASSWORD = "open-sesame"
US = f"shop:{PASSWORD}"


class AccessTest(product.ZooKeeperTest):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="srsd-access-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def auth_file(self, text=US + "\n", mode=0o600):
        path = os.path.join(self.directory, "auth")
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def run_srsd(self, *arguments, **options):
        process = self.start_srsd(*arguments, **options)
        return process.wait_for_exit(), "\n".join(process.errors)

    def expect_no_password(self, process):
        """Neither in what it said nor in what others see of it."""
        self.assertNotIn(PASSWORD, "\n".join(process.output + process.errors))
        with open(f"/proc/{process.pid}/cmdline", encoding="ascii") as arguments:
            self.assertNotIn(PASSWORD, arguments.read())


class CommandTest(AccessTest):
    def test_a_label_of_ones_own(self):
        ours = self.start_srsd("register", self.label, ADDRESS, "--auth-file", self.auth_file(), "--verbose")
        ours.wait_for_output("^held")
        self.expect_no_password(ours)
        acl, _ = self.kazoo.get_acls(self.path())
        self.assertEqual({(entry.id.scheme, entry.perms) for entry in acl}, {("digest", 31), ("world", 1)})
        for attempt in (lambda: self.kazoo.delete(self.path(ADDRESS)), lambda: self.add("192.0.2.1:1"),
                        lambda: self.kazoo.delete(self.path())):
            self.assertRaises(NoAuthError, attempt)

        # Whoever wants to may read, and have labels; but not register here.
        reader = self.start_srsd("discover", self.label)
        self.assertEqual((reader.wait_for_exit(), reader.output), (0, [ADDRESS]))
        self.kazoo.create(f"{product.REGISTRY}/{self.label}_of_another", b"")
        for environment in ({}, {"SRSD_AUTH": "shop:wrong"}):
            theirs = self.start_srsd("register", self.label, "192.0.2.1:80", environment=environment)
            theirs.wait_for_output("^denied .*password")
            self.assertEqual(theirs.terminate(), 0)

        again = self.start_srsd("register", self.label, "192.0.2.1:80", environment={"SRSD_AUTH": US})
        again.wait_for_output("^held")
        self.assertEqual((again.terminate(), ours.terminate()), (0, 0))
        self.assertEqual(self.kazoo.get_children(self.path()), [])

    def test_a_label_that_was_open_before(self):
        self.kazoo.ensure_path(self.path())
        process = self.start_srsd("register", self.label, ADDRESS, "--auth-file", self.auth_file())
        process.wait_for_error(f"{self.path()}: everyone may register here.*setAcl")
        # As docs/operations.md says.
        self.zookeeper.shell("setAcl", self.path(), "digest:shop:not-this-one:cdrwa,world:anyone:r")
        self.assertRaises(NoAuthError, lambda: self.add("192.0.2.1:1"))

    def test_a_label_that_others_may_not_read(self):
        self.kazoo.ensure_path(product.REGISTRY)
        self.kazoo.add_auth("digest", US)
        self.kazoo.create(self.path(), acl=[make_digest_acl("shop", PASSWORD, all=True)])
        self.add(ADDRESS)
        self.assertEqual(self.run_srsd("discover", self.label)[0], 77)
        reader = self.start_srsd("discover", self.label, environment={"SRSD_AUTH": US})
        self.assertEqual((reader.wait_for_exit(), reader.output), (0, [ADDRESS]))

    def test_a_child_does_not_get_the_password(self):
        process = self.start("srsd", "register", self.label, "127.0.0.1:80", "--zookeeper", self.zookeeper.servers,
                             "--check", "none", "--", "/usr/bin/env", environment={"SRSD_AUTH": US})
        process.wait_for_exit()
        self.assertIn("PATH=", "\n".join(process.output))
        self.assertNotIn(PASSWORD, "\n".join(process.output))

    def test_what_is_no_file_of_a_user(self):
        cases = {"--auth-file: .*/auth has mode 0644: others could read or change": {"mode": 0o644},
                 "--auth-file: .*/auth does not hold one line user:password: it has no colon": {"text": PASSWORD}}
        for message, options in cases.items():
            code, said = self.run_srsd("discover", self.label, "--auth-file", self.auth_file(**options))
            self.assertEqual(code, 64)
            self.assertRegex(said, message)
            self.assertNotIn(PASSWORD, said)
        code, said = self.run_srsd("discover", self.label, "--auth-file", "/nowhere/auth")
        self.assertEqual(code, 64)
        self.assertIn("--auth-file: /nowhere/auth: No such file or directory", said)
        code, said = self.run_srsd("discover", self.label, environment={"SRSD_AUTH": PASSWORD})
        self.assertEqual(code, 64)
        self.assertIn("SRSD_AUTH: this is not user:password, as it should be: it has no colon", said)
        self.assertNotIn(PASSWORD, said)


class ProxyAccessTest(AccessTest, ProxyTest):
    def settings_with(self, auth_file):
        settings = self.settings()
        settings["zookeeper"] = {"servers": self.zookeeper.servers, "auth_file": auth_file}
        settings["services"] = [{"name": self.label}]
        settings["routes"] = [{"path": "/", "service": self.label}]
        return settings

    def test_reads_a_label_that_others_may_not_read(self):
        backend = self.start_backend()
        self.kazoo.ensure_path(product.REGISTRY)
        self.kazoo.add_auth("digest", US)
        self.kazoo.create(self.path(), acl=[make_digest_acl("shop", PASSWORD, all=True)])
        self.add(backend.name)
        proxy = self.start_proxy(settings=self.settings_with(self.auth_file()))
        self.wait_for_backends(proxy, backend.name, service=self.label)
        self.assertEqual(proxy.ask().served_by, backend.name)
        self.expect_no_password(proxy.process)
        # Another user is told why there is nothing.
        stranger = self.start_proxy(settings=self.settings_with(self.auth_file(text="stranger:else\n")))
        stranger.process.wait_for_error(r"cannot be read \(not authenticated\).*; give a user and a password that may read it")
        product.wait_until(lambda: "its label cannot be read" in stranger.admin("/ready").text, "/ready says so")

    def test_refuses_a_file_that_others_can_read(self):
        path = self.write_settings(self.settings_with(self.auth_file(mode=0o644)))
        for options in ([], ["--test"]):
            process = self.launch(path, *options)
            self.assertEqual(process.wait_for_exit(), 78)
            self.assertRegex("\n".join(process.errors), "zookeeper.auth_file: .*/auth has mode 0644: others could read")

    def test_a_dump_has_the_path_alone(self):
        path = self.auth_file()
        process = self.launch(self.settings_with(path), "--dump")
        self.assertEqual(process.wait_for_exit(), 0)
        self.assertIn(f"  auth_file: {path}", process.output)
        self.assertNotIn(PASSWORD, "\n".join(process.output + process.errors))


if __name__ == "__main__":
    unittest.main()

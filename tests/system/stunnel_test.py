"""stunnel_test - TLS to ZooKeeper by stunnel, with the configuration that docs/operations.md shows.

An ensemble of three takes TLS on a secure port; the test's relays stand before these ports and keep what passes. Of the
document's configuration only places are exchanged: ports, addresses, files; and it runs as who runs the test.
"""

import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

import product
import proxy
from ensemble import Ensemble

DOCUMENT = product.PROJECT / "docs/operations.md"
LABEL = proxy.LABEL
OTHER = "192.0.2.7:8888"

# What must never be seen between stunnel and a server.
SECRETS = (b"zk_registry", LABEL.encode(), OTHER.encode(), b"127.0.0.1:")


def documented(first_line):
    """The block of the document that begins with this line."""
    for block in re.findall(r"^```ini\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL):
        if block.startswith(first_line + "\n"):
            return block
    raise AssertionError(f"{DOCUMENT} has no block that begins with {first_line!r}")


class Certificates:
    """Two authorities; the first signed the certificates of servers and client, the second nobody's."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="srsd-certificates-"))
        for name in ("ca", "other-ca"):
            self._openssl("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        names = [f"zk{number}.example.org" for number in (1, 2, 3)]
        self._sign("server", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
        self._sign("client", "subjectAltName=DNS:client.example.org")

    def _openssl(self, *arguments):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=60)

    def _sign(self, name, extension):
        """NAME.pem: the key, and the certificate behind it."""
        self._openssl("-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={name}", "-addext", extension,
                      "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        parts = [self.path(f"{name}.{kind}").read_text() for kind in ("key", "crt")]
        self.path(f"{name}.pem").write_text("".join(parts))
        self.path(f"{name}.pem").chmod(0o600)

    def path(self, name):
        return self.directory / name

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Relay:
    """Passes connections on to a port, and keeps the bytes of both directions."""

    def __init__(self, target):
        self.target, self.seen, self._open = target, bytearray(), []
        self.port = product.free_port()
        self._listener = None
        self.listen()

    def listen(self):
        """Take connections, until close()."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while piece := source.recv(65536):
                self.seen += piece
                sink.sendall(piece)
        except OSError:
            pass
        self._end(source)
        self._end(sink)

    @staticmethod
    def _end(end):
        """A thread that waits for it would hold it open after close()."""
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        """End all connections, and take no more."""
        for end in [self._listener, *self._open]:
            self._end(end)
            end.close()
        self._open.clear()


class StunnelTest(proxy.ProxyTest):
    """One ensemble for all, because it takes a while to start; a label for each."""

    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates()
        cls.addClassCleanup(cls.certificates.close)
        cls.ensemble = Ensemble(more=cls.secure_lines)
        cls.addClassCleanup(cls.ensemble.close)
        cls.ensemble.start()

    @classmethod
    def secure_lines(cls, member):
        """What the document shows for zoo.cfg."""
        member.secure_port = product.free_port(member.address)
        lines = documented("secureClientPort=2281")
        lines = lines.replace("=2281", f"={member.secure_port}").replace("/etc/zookeeper/tls", str(cls.certificates.directory))
        return [f"secureClientPortAddress={member.address}", *lines.splitlines()]

    def setUp(self):
        self.relays = [Relay((member.address, member.secure_port)) for member in self.ensemble.members]
        for relay in self.relays:
            self.addCleanup(relay.close)

    def start_stunnel(self, *changes):
        """With the document's configuration, in which `changes` (before, after) were made. Returns the process, and
        the servers as our programs are given them."""
        text = documented("; /etc/stunnel/zookeeper.conf").replace("/etc/srsd/tls", str(self.certificates.directory))
        for before, after in changes:
            self.assertIn(before, text)
            text = text.replace(before, after)
        text = re.sub(r"^set[ug]id = .*\n", "", text, flags=re.MULTILINE)
        ports = []
        for number, relay in enumerate(self.relays, start=1):
            ports.append(product.free_port())
            for before, after in ((f"127.0.0.1:1218{number}", f"127.0.0.1:{ports[-1]}"),
                                  (f"zk{number}.example.org:2281", f"127.0.0.1:{relay.port}")):
                self.assertEqual(text.count(before), 1, before)
                text = text.replace(before, after)
        path = self.certificates.path(f"zookeeper-{ports[0]}.conf")
        path.write_text(text)
        stunnel = self.start_program("stunnel4", str(path))
        stunnel.wait_for_error("Configuration successful")
        return stunnel, ",".join(f"127.0.0.1:{port}" for port in ports)

    def assert_nothing_in_clear(self):
        for relay in self.relays:
            for secret in SECRETS:
                self.assertNotIn(secret, bytes(relay.seen))

    def owner(self, kazoo, address):
        """The session that has the node; 0 while it is not there."""
        stat = kazoo.exists(f"{proxy.LABEL_PATH}/{address}")
        return stat.ephemeralOwner if stat else 0

    def test_everything_goes_through_and_survives_the_loss_of_servers(self):
        _, servers = self.start_stunnel()
        backend = self.start_backend()
        name = f"127.0.0.1:{backend.port}"
        register = self.start("srsd", "register", LABEL, name, "--zookeeper", servers, "-v")
        register.wait_for_error("connected to 127.0.0.1:")
        watch = self.start("srsd", "watch", LABEL, "--zookeeper", servers)
        watch.wait_for_output(re.escape(name))
        daemon = self.start_proxy(zookeeper=servers)
        self.wait_for_backends(daemon, name)
        self.assertEqual(daemon.ask().served_by, name)

        kazoo = self.ensemble.client(timeout=20)
        self.addCleanup(kazoo.close)
        self.addCleanup(kazoo.stop)
        owner = self.owner(kazoo, name)
        ports = [int(port) for port in re.findall(r":(\d+)", servers)]
        line = next(line for line in register.errors if "connected to" in line)
        victim = self.ensemble.members[ports.index(int(re.search(r"connected to 127\.0\.0\.1:(\d+)", line).group(1)))]
        seen = len(register.errors)
        victim.kill()
        register.wait_for_error("connected to 127.0.0.1:.*same session", after=seen)
        self.assertEqual(kazoo.retry(self.owner, kazoo, name), owner)

        seen = len(register.errors)
        for relay in self.relays:
            relay.close()
        register.wait_for_error("connection lost", after=seen)
        for relay in self.relays:
            relay.listen()
        register.wait_for_error("connected to 127.0.0.1:.*same session", after=seen)
        self.assertEqual(kazoo.retry(self.owner, kazoo, name), owner)

        kazoo.retry(kazoo.create, f"{proxy.LABEL_PATH}/{OTHER}")
        watch.wait_for_output(re.escape(OTHER))
        self.wait_for_backends(daemon, name, OTHER)
        self.assertEqual(register.terminate(), 0)
        self.wait_for_backends(daemon, OTHER)
        kazoo.delete(f"{proxy.LABEL_PATH}/{OTHER}")

        self.assertGreater(sum(len(relay.seen) for relay in self.relays), 5000)
        self.assert_nothing_in_clear()
        victim.launch()
        self.ensemble.wait_until_serving()

    def assert_refused(self, reason, *changes):
        """With these changes no session comes about, stunnel says why, and nothing was said in clear."""
        stunnel, servers = self.start_stunnel(*changes)
        discover = self.start("srsd", "discover", LABEL, "--zookeeper", servers, "--timeout", "2s")
        self.assertEqual(discover.wait_for_exit(), 69, discover.report())
        self.assertTrue(any("Connection reset by peer" in line for line in discover.errors), discover.report())
        stunnel.wait_for_error(reason)
        self.assertGreater(sum(len(relay.seen) for relay in self.relays), 100)
        self.assert_nothing_in_clear()

    def test_a_certificate_of_another_host_is_refused(self):
        self.assert_refused("CERT: Subject checks failed", *(
            (f"checkHost = zk{number}.example.org", f"checkHost = zk{number}.example.net") for number in (1, 2, 3)))

    def test_a_certificate_of_another_authority_is_refused(self):
        self.assert_refused("CERT: Pre-verification error", ("/ca.pem", "/other-ca.pem"))

    def test_a_client_without_a_certificate_is_refused(self):
        # One Java says the one, another the other.
        self.assert_refused("alert (bad certificate|handshake failure)", (f"cert = {self.certificates.path('client.pem')}\n", ""))

    def test_a_tunnel_to_nobody_says_so(self):
        """What the document says of a server that is down: the tunnel takes the connection and closes it."""
        for relay in self.relays:
            relay.close()
        stunnel, servers = self.start_stunnel()
        discover = self.start("srsd", "discover", LABEL, "--zookeeper", servers, "--timeout", "2s")
        self.assertEqual(discover.wait_for_exit(), 69)
        self.assertTrue(any("Connection reset by peer" in line for line in discover.errors), discover.report())
        stunnel.wait_for_error("Connection refused")


if __name__ == "__main__":
    unittest.main()

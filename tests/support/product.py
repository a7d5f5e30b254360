"""product - what the system tests stand on: real processes, a private ZooKeeper, and waiting with a deadline.

Every child is owned by the object that started it, is stopped by its process id, and dies with the test even when
the test is killed. Run a test file through CTest (add_system_test in tests/CMakeLists.txt), or by hand:

    SRSD_BIN=build/bin PYTHONPATH=tests/support tests/system/command_test.py -v CommandTest.test_version
"""

import errno
import logging
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from kazoo.client import KazooClient
from kazoo.handlers.threading import KazooTimeoutError

PROJECT = pathlib.Path(__file__).resolve().parents[2]
REGISTRY = "/zk_registry/data"
SANITIZER_FINDING = re.compile(r"ERROR: [A-Za-z]+Sanitizer|runtime error:|WARNING: ThreadSanitizer")

# How long a test waits for what must come. Generous: a loaded machine is slow, and a test that passes waits for less.
DEADLINE_SECONDS = 60

# Kazoo reports each server that we kill.
logging.getLogger("kazoo").addHandler(logging.NullHandler())
logging.getLogger("kazoo").propagate = False


def binary(name):
    """The path of one of our programs, as built."""
    folder = os.environ.get("SRSD_BIN")
    if not folder:
        raise RuntimeError("set SRSD_BIN to the folder of the built programs, <build>/bin, or run this through ctest")
    path = pathlib.Path(folder) / name
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there: build it first")
    return str(path)


# What free_port() has handed out: bound as long as this process lives.
_reservations = []


def _reserve(addresses, port):
    """Have the port of all these addresses bound. Returns whether it could be."""
    taken = []
    for address in addresses:
        taken.append(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
        try:
            taken[-1].bind((address, port))
        except OSError as error:
            for reservation in taken:
                reservation.close()
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    for reservation in taken:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _reservations.extend(taken)
    return True


def free_port(*addresses):
    """A port of these addresses of this machine (127.0.0.1) below the range that outgoing connections are given, which
    nobody else is given as long as this process lives: it stays bound. It was bound without SO_REUSEADDR, so nobody had
    it; with it from then on whoever asks for that too, as servers do, can listen there. Nothing listens before, so
    connections are refused. OSError: there is no such address."""
    for _ in range(1000):
        port = random.randint(10000, 32767)
        if _reserve(addresses or ("127.0.0.1",), port):
            return port
    raise RuntimeError("no free port between 10000 and 32767 in 1000 tries")


def is_in_chroot():
    """Is what this process has for its root no root of a file system?"""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return all(line.split()[4] != "/" for line in mounts)


def unshare(*namespaces):
    """The words before a command that shall run in namespaces of its own; whoever is not root becomes it in there.
    In a chroot nobody can say that mounts shall stay in there: they do where the mount below is private, as usual."""
    has_mounts = any(namespace.startswith("--mount") for namespace in namespaces)
    return ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]),
            *(["--propagation", "unchanged"] if has_mounts and is_in_chroot() else []), *namespaces]


def wait_until(condition, what, deadline_seconds=DEADLINE_SECONDS):
    """Ask `condition` until it returns something true, and return that. `what` names it for the failure's text."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        outcome = condition()
        if outcome:
            return outcome
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_seconds} s: {what}")
        time.sleep(0.02)


class Process:
    """A child process whose standard output and standard error are kept as lists of lines.
    `output`: what is told of lines of standard output instead of a list, by append()."""

    def __init__(self, arguments, environment=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, directory=None,
                 output=None):
        self.arguments = [os.fsdecode(argument) for argument in arguments]
        self.output, self.errors = [] if output is None else output, []
        # setpriv becomes the program, which is killed when this thread ends, however it ends.
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *arguments],
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=directory,
            env={**os.environ, **(environment or {})})
        self.pid = self.popen.pid
        self._readers = []
        for stream, lines in ((self.popen.stdout, self.output), (self.popen.stderr, self.errors)):
            if stream is not None:
                self._readers.append(threading.Thread(target=self._read, args=(stream, lines), daemon=True))
                self._readers[-1].start()

    @staticmethod
    def _read(stream, lines):
        with stream:
            for line in stream:
                lines.append(line.decode("utf-8", "surrogateescape").rstrip("\n"))

    def is_running(self):
        return self.popen.poll() is None

    def report(self):
        """Everything the process said, for the text of a failure."""
        lines = [f"--- {' '.join(self.arguments)} (process {self.pid}, exit status {self.popen.poll()})"]
        lines += [f"    out: {line}" for line in self.output]
        lines += [f"    err: {line}" for line in self.errors]
        return "\n".join(lines)

    def wait_for_output(self, pattern, after=0, deadline_seconds=DEADLINE_SECONDS):
        """Wait for a line of standard output that matches, not looking at the first `after` lines.
        Returns the number of lines up to and with it, to be given as `after` for what must follow."""
        return self._wait_for_line(self.output, pattern, after, deadline_seconds)

    def wait_for_error(self, pattern, after=0, deadline_seconds=DEADLINE_SECONDS):
        """The same for standard error."""
        return self._wait_for_line(self.errors, pattern, after, deadline_seconds)

    def _wait_for_line(self, lines, pattern, after, deadline_seconds):
        def find():
            ended = not any(reader.is_alive() for reader in self._readers)
            for number, line in enumerate(lines[after:], start=after + 1):
                if re.search(pattern, line):
                    return number
            if ended:
                raise AssertionError(f"{pattern!r} never came before the end of the output\n{self.report()}")
            return None

        try:
            return wait_until(find, f"a line {pattern!r}", deadline_seconds)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.report()}") from None

    def wait_for_exit(self, deadline_seconds=DEADLINE_SECONDS):
        """Wait for its end and for the end of what it said. Returns the exit status, -N when signal N ended it."""
        try:
            status = self.popen.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline_seconds} s\n{self.report()}") from None
        for reader in self._readers:
            reader.join(DEADLINE_SECONDS)
        return status

    def signal(self, number):
        self.popen.send_signal(number)

    def freeze(self):
        """Stop it (SIGSTOP). Its threads stop one after the other: returns when the last one has."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def terminate(self):
        """Ask it to end (SIGTERM) and wait. Returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_for_exit()

    def kill(self):
        """End it (SIGKILL) and wait. Returns the exit status."""
        self.signal(signal.SIGKILL)
        return self.wait_for_exit()

    def close(self):
        """Make sure that it has ended; fail if a sanitizer found something in it."""
        if self.is_running():
            self.kill()
        self.wait_for_exit()
        if any(SANITIZER_FINDING.search(line) for line in self.errors):
            raise AssertionError(f"a sanitizer reports\n{self.report()}")


class Reachable:
    """What is asked of one ZooKeeper server as of an ensemble: both have `servers`, the text that clients are given."""

    def client(self, servers=None, **options):
        """A connected Kazoo client. Its user stops and closes it."""
        client = KazooClient(hosts=servers or self.servers, **options)
        client.start(timeout=DEADLINE_SECONDS)
        return client

    def expire(self, session_id):
        """End somebody else's session at once: its owner learns of it when it comes back. Returns when it is over.

        The server makes a session's password from its number (ZooKeeperServer.generatePasswd), so a second client
        can take any session over and close it."""
        password = java_random_bytes(session_id ^ 0xB3415C00, 16)
        for _ in range(100):
            thief = KazooClient(hosts=self.servers, client_id=(session_id, password))
            try:
                thief.start(timeout=DEADLINE_SECONDS)
                # A dead session's number is answered with a new session.
                is_over = thief.client_id[0] != session_id
            except KazooTimeoutError:
                is_over = False  # its owner was quicker, and took it back
            finally:
                thief.stop()
                thief.close()
            if is_over:
                return
        raise AssertionError(f"session {session_id:#x} does not end")

    def shell(self, *command):
        """Run a command in ZooKeeper's own shell. Returns the lines it printed."""
        return zookeeper_shell(self.servers, *command)


class ZooKeeper(Reachable):
    """A private server on a port of its own. What it holds survives restart() but not close()."""

    def __init__(self, **environment):
        """`environment`: ZOOKEEPER_TICK_MS and what else tests/support/zookeeper-server takes."""
        self.directory = tempfile.mkdtemp(prefix="srsd-zookeeper-")
        self.port = None
        self.process = None
        self._environment = environment

    @property
    def servers(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Start it and wait until it serves. The port stays the same from the first start on."""
        for _ in range(20):
            port = self.port or free_port()
            self.process = Process(
                [str(PROJECT / "tests/support/zookeeper-server"), self.directory, str(port)], self._environment)
            wait_until(lambda: self.is_serving(port) or not self.process.is_running(), f"ZooKeeper on port {port}")
            if self.process.is_running():
                self.port = port
                return self
            self.process.wait_for_exit()
            if not any("Address already in use" in line for line in self.process.errors):
                break
        raise AssertionError(f"ZooKeeper does not start\n{self.process.report()}")

    @staticmethod
    def ask(port, word, address="127.0.0.1"):
        """The answer to a four-letter word. A server that is just starting may take it and never answer: OSError."""
        with socket.create_connection((address, port), timeout=2) as connection:
            connection.sendall(word)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer.decode()

    @classmethod
    def is_serving(cls, port):
        try:
            return cls.ask(port, b"srvr").startswith("Zookeeper version")
        except OSError:
            return False

    def sessions(self):
        """The numbers of the sessions that are alive."""
        return {int(number, 16) for number in re.findall(r"0x[0-9a-f]+", self.ask(self.port, b"dump"))} - {0}

    def stop(self):
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def close(self):
        try:
            if self.process is not None:
                self.process.close()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def zookeeper_shell(servers, *command):
    """Run a command in ZooKeeper's own shell on these servers. Returns the lines it printed."""
    jars = "zookeeper zookeeper-jute slf4j-api slf4j-simple netty-all metrics-core snappy-java commons-cli"
    classpath = ":".join(f"/usr/share/java/{jar}.jar" for jar in jars.split())
    return subprocess.run(
        ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
         "-cp", classpath, "org.apache.zookeeper.ZooKeeperMain", "-server", servers, *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=DEADLINE_SECONDS, check=True,
        text=True).stdout.splitlines()


def java_random_bytes(seed, count):
    """What java.util.Random(seed).nextBytes() gives, by the algorithm in that class's documentation."""
    state = (seed ^ 0x5DEECE66D) & (2**48 - 1)
    out = bytearray()
    while len(out) < count:
        state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        out += (state >> 16).to_bytes(4, "little")
    return bytes(out[:count])


class SystemTest(unittest.TestCase):
    """A test that starts processes: they end with it, and what they said is shown when it fails."""

    def run(self, result=None):
        self.processes = []
        result = result if result is not None else self.defaultTestResult()
        super().run(result)
        if any(getattr(test, "test_case", test) is self for test, _ in result.failures + result.errors):
            for process in self.processes:
                print(process.report(), file=sys.stderr)
        return result

    def start(self, name, *arguments, **options):
        """Start one of our programs. `options` are those of Process."""
        return self.start_program(binary(name), *arguments, **options)

    def start_program(self, *arguments, **options):
        """Start any program."""
        process = Process(arguments, **options)
        self.processes.append(process)
        self.addCleanup(process.close)
        return process

    def start_zookeeper(self, **environment):
        """Start a ZooKeeper for this test alone."""
        zookeeper = ZooKeeper(**environment)
        self.addCleanup(zookeeper.close)
        return zookeeper.start()

    def connect(self, zookeeper, **options):
        """A Kazoo client for this test alone."""
        client = zookeeper.client(**options)
        self.addCleanup(client.close)
        self.addCleanup(client.stop)
        return client


class SharedZooKeeper:
    """Of a SystemTest: all tests of the class share one ZooKeeper."""

    @classmethod
    def setUpClass(cls):
        cls.zookeeper = ZooKeeper()
        cls.addClassCleanup(cls.zookeeper.close)
        cls.zookeeper.start()


class EmptyRegistry(SharedZooKeeper):
    """Of a SystemTest: each test begins with an empty registry."""

    def setUp(self):
        self.kazoo = self.connect(self.zookeeper)
        if self.kazoo.exists(REGISTRY):
            self.kazoo.delete(REGISTRY, recursive=True)


class ZooKeeperTest(SharedZooKeeper, SystemTest):
    """Tests that share one ZooKeeper, which none of them may disturb; each has a label of its own."""

    def setUp(self):
        self.kazoo = self.connect(self.zookeeper)
        self.label = self.id().rpartition(".")[2]

    def path(self, address=None):
        """Where the label of this test stands, or an address under it."""
        return f"{REGISTRY}/{self.label}" + (f"/{address}" if address else "")

    def add(self, *addresses):
        """Register addresses the way any user of Kazoo does."""
        for address in addresses:
            self.kazoo.create(self.path(address), b"", ephemeral=True, makepath=True)

    def start_srsd(self, *arguments, **options):
        """srsd on this ZooKeeper."""
        return self.start("srsd", *arguments, "--zookeeper", self.zookeeper.servers, **options)

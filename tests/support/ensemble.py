"""ensemble - three private ZooKeeper servers that are one, on 127.0.0.1 to 127.0.0.3, each to be hurt by itself.

    ensemble = Ensemble().start()
    leader = ensemble.leader()
    leader.kill()
    ...
    leader.launch()
    ensemble.wait_until_serving()

Servers are children of the thread that starts them and die with it: start them from the main thread.
"""

import pathlib
import shutil
import socket
import struct
import tempfile
import time

from product import DEADLINE_SECONDS, PROJECT, Process, Reachable, ZooKeeper, free_port

SERVERS = 3
TICK_MS = 500

# Followers that are silent for so many ticks are given up by their leader, and a leader by its followers.
# A server that comes while another is frozen may wait for that one first, for as long as an election may take.
SYNC_TICKS = 6
INIT_TICKS = 12

# A connect request for a session of 2 s, and its closing: lengths, protocol, last transaction, timeout, session,
# password; request 1 of type -11.
SESSION_AND_GOODBYE = struct.pack(">iiqiqi16x", 44, 0, 0, 2000, 0, 16) + struct.pack(">iii", 8, 1, -11)


class Server:
    """One server of an ensemble. What it holds survives its death, but not wipe()."""

    def __init__(self, number, environment):
        self.number = number
        self.address = f"127.0.0.{number}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="srsd-ensemble-"))
        self.process = None
        self.is_frozen = False
        self._environment = environment
        self.choose_ports()

    def choose_ports(self):
        self.port, self.quorum_port, self.election_port = (free_port(self.address) for _ in range(3))

    @property
    def endpoint(self):
        return f"{self.address}:{self.port}"

    def launch(self):
        """Start it; it serves once two of the three run."""
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        (data / "myid").write_text(f"{self.number}\n")
        self.process = Process(
            [str(PROJECT / "tests/support/zookeeper-server"), str(self.directory), str(self.port), self.address],
            {"ZOOKEEPER_HEAP": "64m", "ZOOKEEPER_TICK_MS": str(TICK_MS), **self._environment})
        self.is_frozen = False

    def is_running(self):
        return self.process is not None and self.process.is_running()

    def kill(self):
        """SIGKILL, and wait for its end. Nothing if it does not run."""
        if self.is_running():
            self.process.kill()
        self.is_frozen = False

    def freeze(self):
        self.process.freeze()
        self.is_frozen = True

    def thaw(self):
        self.process.thaw()
        self.is_frozen = False

    def wipe(self):
        """Forget all that it stored. Only while it does not run."""
        if self.is_running():
            raise AssertionError(f"server {self.number} runs: kill it before its data are wiped")
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def ask(self, word):
        """The answer to a four-letter word; "" when there is none."""
        if not self.is_running() or self.is_frozen:
            return ""
        try:
            return ZooKeeper.ask(self.port, word, self.address)
        except OSError:
            return ""

    def mode(self):
        """"leader", "follower", or "" when it serves as neither."""
        for line in self.ask(b"srvr").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return ""

    def takes_sessions(self):
        """Does it give a session to who asks? It does a little later than it says what it is."""
        try:
            with socket.create_connection((self.address, self.port), timeout=2) as connection:
                connection.sendall(SESSION_AND_GOODBYE)
                answer = b""
                while len(answer) < 12:
                    piece = connection.recv(64)
                    if not piece:
                        return False
                    answer += piece
                return struct.unpack_from(">i", answer, 8)[0] > 0
        except OSError:
            return False

    def log(self):
        """What it said, for the text of a failure."""
        return self.process.report() if self.process is not None else f"server {self.number} never ran"

    def close(self):
        try:
            if self.process is not None:
                self.process.close()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


class Ensemble(Reachable):
    """Three servers. `servers` is the text that clients are given."""

    def __init__(self, more=None, **environment):
        """`more`: is given a member and returns further lines for its zoo.cfg; it is asked again when ports turn out to
        be taken. `environment`: what tests/support/zookeeper-server takes, ZOOKEEPER_HEAP for one."""
        self._more = more or (lambda member: [])
        self.members = [Server(number, environment) for number in range(1, SERVERS + 1)]

    @property
    def servers(self):
        return ",".join(member.endpoint for member in self.members)

    def _write_configuration(self):
        lines = [f"server.{member.number}={member.address}:{member.quorum_port}:{member.election_port}"
                 for member in self.members]
        for member in self.members:
            (member.directory / "zoo.extra").write_text("\n".join(
                [f"initLimit={INIT_TICKS}", f"syncLimit={SYNC_TICKS}", *lines, *self._more(member), ""]))

    def start(self):
        """Start all that do not run, and wait until each takes sessions."""
        is_first = all(member.process is None for member in self.members)
        for _ in range(5):
            if is_first:
                self._write_configuration()
            for member in self.members:
                if not member.is_running():
                    member.launch()
            try:
                self.wait_until_serving()
                return self
            except AssertionError:
                taken = [member for member in self.members
                         if any("Address already in use" in line for line in member.process.errors)]
                if not is_first or not taken:
                    raise
                # Somebody was faster than we: the others must know the new port too.
                for member in self.members:
                    member.kill()
                for member in taken:
                    member.choose_ports()
        raise AssertionError("no ports for an ensemble in 5 tries")

    def wait_until_serving(self, members=None, deadline_seconds=DEADLINE_SECONDS):
        """Wait until each of `members` (all) takes sessions."""
        deadline = time.monotonic() + deadline_seconds
        for member in members if members is not None else self.members:
            while not (member.mode() and member.takes_sessions()):
                if not member.is_running() or time.monotonic() > deadline:
                    raise AssertionError(f"server {member.number} does not serve\n{member.log()}")
                time.sleep(0.05)

    def leader(self, deadline_seconds=DEADLINE_SECONDS):
        """The server that leads; waits for one."""
        deadline = time.monotonic() + deadline_seconds
        while True:
            for member in self.members:
                if member.mode() == "leader":
                    return member
            if time.monotonic() > deadline:
                raise AssertionError("no server leads\n" + "\n".join(member.log() for member in self.members))
            time.sleep(0.05)

    def followers(self):
        """The servers that follow now."""
        return [member for member in self.members if member.mode() == "follower"]

    def roll(self):
        """Kill one, start it again, wait until it serves; then the next one."""
        for member in self.members:
            member.kill()
            member.launch()
            self.wait_until_serving([member])

    def kill(self):
        for member in self.members:
            member.kill()

    def wipe(self):
        """Forget all that any of them stored. Only while none runs."""
        for member in self.members:
            member.wipe()

    def back_up(self):
        """Keep what each of them stored until now."""
        for member in self.members:
            shutil.rmtree(member.directory / "backup", ignore_errors=True)
            shutil.copytree(member.directory / "data", member.directory / "backup")

    def restore(self):
        """Put back what back_up() kept. Only while none runs."""
        self.wipe()
        for member in self.members:
            shutil.copytree(member.directory / "backup", member.directory / "data")

    def heal(self):
        """Thaw what is frozen, start what does not run, wait until all serve."""
        for member in self.members:
            if member.is_frozen:
                member.thaw()
        return self.start()

    def close(self):
        for member in self.members:
            member.close()

"""subject - a client under test, libsrsd's or Kazoo's: what it was told to do, what it said, what it costs."""

import json
import os
import pathlib
import queue
import subprocess
import threading
import time

import product

FOLDER = pathlib.Path(__file__).resolve().parent
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
ANSWER_SECONDS = 60
LINES_KEPT = 400


class Told:
    """What a client said of itself, kept up to date by the thread that reads its output (Process.output)."""

    def __init__(self):
        self.state = None
        self.sets = {}  # label -> set of names
        self.registrations = {}  # (label, address) -> state
        self.own_change_at = 0.0  # when its session or a registration of its own changed last
        self.seen_at = {}  # (label, name) -> when it came into the set
        self.must_have = {}  # label -> names that were never away: a set without them is wrong
        self.wrong_moments = []
        self.conflicts = []
        self.states_seen = []
        self.beliefs = queue.Queue()
        self.lines = []

    def append(self, line):
        said = json.loads(line)
        if said["event"] == "belief":
            self.beliefs.put(said)
            return
        self.lines.append(line)
        del self.lines[:-LINES_KEPT]
        getattr(self, f"on_{said['event']}", lambda said: None)(said)

    def __iter__(self):
        return iter(self.lines)

    def on_state(self, said):
        self.state = said["state"]
        self.states_seen.append(self.state)
        self.own_change_at = said["t"]

    def on_registration(self, said):
        key = said["label"], said["address"]
        self.registrations[key] = said["state"]
        if said["state"] in ("conflict", "denied"):
            self.conflicts.append(f"{said['label']}/{said['address']} at {said['t']:.3f}: {said['text']}")
        if said["state"] == "released":
            del self.registrations[key]
        self.own_change_at = said["t"]

    def on_set(self, said):
        label = said["label"]
        names = (self.sets.get(label, set()) | set(said["added"])) - set(said["removed"])
        self.sets[label] = names
        for name in said["added"]:
            self.seen_at[label, name] = said["t"]
        missing = self.must_have.get(label, set()) - names
        if missing:
            self.wrong_moments.append(f"{label} without {sorted(missing)} at {said['t']:.3f}")


class Subject:
    """One client process behind links of its own."""

    def __init__(self, name, servers, session_timeout_ms, network=()):
        """`network`: a command that runs the client elsewhere, "nsenter --net --target PID"."""
        program = {"srsd": lambda: [product.binary("chaos_client")],
                   "kazoo": lambda: ["/usr/bin/python3", "-B", str(FOLDER / "kazoo_client.py")]}[name]()
        self.name = name
        self.told = Told()
        self.wanted = set()  # (label, address)
        self.watched = set()
        self.is_frozen = False
        self.process = product.Process(
            [*network, *program, servers, product.REGISTRY, str(session_timeout_ms)],
            # Without a cache of freed pieces in each thread, which the allocator counts as used.
            {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}, stdin=subprocess.PIPE, output=self.told)
        self.pid = self.process.pid
        self._lock = threading.Lock()

    def command(self, *words):
        with self._lock:
            self.process.popen.stdin.write((" ".join(words) + "\n").encode())
            self.process.popen.stdin.flush()

    def watch(self, label):
        self.watched.add(label)
        self.command("watch", label)

    def register(self, label, address):
        self.wanted.add((label, address))
        self.command("register", label, address)

    def deregister(self, label, address):
        self.wanted.discard((label, address))
        self.command("deregister", label, address)

    def belief(self):
        """All that it believes now, asked of the client itself."""
        while not self.told.beliefs.empty():
            self.told.beliefs.get()
        self.command("belief")
        try:
            return self.told.beliefs.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise AssertionError(f"{self.name} does not answer\n{self.process.report()}") from None

    def freeze(self):
        self.process.freeze()
        self.is_frozen = True

    def thaw(self):
        self.process.thaw()
        self.is_frozen = False

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_SECONDS

    def heap_bytes(self):
        """What it has allocated (libsrsd's client only)."""
        return self.belief()["heap_bytes"]

    def descriptors(self):
        return len(list(pathlib.Path(f"/proc/{self.pid}/fd").iterdir()))

    def wait_for(self, condition, what, deadline_seconds=product.DEADLINE_SECONDS):
        product.wait_until(lambda: condition(self.told), f"{self.name}: {what}", deadline_seconds)

    def quit(self):
        """Ask it to end. Returns its exit status."""
        self.command("quit")
        return self.process.wait_for_exit()

    def close(self):
        if self.is_frozen:
            self.thaw()
        self.process.close()
        self.process.popen.stdin.close()


def now():
    """The clock by which clients and scenarios tell time."""
    return time.monotonic()

"""cluster - all that takes part in a chaos run: an ensemble of three, a client of libsrsd and one of Kazoo, between
them a relay for each client and server, and a witness that goes around the relays to change the registry.

    srsd  --- relay srsd1, srsd2, srsd3 ----+
    kazoo --- relay kazoo1, kazoo2, kazoo3 -+--- servers 1, 2, 3 --- witness
"""

import contextlib
import json
import pathlib
import subprocess
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError, NotEmptyError
from kazoo.handlers.threading import KazooTimeoutError

import product
from ensemble import Ensemble
from namespace import Namespace
from subject import Subject, now

FOLDER = pathlib.Path(__file__).resolve().parent
SESSION_TIMEOUT_MS = 3000
REGISTERED_LABELS = ["alpha", "beta", "gamma"]
STEADY_LABEL = "steady"
LATE_LABEL = "late"  # its node comes in the middle of the run
LABELS = [*REGISTERED_LABELS, STEADY_LABEL, LATE_LABEL]
REGISTRATIONS_PER_LABEL = 4
STEADY = [f"192.0.2.{number}:80" for number in range(200, 210)]
MARKER_SECONDS = 60


def address_of(subject_name, number):
    """Addresses that only this client registers."""
    network = {"srsd": "192.0.2", "kazoo": "198.51.100"}[subject_name]
    return f"{network}.{number}:8001"


def path_of(label, name=None):
    return f"{product.REGISTRY}/{label}" + (f"/{name}" if name else "")


class Relays:
    """The process of relay.py, and what its links are told."""

    def __init__(self, links):
        """`links`: {name: (listening endpoint, server's endpoint)}."""
        self.process = product.Process(
            ["/usr/bin/python3", "-B", str(FOLDER / "relay.py"),
             *(f"{name}={listen}={server}" for name, (listen, server) in links.items())],
            stdin=subprocess.PIPE)
        self.names = list(links)
        self._answers = 0
        self.newest_connections()

    def _ask(self, **command):
        self.process.popen.stdin.write((json.dumps(command) + "\n").encode())
        self.process.popen.stdin.flush()
        self._answers = self.process.wait_for_output("newest", after=self._answers)
        return json.loads(self.process.output[self._answers - 1])["newest"]

    def set(self, names, mode, delay_ms=0, bytes_per_second=0):
        self._ask(links=list(names), mode=mode, delay_ms=delay_ms, bytes_per_second=bytes_per_second)

    def newest_connections(self):
        """{link: number of its newest connection, 0: none}. A dropping link does not learn of a connection's end."""
        return self._ask()

    def close(self):
        self.process.close()
        self.process.popen.stdin.close()


class Cluster:
    """Begin it, hurt it by the scenarios, close it. Its processes are children of the thread that makes it."""

    def __init__(self, is_apart=False):
        """`is_apart`: the clients run in a network namespace, which needs root."""
        self._stack = contextlib.ExitStack()
        self.namespace = None
        self.markers = 0
        self.steady = {label: set(STEADY) for label in [*REGISTERED_LABELS, STEADY_LABEL]}
        try:
            self._begin(is_apart)
        except BaseException:
            self._stack.close()
            raise

    def _begin(self, is_apart):
        self.ensemble = Ensemble()
        self._stack.callback(self.ensemble.close)
        self.ensemble.start()
        if is_apart:
            self.namespace = Namespace(member.number for member in self.ensemble.members)
            self._stack.callback(self.namespace.close)
        links = {}
        for name in ("srsd", "kazoo"):
            for member in self.ensemble.members:
                address = self.namespace.address(member.number) if is_apart else member.address
                links[f"{name}{member.number}"] = (f"{address}:{product.free_port(address)}", member.endpoint)
        self.relays = Relays(links)
        self._stack.callback(self.relays.close)
        self.witness = self.ensemble.client(timeout=10)
        self._stack.callback(lambda: (self.witness.stop(), self.witness.close()))
        self.make_steady_nodes()
        self._client_servers = {name: ",".join(links[f"{name}{member.number}"][0] for member in self.ensemble.members)
                                for name in ("srsd", "kazoo")}
        self.subjects = {}
        self._stack.callback(lambda: [subject.close() for subject in self.subjects.values()])
        for name in ("srsd", "kazoo"):
            self._start_subject(name, self.first_wishes(name))

    @staticmethod
    def first_wishes(name):
        return [(label, address_of(name, number + 1))
                for number, label in enumerate(REGISTERED_LABELS * REGISTRATIONS_PER_LABEL)]

    def as_at_first(self):
        """Have both clients register what they did at first, and the labels hold that and the steady nodes alone: so
        that what the clients need can be compared."""
        for label in LABELS:
            for name in set(self.children(label)) - self.steady.get(label, set()):
                if not name.endswith(":8001"):
                    self.remove_node(label, name)
        for name, subject in self.subjects.items():
            first = set(self.first_wishes(name))
            for wish in sorted(subject.wanted - first):
                subject.deregister(*wish)
            for wish in sorted(first - subject.wanted):
                subject.register(*wish)

    def _start_subject(self, name, wishes):
        subject = self.subjects[name] = Subject(
            name, self._client_servers[name], SESSION_TIMEOUT_MS, self.namespace.enter if self.namespace else ())
        for label in LABELS:
            subject.watch(label)
        for label, address in wishes:
            subject.register(label, address)

    @property
    def srsd(self):
        return self.subjects["srsd"]

    @property
    def kazoo(self):
        return self.subjects["kazoo"]

    def restart_kazoo(self):
        """It does not come back by itself from everything, and is to take part in what follows."""
        wishes = sorted(self.kazoo.wanted)
        self.kazoo.close()
        self._start_subject("kazoo", wishes)

    def close(self):
        self._stack.close()

    # ---- The registry, as the witness changes it ----------------------------------------------------------------

    def ask(self, call, *arguments, **options):
        """Call the witness' method of that name until it succeeds or says something of the node, as it must within a
        minute once servers answer. Kazoo's own calls wait for ever when the connection does not come back."""
        deadline = now() + product.DEADLINE_SECONDS
        while True:
            try:
                return getattr(self.witness, f"{call}_async")(*arguments, **options).get(timeout=5)
            except (NoNodeError, NodeExistsError, NotEmptyError):
                raise
            except (KazooException, KazooTimeoutError):
                if now() > deadline:
                    raise
                time.sleep(0.05)

    def renew_witness(self):
        """Kazoo never leaves a session that servers refuse because it has seen more than a wiped server knows."""
        with contextlib.suppress(AssertionError):
            product.wait_until(lambda: self.witness.connected, "the witness connects", 2)
            return
        self.witness.stop()
        self.witness.close()
        self.witness = self.ensemble.client(timeout=10)

    def make_node(self, label, name):
        with contextlib.suppress(NodeExistsError):
            self.ask("create", path_of(label, name), b"", makepath=True)

    def remove_node(self, label, name):
        with contextlib.suppress(NoNodeError):
            self.ask("delete", path_of(label, name))

    def children(self, label):
        try:
            return self.ask("get_children", path_of(label))
        except NoNodeError:
            return []

    def make_steady_nodes(self):
        for label, names in self.steady.items():
            for name in names - set(self.children(label)):
                self.make_node(label, name)

    def delete_label(self, label):
        """The node of a label with all that is below, whoever comes back meanwhile."""
        for _ in range(1000):
            for name in self.children(label):
                self.remove_node(label, name)
            try:
                self.ask("delete", path_of(label))
                return
            except NoNodeError:
                return
            except NotEmptyError:
                continue
        raise AssertionError(f"{label} cannot be deleted")

    def attempt(self, call, *arguments, **options):
        """Try to change something while nobody knows who serves; whatever came of it, what is there counts."""
        with contextlib.suppress(KazooException, KazooTimeoutError):
            getattr(self.witness, f"{call}_async")(*arguments, **options).get(timeout=0.3)

    def attempt_delete_label(self, label):
        with contextlib.suppress(KazooException, KazooTimeoutError):
            for name in self.witness.get_children_async(path_of(label)).get(timeout=0.3):
                self.witness.delete_async(path_of(label, name))
            self.witness.delete_async(path_of(label)).get(timeout=0.3)

    def steal(self, subject, patience_seconds):
        """End a client's session by its number and password, if servers answer within that time."""
        belief = subject.belief()
        if not belief["session"]:
            return
        thief = KazooClient(hosts=self.ensemble.servers,
                            client_id=(belief["session"], bytes.fromhex(belief["password"])))
        with contextlib.suppress(KazooException, KazooTimeoutError):
            thief.start(timeout=patience_seconds)
        thief.stop()
        thief.close()

    # ---- Links --------------------------------------------------------------------------------------------------

    def links(self, subjects=None, servers=None):
        """Names of links: of those clients, to the servers of those numbers."""
        return [f"{name}{number}" for name in (subjects or self.subjects)
                for number in (servers or [member.number for member in self.ensemble.members])]

    def follower(self):
        """A server that follows; waits for one."""
        return product.wait_until(self.ensemble.followers, "a server follows")[0]

    def used_server(self, subject):
        """Number of the server that this client connected to last; 0: to none."""
        newest = {name: number for name, number in self.relays.newest_connections().items()
                  if name.startswith(subject.name)}
        name = max(newest, key=newest.get)
        return int(name[-1]) if newest[name] else 0

    # ---- Healing ------------------------------------------------------------------------------------------------

    def heal(self):
        """Mend all that is broken. Returns when the first server took sessions and all links passed."""
        self.relays.set(self.links(), "pass")
        if self.namespace is not None:
            self.namespace.mend()
        for subject in self.subjects.values():
            if subject.is_frozen:
                subject.thaw()
        for member in self.ensemble.members:
            if member.is_frozen:
                member.thaw()
            elif not member.is_running():
                member.launch()
        product.wait_until(lambda: any(member.takes_sessions() for member in self.ensemble.members),
                           "a server takes sessions")
        healed_at = now()
        self.ensemble.wait_until_serving()
        self.renew_witness()
        self.make_steady_nodes()
        return healed_at

    def guard(self, is_on):
        """From now on a set without the steady members is wrong (or, while they are removed on purpose, is not)."""
        for subject in self.subjects.values():
            subject.told.must_have = dict(self.steady) if is_on else {}

    def change_and_see(self, names=("srsd", "kazoo")):
        """Make one more node. Returns {client: seconds until it knew, None: it never did} for clients of those names."""
        self.markers += 1
        label, name = LABELS[self.markers % len(LABELS)], f"203.0.113.{self.markers % 250 + 1}:{10000 + self.markers}"
        began = now()
        self.make_node(label, name)
        seen = {}
        for subject in map(self.subjects.get, names):
            try:
                # Kazoo's delays grow without a bound that would be worth to wait for.
                subject.wait_for(lambda told: (label, name) in told.seen_at, f"sees {label}/{name}",
                                 MARKER_SECONDS if subject is self.srsd else 5)
                seen[subject.name] = subject.told.seen_at.pop((label, name)) - began
            except AssertionError:
                if subject is self.srsd:
                    raise
                seen[subject.name] = None
        self.remove_node(label, name)
        return seen

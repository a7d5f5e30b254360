"""failover - for the tests of what the proxy does when backends die: backends that fail as they are told, and a load that does
not wait for them.

    backends = self.start_backends(5)
    proxy = self.start_proxy_of(backends)
    with Load(proxy.port) as load:
        load.run_for(1)
        backends[0].kill()
        load.run_for(1)
    self.assertEqual(load.failed("GET"), [])
"""

import collections
import itertools
import json
import re
import signal
import socket
import subprocess
import threading
import time

import product
from proxy import LABEL, ProxyTest

REQUESTS_PER_SECOND = 250
CLIENTS = 48
# What the proxy is to tell: each change of what it believes, and each request that failed.
TELLING = ("--set", "log.level=debug", "--set", "log.access=stderr", "--set", "log.access_if=failed")

POST_EVERY = 5  # of so many requests one is a POST
END_SECONDS = 0.05  # the ends of a killed backend's connections may be on their way for so long


class MoodyBackend:
    """A process of tests/support/moody_backend.c. `mood` is what stands there; `executed` the requests that it has had whole."""

    def __init__(self, test, delay_ms=5, address="127.0.0.1", inside=()):
        """`inside`: words before the command, that put it into a namespace."""
        self._test, self._delay_ms, self._address, self._inside = test, delay_ms, address, inside
        self.port = 0 if inside else product.free_port(address)
        self.executed = []
        self.kills = []  # of each of its ends by kill(): when it began, and when it was over
        self.process = None
        self.start()

    def start(self):
        """Start it, again at the same port if it was there before."""
        self.process = self._test.start_program(
            *self._inside, product.binary("moody_backend"), str(self.port), str(self._delay_ms), self._address,
            stdin=subprocess.PIPE, output=Executed(self.executed))
        self._test.addCleanup(self.process.popen.stdin.close)
        said = self.process.output.wait_for("listening ")
        self.port = int(said.rpartition(":")[2])

    @property
    def name(self):
        return f"{self._address}:{self.port}"

    def be(self, mood):
        """Have it do so with requests from now on."""
        be_together([self], mood)

    def kill(self):
        kill_together([self])

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()


def be_together(backends, mood):
    """Have all of them do so with requests from now on, at the same moment."""
    for backend in backends:
        backend.process.popen.stdin.write(mood.encode() + b"\n")
        backend.process.popen.stdin.flush()
    for backend in backends:
        backend.process.output.wait_for(f"now {mood}")


def kill_together(backends):
    """End all of them (SIGKILL), at the same moment."""
    begun = time.monotonic()
    for backend in backends:
        backend.process.signal(signal.SIGKILL)
    for backend in backends:
        backend.process.wait_for_exit()
        backend.kills.append((begun, time.monotonic()))


class Executed:
    """What a backend says: what it executed goes onto the list that is given, the rest is kept until it is waited for."""

    def __init__(self, executed):
        self.executed, self.said = executed, []

    def append(self, line):
        (self.said if line.startswith(("listening ", "now ")) else self.executed).append(line)

    def wait_for(self, beginning):
        def find():
            return next((line for line in self.said if line.startswith(beginning)), None)

        line = product.wait_until(find, f"a backend says {beginning!r}")
        self.said.remove(line)
        return line

    def __iter__(self):
        return iter(self.said)


Result = collections.namedtuple("Result", "request begun seconds outcome served_by")


class Load:
    """Requests at fixed times, whatever becomes of those before, on connections that are kept. Each has a target of its
    own. `results`: one for each, with the status for its outcome, or the words for what happened instead."""

    _numbers = itertools.count()

    def __init__(self, port, requests_per_second=REQUESTS_PER_SECOND, post_every=POST_EVERY, clients=CLIENTS):
        self.results = []
        self._under_way = {}  # when the request of each thread was begun
        self.connections_lost = 0  # that the proxy closed, between requests or with one
        self._port, self._period, self._post_every = port, 1 / requests_per_second, post_every
        self._lock = threading.Lock()
        self._due = time.monotonic()
        self._is_over = False
        self._threads = [threading.Thread(target=self._run_client, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Send no more, and wait for the answers."""
        self._is_over = True
        deadline = time.monotonic() + product.DEADLINE_SECONDS
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))

    @staticmethod
    def run_for(seconds):
        time.sleep(seconds)

    def run_until(self, condition, what):
        product.wait_until(condition, what)

    def run_requests(self, count):
        """Until so many more have been answered."""
        until = len(self.results) + count
        product.wait_until(lambda: len(self.results) >= until, f"{count} more requests are answered")

    def run_through(self):
        """Until all that are under way now have been answered."""
        now = time.monotonic()
        product.wait_until(lambda: all(begun > now for begun in list(self._under_way.values())), "they are answered")

    def _next(self):
        """The method and target of the next request and when it is due; None at the end."""
        with self._lock:
            if self._is_over:
                return None
            self._due = max(self._due + self._period, time.monotonic() - 0.2)
            number = next(self._numbers)
            method = "POST" if self._post_every and number % self._post_every == 0 else "GET"
            return method, f"/{method.lower()}/{number}", self._due

    def _run_client(self):
        connection = None
        while (order := self._next()) is not None:
            method, target, due = order
            time.sleep(max(0, due - time.monotonic()))
            begun = self._under_way[threading.get_ident()] = time.monotonic()
            served_by = None
            try:
                if connection is None:
                    connection = Connection(self._port)
                outcome, served_by, is_open = connection.ask(method, target)
            except (OSError, ValueError) as error:
                outcome, is_open = f"{type(error).__name__}: {error}", False
            self.results.append(Result(f"{method} {target}", begun, time.monotonic() - begun, outcome, served_by))
            del self._under_way[threading.get_ident()]
            if not is_open:
                connection = self._drop(connection)
        if connection is not None:
            connection.close()

    def _drop(self, connection):
        with self._lock:
            self.connections_lost += 1
        if connection is not None:
            connection.close()

    # ---- What came of it ----

    def of(self, method):
        return [result for result in self.results if result.request.startswith(method)]

    def failed(self, method=""):
        return [result for result in self.of(method) if result.outcome != 200]

    def slow(self, method="", seconds=1):
        return [result for result in self.of(method) if result.seconds > seconds]

    def run_until_served_by(self, *backends):
        """Until each of these has answered one of the requests that begin from now on."""
        names, since = {backend.name for backend in backends}, time.monotonic()
        product.wait_until(lambda: names <= self.served(since).keys(), f"{sorted(names)} serve")

    def served(self, since=0):
        """{who: how many}, of requests that began since then."""
        return collections.Counter(
            result.served_by for result in self.results if result.outcome == 200 and result.begun >= since)


class Connection:
    """A client's connection that is kept: a reader of its own, which costs little and forgives nothing."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=product.DEADLINE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def _more(self):
        more = self._socket.recv(65536)
        if not more:
            raise ConnectionError("the connection ended" + (" in the middle of an answer" if self._received else ""))
        self._received += more

    def ask(self, method, target):
        """Status, who served it, and whether the connection lives on."""
        body = b"a body that is short" if method == "POST" else b""
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        self._socket.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\n".encode() + length + b"\r\n" + body)
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        fields = {name.lower(): value for name, value in re.findall(rb"\r\n([^:\r]+): *([^\r]*)", head)}
        left = int(fields[b"content-length"])
        while len(self._received) < left:
            self._more()
        self._received = self._received[left:]
        served_by = fields.get(b"x-served-by", b"").decode() or None
        return int(head.split(b" ", 2)[1]), served_by, fields.get(b"connection", b"").lower() != b"close"

    def close(self):
        self._socket.close()


class FailoverTest(ProxyTest):
    """A proxy of two workers before backends of moods."""

    def start_backends(self, count, **options):
        return [MoodyBackend(self, **options) for _ in range(count)]

    def start_proxy_of(self, backends, *options, health=None, retries=None, service=None, **changes):
        """`health`, `retries`, `service`: settings that differ."""
        settings = self.settings(static=[backend.name for backend in backends], **changes)
        settings["services"][0].update(service or {})
        if health:
            settings["services"][0]["health"] = health
        if retries:
            settings["retries"] = retries
        return self.start_proxy(*TELLING, *options, settings=settings)

    @staticmethod
    def entry(proxy, backend, service=LABEL):
        """What /backends says of one; None: it is not there."""
        for entry in json.loads(proxy.admin("/backends").text)["services"]:
            if entry["name"] == service:
                return next((one for one in entry["backends"] if one["address"] == backend.name), None)
        raise AssertionError(f"no service {service}")

    def state(self, proxy, backend):
        """None: it is not in the set."""
        entry = self.entry(proxy, backend)
        return entry and entry["state"]

    def wait_for_state(self, proxy, backend, *states):
        product.wait_until(lambda: self.state(proxy, backend) in states, f"{backend.name} is {' or '.join(states)}")

    def attempts(self, proxy, backend):
        """How many attempts it was given, by all workers."""
        return self.entry(proxy, backend)["requests"]

    @staticmethod
    def executed_twice(backends):
        """The POSTs that were executed more than once."""
        counts = collections.Counter(itertools.chain.from_iterable(backend.executed for backend in backends))
        return [request for request, count in counts.items() if count > 1 and request.startswith("POST")]

    def assert_nothing_lost(self, load, killed=()):
        """No GET failed, and of POSTs only those that were under way when one of these backends was killed, and that
        none of those executed which live on."""
        kills = [kill for backend in killed for kill in backend.kills]
        kept = {request for backend in killed if not backend.kills for request in backend.executed}

        def may_fail(result):
            ended = result.begun + result.seconds
            return result.request not in kept and any(
                begun <= ended and result.begun <= over + END_SECONDS for begun, over in kills)

        self.assertGreater(len(load.results), 0)
        self.assertEqual(load.failed("GET"), [])
        self.assertEqual([result for result in load.failed("POST") if not may_fail(result)], [], kills)

    def assert_not_chosen(self, proxy, backends, load, requests=60):
        """While so many more requests are answered, these are given none."""
        before = [self.attempts(proxy, backend) for backend in backends]
        load.run_requests(requests)
        self.assertEqual([self.attempts(proxy, backend) for backend in backends], before)

    @staticmethod
    def changes(proxy, backend, state=None):
        """The evidence of each change of what is believed of it that was logged, to `state` if that is given."""
        pattern = re.compile(rf'event="backend state".* endpoint={re.escape(backend.name)} state=(\S+) .*evidence=(\S+)')
        found = [match for line in proxy.process.errors if (match := pattern.search(line))]
        return [match[2] for match in found if state in (None, match[1])]

#!/usr/bin/python3
"""Every call that can fail does so once, while the proxy serves: the Nth allocation, accept, socket, connect, send,
receive, splice, pipe or registration with epoll, for every N of a scenario. Each client of it gets the right answer, a
clean error or a visibly broken connection; nothing hangs, leaks or crashes; and the next request is answered as ever.

The first way to fail is tried with every N, each other one with every fifth: FAULTS_STRIDE=1 takes them all,
FAULTS_STRIDE=7 each seventh N, for a hurry. The names of test methods select, as with every unittest:

    SRSD_BIN=build/bin PYTHONPATH=tests/support tests/faults/faults_test.py -v ServingTest.test_receive
"""

import collections
import errno
import http.client
import json
import os
import sys
import time
import unittest

import product
from control import CHECKER, EVERYWHERE, REGISTRY, SHORT, WORKER, Control
from messages import Wrong
from origin import Origin
from proxy import LABEL, Proxy, ProxyTest
from scenario import LET_GO, Curious, Hang, Long, Story, Waiting

STRIDE = int(os.environ.get("FAULTS_STRIDE", "0"))
OTHERS_STRIDE = 5  # of the other ways to fail

# A story takes some more or fewer calls from one time to the next: after so many without a fault it is over.
MISSES_MAX = 4
# What no connection breaks of: the call is made again, at once or when the kernel tells.
PASSING = (errno.EINTR, errno.EAGAIN, errno.EINVAL, SHORT)
# Then idle connections are let go. A client may be about to ask on one of them.
SHORTAGES = (errno.EMFILE,)
FAILURES_MAX = 5  # then it is enough
START_SECONDS = 60
REST_SECONDS = 30
LOOKS_ALIKE = 5  # in so many looks one after the other no probe was under way
CONFIGURING_STRIDE = 9  # of the allocations of which unit_config has each one fail


def strides(errors):
    """(error, first N, step) for each way to fail. Each of the others begins at another N."""
    for index, error in enumerate(errors):
        step = STRIDE or (1 if index == 0 else OTHERS_STRIDE)
        yield error, index % step + 1, step


def name_of(error):
    return "a single byte" if error == SHORT else errno.errorcode[error]


class FaultyProxy(Proxy):
    """A running srsd-proxy-faults, with what it holds when nobody asks it anything."""

    def __init__(self, process, control):
        super().__init__(process)
        self.control = control
        self.descriptors_at_rest = None

    def note_rest(self):
        """Nobody was ever served: what it holds now, while no probe is under way, it is to hold whenever nobody is."""
        looks = collections.deque(maxlen=LOOKS_ALIKE)

        def are_alike():
            looks.append(self.descriptors() - self.metrics()["srsd_proxy_upstream_connections"])
            return len(looks) == LOOKS_ALIKE and len(set(looks)) == 1

        product.wait_until(are_alike, "it is at rest")
        self.descriptors_at_rest = looks[0]

    def metrics(self):
        lines = [line.rpartition(" ") for line in self.admin("/metrics").text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def rest(self):
        """Wait until nothing is left of the scenario's clients."""
        said = {}

        def is_at_rest():
            metrics = self.metrics()
            said.update(
                clients=metrics["srsd_proxy_client_connections"], active=metrics["srsd_proxy_requests_active"],
                backends=metrics["srsd_proxy_upstream_connections"], descriptors=self.descriptors())
            return (said["clients"] == 0 and said["active"] == 0
                    and said["descriptors"] - said["backends"] == self.descriptors_at_rest)

        try:
            product.wait_until(is_at_rest, "", REST_SECONDS)
        except AssertionError:
            raise Wrong(f"something is left: {said}, descriptors at rest: {self.descriptors_at_rest}") from None


class FaultsTest(ProxyTest):
    timeout = "60s"  # far longer than anything takes

    def setUp(self):
        self.control = Control()
        self.addCleanup(self.control.close)
        self.origin = Origin()
        self.addCleanup(self.origin.close)

    def write_proxy_settings(self):
        refused = product.free_port()
        routes = "plain slow-upload echo head large pieces until-close chunked hint nothing leaves-first last cut early nonsense silent stalled"
        settings = self.settings(
            workers=1, static=[self.origin.name],
            routes=[{"path": f"/{path}", "service": LABEL} for path in routes.split()]
            + [{"path": "/tunnel", "service": LABEL, "upgrade": ["echo"]}, {"path": "/refused", "service": "refused"}],
            timeouts={name: self.timeout for name in (
                "request_head", "request_body", "connect", "response_head", "response_body", "client_idle",
                "upstream_idle")})
        settings["listeners"].append({"address": "127.0.0.1:0", "proxy_protocol": True, "deferred": True})
        settings["services"].append({"name": "refused", "static": [f"127.0.0.1:{refused}"]})
        return self.write_settings(settings)

    def add_settings(self, path, **settings):
        """The configuration at `path`, with these settings as well. Returns where it stands."""
        with open(path, encoding="utf-8") as file:
            return self.write_settings(json.load(file) | settings)

    def start_faulty(self, path):
        process = self.start("srsd-proxy-faults", "--config", path, environment=self.control.environment)
        proxy = FaultyProxy(process, self.control)
        proxy.wait_for_ports(True)
        proxy.note_rest()
        return proxy


class RunningTest(FaultsTest):
    """Faults in a worker while a story is told; the proxy lives on from one to the next."""

    def setUp(self):
        super().setUp()
        self.path = self.write_proxy_settings()
        self.proxy = None
        self.failures = []
        self.outcomes = collections.Counter()

    def end_proxy(self):
        """It ends as it should after all that; a leak fails this, too."""
        proxy, self.proxy = self.proxy, None
        self.control.disarm()
        status = proxy.process.terminate()
        if status != 0:
            self.failures.append(f"it ended with status {status}\n{proxy.process.report()}")
        proxy.process.close()

    def run_once(self):
        """The story, with what is armed. Returns how many calls failed, and the answers that changed."""
        self.origin.wrongs.clear()
        story = self.tell(self.proxy)
        story.run()
        fired = self.control.disarm()
        bent = story.bent
        story.afterwards()
        self.proxy.rest()
        if self.origin.wrongs:
            raise Wrong(f"backends saw: {self.origin.wrongs}")
        if bent and not fired:
            raise Wrong(f"without a fault: {bent}")
        return fired, bent

    def fail_one(self, kind, number, error, repeats):
        """Returns whether a call failed."""
        if self.proxy is None:
            self.control.disarm()
            self.proxy = self.start_faulty(self.path)
        try:
            self.control.arm(kind, number, error, repeats)
            fired, bent = self.run_once()
            noticed = [line for line in bent if error not in SHORTAGES or not line.endswith(LET_GO)]
            if noticed and (kind == "accept" or error in PASSING):
                raise Wrong(f"nobody should have noticed: {noticed}")
            self.outcomes["with a fault"] += fired > 0
            self.outcomes["seen by a client"] += bool(bent)
            return fired > 0
        except (Wrong, Hang, OSError, AssertionError) as failure:
            what = f"{kind} {number} ({name_of(error)}, {repeats} in a row): {type(failure).__name__}: {failure}"
            print(what, file=sys.stderr, flush=True)
            self.proxy.process.kill()
            self.failures.append(f"{what}\n{self.proxy.process.report()}")
            self.proxy = None
            return True

    def fail_each(self, kind, *errors, repeats=1, every=1):
        began = time.monotonic()
        self.proxy = self.start_faulty(self.path)
        self.run_once()  # what the first one alone needs is not in the others
        for error, number, step in strides(errors):
            misses = 0
            while misses < MISSES_MAX and len(self.failures) < FAILURES_MAX:
                misses = 0 if self.fail_one(kind, number, error, repeats) else misses + 1
                self.outcomes["numbers"] = max(self.outcomes["numbers"], number)
                number += step * every
        if self.proxy is not None:
            self.end_proxy()
        print(f"{kind}: {dict(self.outcomes)}, {time.monotonic() - began:.1f} s", file=sys.stderr)
        if self.failures:
            self.fail("\n".join(self.failures))
        self.assertGreater(self.outcomes["with a fault"], 0)


class ServingTest(RunningTest):
    """All that clients and backends do."""

    tell = staticmethod(lambda proxy: Story(*proxy.ports))

    def test_allocate(self):
        self.fail_each("allocate", errno.ENOMEM)

    def test_allocate_several(self):
        self.fail_each("allocate", errno.ENOMEM, repeats=4)

    def test_accept(self):
        self.fail_each("accept", errno.EMFILE, errno.ECONNABORTED, errno.EINTR)

    def test_socket(self):
        self.fail_each("socket", errno.EMFILE, errno.ENOBUFS)

    def test_connect(self):
        self.fail_each("connect", errno.ECONNREFUSED, errno.EADDRNOTAVAIL, errno.ENETUNREACH)

    def test_send(self):
        self.fail_each("send", errno.EPIPE, SHORT, errno.EAGAIN, errno.ECONNRESET, errno.EINTR)

    def test_receive(self):
        self.fail_each("receive", errno.ECONNRESET, SHORT, errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR)

    def test_register(self):
        self.fail_each("register", errno.ENOMEM, errno.ENOSPC)


class WaitingTest(RunningTest):
    """Clients and backends that keep the proxy waiting, each until a time-out."""

    tell = staticmethod(lambda proxy: Waiting(*proxy.ports))
    timeout = f"{1000 * Waiting.PATIENCE_SECONDS:.0f}ms"

    def test_allocate(self):
        self.fail_each("allocate", errno.ENOMEM)

    def test_send(self):
        self.fail_each("send", errno.EPIPE, SHORT)

    def test_receive(self):
        self.fail_each("receive", errno.ECONNRESET, SHORT)


class LongTest(RunningTest):
    """Bodies that are spliced, as they are many times what is taken at once."""

    tell = staticmethod(lambda proxy: Long(*proxy.ports))

    def write_proxy_settings(self):
        return self.add_settings(super().write_proxy_settings(), limits={"receive": "64k"})

    def test_splice(self):
        """One is like the other: each twelfth will do."""
        self.fail_each("splice", errno.ECONNRESET, SHORT, errno.EAGAIN, every=12)

    def test_splice_refused(self):
        """From then on all is copied: each of them is another proxy's."""
        for number in (1, 2, 3):
            self.proxy = self.start_faulty(self.path)
            self.assertTrue(self.fail_one("splice", number, errno.EINVAL, 1))
            self.assertEqual(self.failures, [])
            before = self.proxy.metrics()["srsd_proxy_spliced_bytes_total"]
            self.run_once()
            self.assertEqual(self.proxy.metrics()["srsd_proxy_spliced_bytes_total"], before)
            self.end_proxy()


class TracedTest(RunningTest):
    """All that is noted of requests where somebody asks how they went."""

    tell = staticmethod(lambda proxy: Curious(*proxy.ports))

    def write_proxy_settings(self):
        path = super().write_proxy_settings()
        return self.add_settings(path, log={"format": "json", "access": f"{path}.access"},
                                 explain={"networks": ["127.0.0.1"]}, proxy_status="all")

    def test_allocate(self):
        self.fail_each("allocate", errno.ENOMEM)

    def test_send(self):
        self.fail_each("send", SHORT)


class StartTest(FaultsTest):
    """Faults in any thread, from the first call on: the proxy says that it cannot start, or serves all the same."""

    def setUp(self):
        super().setUp()
        self.path = self.write_proxy_settings()

    def launch_faulty(self):
        return self.start("srsd-proxy-faults", "--config", self.path, environment=self.control.environment)

    def serve(self, process):
        """The outcome of a start: its exit status, or None when it serves, and does so well."""
        def is_decided():
            return not process.is_running() or any("event=serving" in line for line in process.errors)

        def is_answered():
            try:
                return proxy.ask("/plain").status == 200
            except (OSError, http.client.HTTPException):
                return False  # the fault was there

        product.wait_until(is_decided, "it serves, or ends", START_SECONDS)
        if not process.is_running():
            return process.wait_for_exit()
        self.control.only_in(WORKER | REGISTRY | CHECKER)
        proxy = FaultyProxy(process, self.control)
        proxy.wait_for_ports(True)
        product.wait_until(is_answered, "it has its backends after all", START_SECONDS)
        product.wait_until(lambda: proxy.admin("/ready").status == 200, "and tells so", START_SECONDS)
        self.control.disarm()
        Story(*proxy.ports).afterwards()
        status = process.terminate()
        if status != 0:
            raise Wrong(f"it served, and ended with status {status}")
        return None

    def fail_one(self, kind, number, error):
        """Returns whether a call failed, the exit status, and whether that was after the configuration was read."""
        self.control.arm(kind, number, error, threads=EVERYWHERE)
        process = self.launch_faulty()
        try:
            status = self.serve(process)
            fired = self.control.disarm()
            if status not in (None, 71):
                raise Wrong(f"exit status {status}")
            if status is not None and not process.errors:
                raise Wrong("it ended without a word")
            if status is not None and not fired:
                raise Wrong("it ended without a fault")
            process.close()
            self.processes.remove(process)
            return fired, status, not any("while the configuration was read" in line for line in process.errors)
        except (Wrong, OSError, http.client.HTTPException, AssertionError) as failure:
            process.kill()
            what = f"{kind} {number} ({name_of(error)}): {type(failure).__name__}: {failure}"
            self.failures.append(f"{what}\n{process.report()}")
            print(what, file=sys.stderr, flush=True)
            return 1, None, True

    def fail_each(self, kind, *errors):
        began = time.monotonic()
        self.failures = []
        outcomes = collections.Counter()
        for error, number, step in strides(errors):
            while len(self.failures) < FAILURES_MAX:
                fired, status, is_configured = self.fail_one(kind, number, error)
                if not fired:
                    break
                outcomes[status] += 1
                number += step if is_configured else max(step, CONFIGURING_STRIDE)
        print(f"{kind}: {dict(outcomes)}, {time.monotonic() - began:.1f} s", file=sys.stderr)
        if self.failures:
            self.fail("\n".join(self.failures))
        self.assertGreater(outcomes.total(), 0)

    def test_allocate(self):
        self.fail_each("allocate", errno.ENOMEM)

    def test_socket(self):
        self.fail_each("socket", errno.EMFILE)

    def test_register(self):
        self.fail_each("register", errno.ENOSPC)

    def test_pipe(self):
        self.fail_each("pipe", errno.EMFILE)


if __name__ == "__main__":
    unittest.main()

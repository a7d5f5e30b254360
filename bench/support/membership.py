"""membership - many services with many endpoints each in a private ZooKeeper, and the changes that are made to them.

Every endpoint is an address of its own of the loopback network, at which one of a few processes answers: as with real
fleets each has a name, connections and a history of its own. A change never brings an address back that has gone.
"""

import collections
import itertools
import os
import random
import threading
import time

import priority
import product
import subjects
from kazoo.exceptions import KazooException

REGISTRY = product.REGISTRY
AT_ONCE = 500  # endpoints registered in a transaction
TOGETHER = 10  # changes in a transaction
AHEAD = 50  # transactions that are sent before the first is answered

Change = collections.namedtuple("Change", "is_addition service address")


class Membership:
    """What is registered: `per_service` endpoints in each of `services`, by one session.
    `is_idle`: ZooKeeper and who makes changes run only where nobody else wants to."""

    def __init__(self, backends, services, per_service, is_idle=True):
        self.is_idle = is_idle
        ports = [address.rpartition(":")[2] for address in backends.addresses]
        self._fresh = (f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}:{port}"
                       for number, port in zip(itertools.count(), itertools.cycle(ports)))
        self.services = services
        self._present = {service: collections.deque(itertools.islice(self._fresh, per_service))
                         for service in services}
        self.zookeeper = product.ZooKeeper(ZOOKEEPER_HEAP="256m").start()
        self.client = self.zookeeper.client(timeout=60)
        self.step_back()
        for service in services:
            self._register(service)

    def step_back(self):
        """Leave processors to others, where that is wanted, with all threads that there are now, except the first one:
        it starts proxy and load, and waits for them."""
        if self.is_idle:
            priority.make_idle(self.zookeeper.process.pid)
            priority.make_idle(os.getpid(), but=[os.getpid()])

    def _register(self, service):
        self.client.ensure_path(f"{REGISTRY}/{service}")
        names = iter(self._present[service])
        while some := list(itertools.islice(names, AT_ONCE)):
            transaction = self.client.transaction()
            for address in some:
                transaction.create(self.path(service, address), b"", ephemeral=True)
            self.expect_done(transaction.commit())

    @staticmethod
    def path(service, address):
        return f"{REGISTRY}/{service}/{address}"

    @staticmethod
    def expect_done(results):
        for result in results:
            if isinstance(result, KazooException):
                raise AssertionError(f"ZooKeeper does not make a change: {result!r}")

    def choose(self):
        """The next change: in turn the oldest endpoint of a service drawn at random goes, and a new one comes."""
        while True:
            service = random.choice(self.services)
            gone, come = self._present[service].popleft(), next(self._fresh)
            self._present[service].append(come)
            yield Change(False, service, gone)
            yield Change(True, service, come)

    def endpoints(self):
        return {(service, address) for service, present in self._present.items() for address in present}

    def close(self):
        self.client.stop()
        self.client.close()
        self.zookeeper.close()


class Changing:
    """Changes at a rate, from when this is made to end(). What is changed with one session is another's endpoint as
    well: ZooKeeper lets any client remove any node, and those that come belong to the client of this."""

    def __init__(self, membership, rate):
        self._membership, self._rate = membership, rate
        self._ended = threading.Event()
        self._trouble = None
        self.done = []  # (time_ns when ZooKeeper had answered, Change)
        self.asked_ns = {}  # of each Change
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        membership.step_back()

    def _run(self):
        try:
            choices, waiting = self._membership.choose(), collections.deque()
            for number in itertools.count():
                due = self._started + number * TOGETHER / self._rate
                if self._ended.wait(max(0.0, due - time.monotonic())):
                    break
                waiting.append(self._send(list(itertools.islice(choices, TOGETHER))))
                if len(waiting) == AHEAD:
                    self._membership.expect_done(waiting.popleft().get(timeout=product.DEADLINE_SECONDS))
            for answer in waiting:
                self._membership.expect_done(answer.get(timeout=product.DEADLINE_SECONDS))
        except Exception as trouble:
            self._trouble = trouble

    def _send(self, changes):
        transaction = self._membership.client.transaction()
        for change in changes:
            path = self._membership.path(change.service, change.address)
            if change.is_addition:
                transaction.create(path, b"", ephemeral=True)
            else:
                transaction.delete(path)
        asked_ns = time.monotonic_ns()
        self.asked_ns.update((change, asked_ns) for change in changes)
        answer = transaction.commit_async()
        answer.rawlink(lambda _: self.done.extend((time.monotonic_ns(), change) for change in changes))
        return answer

    def end(self):
        """Returns how many changes there were in a second."""
        self._ended.set()
        seconds = time.monotonic() - self._started
        count = len(self.done)
        self._thread.join(2 * product.DEADLINE_SECONDS)
        if self._trouble is not None:
            raise AssertionError(f"the registry was not changed: {self._trouble!r}")
        return count / seconds

    def lag_ms(self, asked_ns, answered_ns, endpoints):
        """How old the oldest change is that a proxy does not know of, which told its `endpoints` between those times."""
        gone_ns = {(change.service, change.address): asked for change, asked in list(self.asked_ns.items())
                   if not change.is_addition}
        for done_ns, change in list(self.done):
            if done_ns > asked_ns:
                break
            endpoint = (change.service, change.address)
            is_undone = change.is_addition and gone_ns.get(endpoint, answered_ns) < answered_ns
            if (endpoint in endpoints) != change.is_addition and not is_undone:
                return (asked_ns - done_ns) / 1e6
        return 0.0


class Proxy(subjects.Ours):
    """srsd-proxy with one route for each of many services: /SERVICE."""

    def __init__(self, membership, **options):
        self._services = membership.services
        super().__init__(membership.zookeeper, **options)

    def routes(self):
        return {f"/{service}": service for service in self._services}

    def state(self):
        """The endpoints in its sets, and how many sets it was given so far."""
        services = self.ask_admin("/backends")["services"]
        endpoints = {(service["name"], backend["address"]) for service in services for backend in service["backends"]}
        return endpoints, sum(service["version"] for service in services)

    def wait_for(self, membership):
        """Until it knows what is registered now."""
        def knows():
            try:
                return self.state()[0] == membership.endpoints()
            except ConnectionRefusedError:
                return False  # it does not listen yet
        product.wait_until(knows, "the proxy's sets to be what is registered")

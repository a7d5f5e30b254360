"""stages - what runs while bench/throughput measures: a registry, backends, and the proxies that are compared.

A stage lasts for several kinds of work. The proxies run side by side and are measured in turn.
"""

import contextlib

import machine
import subjects

LARGE_BYTES = 100 * 1024
WARMING_REQUESTS = 1000


def addresses_of(backends):
    return [address for behind in backends for address in behind.addresses]


class Actor:
    """A proxy with what belongs to its measurement: where its load runs, who else works for it meanwhile, and the
    memory that it began with."""

    def __init__(self, subject, name, backends, load_cpus, has_own_processor):
        self.subject, self.name, self.load_cpus = subject, name, load_cpus
        self.pid, self.port = subject.pid, subject.port
        self.helper_pids = [behind.process.pid for behind in backends if behind.process.pid != subject.pid]
        self.has_own_processor = has_own_processor  # where it shares one with the load, one waits for the other
        self.idle_kib = machine.anonymous_kib(self.pid)

    def load(self, *options):
        """bench_load on each of its processors, to the end. Returns what they counted together."""
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(contextlib.closing(subjects.Load(self.port, *options, cpu=cpu)))
                       for cpu in self.load_cpus]
            parts = [load.finish() for load in running]
        counts = dict(parts[0])
        for what in ("answered", "failed", "received_bytes", "sent_bytes", "cpu_seconds"):
            counts[what] = sum(part[what] for part in parts)
        counts["seconds"] = max(part["seconds"] for part in parts)
        return counts


class Stage:
    """`kind`: small and large answers differ in what the peers' buffers are configured for; in "connections" the floor has
    one request on each connection, in "deferred" all proxies wait for its first bytes as well; in "shared" all run on one
    processor, so that none has to be woken up; in "awake" our worker waits awake (busy_wait); in "workers" one worker shares
    the first processor with its load, and two share both with twice the load."""

    def __init__(self, kind, registry, before=None):
        self._kind, self._registry, self._before = kind, registry, before
        self._running = contextlib.ExitStack()
        self.actors = []
        try:
            if kind == "workers":
                self._start_workers()
            else:
                self._start_proxies(LARGE_BYTES if kind == "large" else 120,
                                    subjects.LOAD_CPU if kind == "shared" else subjects.PROXY_CPU)
            for actor in self.actors:
                actor.load("--requests", WARMING_REQUESTS)
        except BaseException:
            self._running.close()
            raise

    def _keep(self, thing):
        self._running.callback(thing.close)
        return thing

    def _register(self, *backends):
        """Under a label of their own, which is returned, for those proxies that read the registry."""
        label = "bench-" + "-".join(str(behind.process.pid) for behind in backends)
        for address in addresses_of(backends):
            self._registry.register(address, label)
        return label

    def _act(self, subject, name, backends, load_cpus):
        self._keep(subject)
        if isinstance(subject, subjects.Ours):
            subject.wait_for_backends(addresses_of(backends))
        has_own_processor = self._kind not in ("shared", "workers") and machine.has_two_processors()
        self.actors.append(Actor(subject, name, backends, load_cpus, has_own_processor and name != "direct"))

    def _makers(self, **options):
        """Of srsd-proxy, and of the other build that it is compared with."""
        zookeeper = self._registry.zookeeper
        makers = {"srsd-proxy": lambda label: subjects.Ours(zookeeper, label, **options)}
        if self._before and self._kind not in ("awake", "deferred"):  # it may not know of that
            makers["before"] = lambda label: subjects.Before(self._before, zookeeper, label, **options)
        return makers

    def _start_proxies(self, body_bytes, cpu):
        load_cpus = [subjects.LOAD_CPU]
        backends = self._keep(subjects.Backends(body_bytes=body_bytes))
        label = self._register(backends)
        is_deferred = self._kind == "deferred"
        settings = {"awake": ["busy_wait=1ms"], "deferred": ["listeners.0.deferred=true"]}.get(self._kind, [])
        for name, make in self._makers(cpu=cpu, settings=settings).items():
            self._act(make(label), name, [backends], load_cpus)
        for maker in (subjects.Nginx, subjects.Haproxy):
            self._act(maker(backends, cpu=cpu, is_deferred=is_deferred), maker.name, [backends], load_cpus)
        floor = subjects.Floor(backends.addresses, cpu=cpu, is_single=self._kind in ("connections", "deferred"),
                               is_deferred=is_deferred)
        self._act(floor, floor.name, [backends], load_cpus)
        if self._kind in ("small", "shared", "awake"):
            self._act(subjects.Direct(backends), "direct", [], load_cpus)

    def _start_workers(self):
        cpus = [subjects.PROXY_CPU, subjects.LOAD_CPU]
        all_cpus = ",".join(map(str, cpus))
        both = [self._keep(subjects.Backends(cpu=cpu)) for cpu in cpus]
        label = self._register(*both)
        for name, make in self._makers(workers=2, cpu=all_cpus).items():
            self._act(make(label), name, both, cpus)
        one = subjects.Ours(self._registry.zookeeper, self._register(both[0]), workers=1, cpu=cpus[0])
        self._act(one, "one worker", both[:1], cpus[:1])
        # What the same does to who parses nothing is the machine's doing.
        self._act(subjects.Floor(addresses_of(both), cpu=all_cpus, threads=2), "floor", both, cpus)
        self._act(subjects.Floor(both[0].addresses, cpu=cpus[0]), "one floor", both[:1], cpus[:1])

    def close(self):
        self._running.close()

"""stages - what runs while bench/throughput measures: a registry, backends, and the proxies that are compared.

A stage lasts for several kinds of work. The proxies run side by side and are measured in turn.
"""

import contextlib

import machine
import subjects
import works

LARGE_BYTES = 100 * 1024
WARMING_REQUESTS = 1000


def addresses_of(backends):
    return [address for behind in backends for address in behind.addresses]


class Actor:
    """A proxy, or several that are counted together, with what belongs to the measurement: where the load runs and whom
    it asks, who else works for it meanwhile, and the memory that it began with. `loads`: (backends beside which it runs,
    ports) of each."""

    def __init__(self, proxies, name, backends, loads, has_own_processor):
        self._proxies, self.name, self._loads = proxies, name, loads
        self.pid = proxies[0].pid
        self.helper_pids = [behind.process.pid for behind in backends if behind.process.pid != self.pid]
        self.has_own_processor = has_own_processor  # where it shares one with the load, one waits for the other
        self.idle_kib = machine.anonymous_kib(*self._find_pids())
        self.load("--requests", WARMING_REQUESTS)
        self.pids = self._find_pids()  # by now all have started

    def _find_pids(self):
        return [pid for proxy in self._proxies for pid in machine.family(proxy.pid)]

    def report(self):
        return "\n".join(proxy.process.report() for proxy in self._proxies)

    def load(self, *options, is_together=False):
        """A load on each of its processors, to the end; `is_together`: on the backends' own thread. Returns what they counted
        together."""
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(contextlib.closing(
                behind.begin_load(ports, *options) if is_together
                else subjects.Load(ports, *options, cpu=behind.cpu))) for behind, ports in self._loads]
            parts = [load.finish() for load in running]
        counts = dict(parts[0])
        for what in ("answered", "failed", "received_bytes", "sent_bytes", "cpu_seconds", "vain_seconds"):
            counts[what] = sum(part[what] for part in parts)
        counts["seconds"] = max(part["seconds"] for part in parts)
        return counts


class Stage:
    """`kind`: small and large answers differ in what the peers' buffers are configured for; in "connections" the floor has
    one request on each connection, in "deferred" all proxies wait for its first bytes as well; in "shared" all run on one
    processor, so that none has to be woken up; in "awake" our worker waits awake for anything (busy_wait), in "asleep"
    for nothing (answer_wait); in "workers" one worker shares the first processor with its load and its backends, and two
    share both with twice of each."""

    SETTINGS = {"asleep": ["answer_wait=asleep"], "awake": ["busy_wait=1ms"], "deferred": ["listeners.0.deferred=true"]}
    NOT_BEFORE = ("asleep", "awake")  # another build may not know of that

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

    def _start(self, proxy, backends):
        """It has just been started: it is to end with the stage, and to know its backends before that goes on."""
        self._keep(proxy)
        if isinstance(proxy, subjects.Ours):
            proxy.wait_for_backends(addresses_of(backends))
        return proxy

    def _act(self, proxy, name, backends):
        self._start(proxy, backends)
        self._act_together([proxy], name, backends, [(behind, [proxy.port]) for behind in backends])

    def _act_together(self, proxies, name, backends, loads):
        has_own_processor = self._kind not in ("shared", "workers") and machine.has_two_processors()
        self.actors.append(Actor(proxies, name, backends, loads, has_own_processor and name != "direct"))

    def _makers(self, **options):
        """Of srsd-proxy, and of the other build that it is compared with."""
        zookeeper = self._registry.zookeeper
        makers = {"srsd-proxy": lambda label: subjects.Ours(zookeeper, label, **options)}
        if self._before and self._kind not in self.NOT_BEFORE:
            makers["before"] = lambda label: subjects.Before(self._before, zookeeper, label, **options)
        return makers

    def _start_proxies(self, body_bytes, cpu):
        backends = self._keep(subjects.Backends(body_bytes=body_bytes))
        label = self._register(backends)
        is_deferred = self._kind == "deferred"
        for name, make in self._makers(cpu=cpu, settings=self.SETTINGS.get(self._kind, [])).items():
            self._act(make(label), name, [backends])
        for maker in (subjects.Nginx, subjects.Haproxy):
            self._act(maker(backends, cpu=cpu, is_deferred=is_deferred), maker.name, [backends])
        floor = subjects.Floor(backends.addresses, cpu=cpu, is_single=self._kind in ("connections", "deferred"),
                               is_deferred=is_deferred)
        self._act(floor, floor.name, [backends])
        if self._kind in ("small", "shared", "asleep", "awake"):
            self._act(subjects.Direct(backends), "direct", [backends])

    def _start_workers(self):
        cpus = [subjects.PROXY_CPU, subjects.LOAD_CPU]
        all_cpus = ",".join(map(str, cpus))
        both = [self._keep(subjects.Backends(cpu=cpu)) for cpu in cpus]
        label, label_of_each = self._register(*both), [self._register(behind) for behind in both]
        for name, make in self._makers(workers=2, cpu=all_cpus).items():
            self._act(make(label), name, both)
        self._start_one_worker_each(both, label, label_of_each, cpus, all_cpus)
        # What the same does to others, and to who parses nothing, is the machine's doing.
        for maker in (subjects.Nginx, subjects.Haproxy):
            self._act(maker(subjects.Together(both), cpu=all_cpus, workers=2), maker.name, both)
            self._act(maker(both[0], cpu=cpus[0]), f"one {maker.name}", both[:1])
        self._act(subjects.Floor(addresses_of(both), cpu=all_cpus, threads=2), "floor", both)
        self._act(subjects.Floor(both[0].addresses, cpu=cpus[0]), "one floor", both[:1])

    def _start_one_worker_each(self, both, label, label_of_each, cpus, all_cpus):
        """From one worker to two there are three steps: both processors have something to do; connections go from one
        to the other; and the two are workers of one process."""
        def ours(which, cpu, backends):
            return self._start(subjects.Ours(self._registry.zookeeper, which, cpu=cpu), backends)

        apart = [ours(*parts) for parts in zip(label_of_each, cpus, ([behind] for behind in both))]
        self._act_together(apart[:1], works.ONE_WORKER, both[:1], [(both[0], [apart[0].port])])
        self._act_together(apart, works.SIDE_BY_SIDE, both, [(behind, [proxy.port]) for behind, proxy in zip(both, apart)])
        mixed = [ours(label, all_cpus, both) for _ in cpus]
        self._act_together(mixed, works.TWO_PROCESSES, both, [(behind, [proxy.port for proxy in mixed]) for behind in both])

    def close(self):
        self._running.close()

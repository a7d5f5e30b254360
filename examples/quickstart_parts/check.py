"""check - what must hold of the fleet, with traffic on it; each step raises Failed when it does not."""

import http.client
import json
import math
import threading
import time

from fleet import Failed, get, say, wait_until

CHECK_REQUESTS = 300
CHECK_LEVEL = 0.0001  # one fair run in ten thousand fails by chance
CHECK_ORDER_DEVIATIONS = 4.5  # one in a hundred thousand


class Traffic:
    """GETs one after the other on a thread of its own, each on a new connection, until stopped."""

    def __init__(self, port):
        self.port = port
        self.results = []  # (when it began, status or error, who served)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._is_over.is_set():
            self.results.append((time.monotonic(), *ask(self.port)))
            time.sleep(0.002)

    def stop(self):
        self._is_over.set()
        self._thread.join()
        return self.results


def ask(port):
    """One GET through the proxy. Returns (status or what went wrong, who served)."""
    try:
        status, fields, body = get(port, "/")
        if status == 200 and set(json.loads(body)) != {"cpu_info", "system_info", "localtime"}:
            return f"200 with a wrong body: {body[:200]!r}", None
        return status, fields["X-Served-By"]
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return f"{type(problem).__name__}: {problem}", None


def failures(results):
    return [result for result in results if result[1] != 200]


def served(results):
    """How many requests each backend served."""
    counts = {}
    for _, status, backend in results:
        if status == 200:
            counts[backend] = counts.get(backend, 0) + 1
    return counts


def check_spread(fleet):
    """A random choice among three gives each about a third: Pearson's chi-square with two degrees of freedom, for
    which the probability of at least such a value is exp(-value / 2)."""
    results = [(0, *ask(fleet.port)) for _ in range(CHECK_REQUESTS)]
    bad = failures(results)
    if bad:
        raise Failed(f"{len(bad)} of {CHECK_REQUESTS} requests failed, the first with: {bad[0][1]}")
    counts = served(results)
    wanted = {service.address for service in fleet.services}
    if set(counts) != wanted:
        raise Failed(f"answered by {sorted(counts, key=str)}, not by {sorted(wanted)}")
    expected = CHECK_REQUESTS / len(wanted)
    value = sum((count - expected) ** 2 / expected for count in counts.values())
    probability = math.exp(-value / 2)
    text = (f"{CHECK_REQUESTS} requests spread as {sorted(counts.values())}: chi-square {value:.2f}, "
            f"probability {probability:.3f}, refused below {CHECK_LEVEL}")
    if probability < CHECK_LEVEL:
        raise Failed(f"no random choice: {text}")
    say(f"ok: {text}")
    check_order([backend for _, _, backend in results], len(wanted))
    wait_until(lambda: {backend["address"]: backend["requests"] for backend in fleet.backends()["backends"]} == counts,
               f"the admin endpoint counts {counts}", 10)
    say("ok: the admin endpoint counts the same")


def check_order(order, backends):
    """Taking turns would spread evenly as well: a random choice repeats itself once in so many backends."""
    repeats = sum(one == next_one for one, next_one in zip(order, order[1:]))
    pairs = len(order) - 1
    expected = pairs / backends
    bound = CHECK_ORDER_DEVIATIONS * math.sqrt(expected * (1 - 1 / backends))
    text = f"the same backend twice in a row {repeats} times of {pairs}, expected {expected:.0f} +- {bound:.0f}"
    if abs(repeats - expected) > bound:
        raise Failed(f"no random choice: {text}")
    say(f"ok: {text}")


def check_kill(fleet):
    """kill -9 under traffic: from the moment that its node is gone, no request fails and none goes there."""
    victim = fleet.services[0]
    traffic = Traffic(fleet.port)
    try:
        killed_at = time.monotonic()
        victim.kill()
        wait_until(lambda: victim.address not in fleet.addresses(), f"{victim.address} leaves the proxy's set", 60)
        gone_at = time.monotonic()
        if victim.address in fleet.registered():
            raise Failed(f"{victim.address} left the proxy's set, but is registered")
        wait_until(lambda: sum(began > gone_at for began, _, _ in traffic.results) >= CHECK_REQUESTS or
                   not fleet.proxy.is_running(), f"{CHECK_REQUESTS} more requests", 60)
    finally:
        results = traffic.stop()
    before = [result for result in results if killed_at < result[0] <= gone_at]
    after = [result for result in results if result[0] > gone_at]
    if failures(after):
        raise Failed(f"{len(failures(after))} of {len(after)} requests failed after the node was gone, "
                     f"the first with: {failures(after)[0][1]}")
    survivors = {service.address for service in fleet.services if service.is_running()}
    if set(served(after)) != survivors:
        raise Failed(f"after the node was gone answered {served(after)}, not the survivors {sorted(survivors)}")
    say(f"ok: kill -9: its node was gone after {gone_at - killed_at:.1f} s; {len(failures(before))} of {len(before)} "
        f"requests failed until then, none of {len(after)} afterwards")


def check_join(fleet):
    """A new service gets its share without anything being told."""
    started_at = time.monotonic()
    service = fleet.start_service()
    service.wait_until_ready(lambda: service.address in fleet.addresses())
    known_after = time.monotonic() - started_at
    results = [(0, *ask(fleet.port)) for _ in range(CHECK_REQUESTS)]
    if failures(results):
        raise Failed(f"{len(failures(results))} of {CHECK_REQUESTS} requests failed after a service joined, "
                     f"the first with: {failures(results)[0][1]}")
    if service.address not in served(results):
        raise Failed(f"the new service got none of {CHECK_REQUESTS} requests: {served(results)}")
    say(f"ok: a new service was in the set {known_after:.2f} s after its start and served "
        f"{served(results)[service.address]} of {CHECK_REQUESTS} requests")


def check_leave(fleet):
    """A service that is asked to stop leaves under traffic without one failed request."""
    service = fleet.services[-1]
    traffic = Traffic(fleet.port)
    try:
        service.popen.terminate()
        wait_until(lambda: not service.is_running(), f"{service.address} ends", 60)
        time.sleep(0.2)
    finally:
        results = traffic.stop()
    if service.popen.returncode != 0:
        raise Failed(f"a service ended with status {service.popen.returncode}\n{service.last_words()}")
    if failures(results):
        raise Failed(f"{len(failures(results))} of {len(results)} requests failed while a service left, "
                     f"the first with: {failures(results)[0][1]}")
    say(f"ok: a service left on SIGTERM; none of {len(results)} requests failed")


def check(fleet):
    for step in (check_spread, check_kill, check_join, check_leave):
        step(fleet)

#!/usr/bin/python3
"""quickstart_fleet - what examples/quickstart starts once all is built: a ZooKeeper, three services, the proxy.

Owns these processes: they end with it, however it ends. Shows them on a board until Ctrl-C, or checks them (--check).
"""

import argparse
import http.client
import json
import math
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parents[1]
LABEL = "tornado_app"
SESSION_TIMEOUT_MS = 3000  # a killed service's node goes after it; short, for impatient spectators
START_SECONDS = 60  # how long a process may take to be ready; a slow machine is slow
STOP_SECONDS = 5
BOARD_SECONDS = 0.5

CHECK_REQUESTS = 300
CHECK_LEVEL = 0.001  # one fair run in a thousand fails by chance
CHECK_ORDER_DEVIATIONS = 4.5  # one in a hundred thousand


class Failed(Exception):
    """Something did not go as it should; the text says what."""


class Stopped(BaseException):
    """Ctrl-C or SIGTERM."""


def say(text):
    print(f"quickstart: {text}", flush=True)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    """A port nobody listens on, below the range that outgoing connections are given."""
    for _ in range(1000):
        port = random.randint(10000, 32767)
        if is_free(port):
            return port
    raise Failed("no free port between 10000 and 32767 in 1000 tries")


def wait_until(condition, what, seconds=START_SECONDS):
    """Ask `condition` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        outcome = condition()
        if outcome:
            return outcome
        time.sleep(0.02)
    raise Failed(f"not within {seconds} s: {what}")


def get(port, path, timeout=10):
    """GET from loopback on a connection of its own. Returns status, fields, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Child:
    """A process that we started; what it says goes to a file of the fleet's directory."""

    def __init__(self, name, arguments, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        with open(self.log, "wb") as log:
            # A session of its own, so that Ctrl-C reaches us alone and we end things in order. Killed when we are.
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *arguments],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def wait_until_ready(self, condition):
        try:
            wait_until(lambda: condition() or not self.is_running(), f"{self.name} is ready")
        except Failed as late:
            raise Failed(f"{late}\n{self.last_words()}") from None
        if not self.is_running():
            raise Failed(f"{self.name} ended with status {self.popen.returncode}\n{self.last_words()}")

    def last_words(self):
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(f"    {self.name}: {line}" for line in lines)

    def kill(self):
        self.popen.kill()
        self.popen.wait()


class Service(Child):
    """An example service and the address it registers."""

    def __init__(self, number, binaries, servers, directory):
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(f"service-{number}", [
            str(binaries / "service"), "--label", LABEL, "--port", self.address.split(":")[1],
            "--zookeeper", servers, "--session-timeout", f"{SESSION_TIMEOUT_MS}ms"], directory)


class Fleet:
    """All processes of the quickstart, and what the proxy's admin endpoint says of them."""

    def __init__(self, binaries, directory, port):
        self.binaries = binaries
        self.directory = directory
        self.port = port
        self.admin_port = None
        self.servers = None
        self.zookeeper = self.proxy = None
        self.services = []

    def start(self, service_count):
        self.start_zookeeper()
        say(f"ZooKeeper is up on {self.servers} (process {self.zookeeper.pid})")
        for service in [self.start_service() for _ in range(service_count)]:
            self.wait_until_registered(service)
            say(f"a service is up on {service.address} (process {service.pid}), registered as {LABEL}")
        self.start_proxy()
        say(f"the proxy is up on 127.0.0.1:{self.port} (process {self.proxy.pid})")

    def start_zookeeper(self):
        port = free_port()
        self.servers = f"127.0.0.1:{port}"
        server = PROJECT / "tests/support/zookeeper-server"
        self.zookeeper = Child("zookeeper", [str(server), str(self.directory / "zookeeper"), str(port)], self.directory)
        self.zookeeper.wait_until_ready(lambda: self.is_zookeeper_serving(port))

    @staticmethod
    def is_zookeeper_serving(port):
        """A server that is just starting may take the question and never answer: hence the timeout."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"srvr")
                return connection.recv(4096).startswith(b"Zookeeper version")
        except OSError:
            return False

    def start_service(self):
        service = Service(len(self.services) + 1, self.binaries, self.servers, self.directory)
        self.services.append(service)
        return service

    def wait_until_registered(self, service):
        service.wait_until_ready(lambda: service.address in self.registered())

    def registered(self):
        """The addresses that ZooKeeper itself has, by the srsd command."""
        listed = subprocess.run([str(self.binaries / "srsd"), "discover", LABEL, "--zookeeper", self.servers],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                timeout=START_SECONDS, text=True, check=False)
        return listed.stdout.split()

    def start_proxy(self):
        self.admin_port = free_port()
        if not is_free(self.port):
            raise Failed(f"port {self.port} is taken on 127.0.0.1: choose another one with --port")
        settings = (f"zookeeper.servers={self.servers}", f"listeners.0.address=127.0.0.1:{self.port}",
                    f"admin.address=127.0.0.1:{self.admin_port}")
        arguments = [str(self.binaries / "srsd-proxy"), "-c", str(PROJECT / "config/srsd-proxy.yaml")]
        for setting in settings:
            arguments += ["--set", setting]
        self.proxy = Child("proxy", arguments, self.directory)
        self.proxy.wait_until_ready(self.is_proxy_ready)

    def is_proxy_ready(self):
        try:
            return get(self.admin_port, "/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def backends(self):
        """What the proxy says of its set: the service's object in the admin endpoint's JSON."""
        status, _, body = get(self.admin_port, "/backends")
        if status != 200:
            raise Failed(f"the admin endpoint answers {status} for /backends")
        return next(service for service in json.loads(body)["services"] if service["name"] == LABEL)

    def addresses(self):
        return {backend["address"] for backend in self.backends()["backends"]}

    def children(self):
        return [child for child in (self.proxy, *self.services, self.zookeeper) if child is not None]

    def stop(self):
        """The proxy first, ZooKeeper last: each finds what it needs until it has ended."""
        for children in ([self.proxy], self.services, [self.zookeeper]):
            running = [child for child in children if child is not None and child.is_running()]
            for child in running:
                child.popen.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for child in running:
                try:
                    child.popen.wait(max(0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.kill()


# ---- The board ----


def board(fleet):
    """Lines that show who is registered and how many requests each served."""
    service = fleet.backends()
    processes = {started.address: started for started in fleet.services}
    total = sum(backend["requests"] for backend in service["backends"])
    lines = [f"{LABEL}: {len(service['backends'])} backends registered",
             f"  {'backend':<22}{'process':>9}{'requests':>10}{'share':>8}{'in flight':>11}{'failures':>10}"]
    for backend in service["backends"]:
        started = processes.pop(backend["address"], None)
        share = f"{100 * backend['requests'] / total:.0f} %" if total else "-"
        note = "" if started is None or started.is_running() else "  ended; its node goes with its session"
        process = started.pid if started else "-"
        lines.append(f"  {backend['address']:<22}{process:>9}{backend['requests']:>10}{share:>8}"
                     f"{backend['in_flight']:>11}{backend['failures']:>10}{note}")
    for started in processes.values():
        state = "running, not registered" if started.is_running() else "ended"
        lines.append(f"  {started.address:<22}{started.pid:>9}  {state}")
    return lines


def show_board(fleet):
    """Until we are stopped: in place on a terminal; else a new one whenever something changed."""
    shown = []
    while True:
        if not fleet.proxy.is_running():
            raise Failed(f"the proxy ended with status {fleet.proxy.popen.returncode}\n{fleet.proxy.last_words()}")
        lines = board(fleet)
        if sys.stdout.isatty():
            # A line that the terminal wraps would spoil the count of lines to go up.
            columns = shutil.get_terminal_size().columns
            up = f"\x1b[{len(shown)}F\x1b[J" if shown else ""
            print(up + "\n".join(line[:columns] for line in lines), flush=True)
        elif lines != shown:
            print("\n".join(lines), flush=True)
        shown = lines
        time.sleep(BOARD_SECONDS)


def show_hints(fleet):
    url = f"http://127.0.0.1:{fleet.port}/"
    inside = fleet.binaries.resolve().is_relative_to(pathlib.Path.cwd())
    binaries = os.path.relpath(fleet.binaries) if inside else fleet.binaries
    first, second = fleet.services[:2]
    hints = (
        (f"curl -i {url}", "X-Served-By says who answered"),
        (f"for i in $(seq 300); do curl -s -o /dev/null {url}; done", "watch the shares"),
        (f"kill -9 {first.pid}", f"a service dies: its node goes {SESSION_TIMEOUT_MS // 1000} s later"),
        (f"kill {second.pid}", "a service leaves in good order"),
        (f"{binaries}/service --zookeeper {fleet.servers}", "a new one joins"),
        (f"{binaries}/srsd watch {LABEL} --zookeeper {fleet.servers}", "the registry, as it changes"),
        (f"{binaries}/client --zookeeper {fleet.servers}", "asks a service without the proxy"),
        (f"curl http://127.0.0.1:{fleet.admin_port}/metrics", "the proxy's counters"))
    print("\nTry, in another terminal:")
    for command, what in hints:
        print(f"  {command:<66}  # {what}")
    print("Ctrl-C ends it all.\n", flush=True)


# ---- The check ----


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


# ---- The whole ----


def run(binaries, port, is_check):
    with tempfile.TemporaryDirectory(prefix="srsd-quickstart-") as directory:
        fleet = Fleet(binaries, pathlib.Path(directory), port or free_port())
        try:
            fleet.start(3)
            if is_check:
                check(fleet)
            else:
                show_hints(fleet)
                show_board(fleet)
        except (Failed, OSError, http.client.HTTPException) as failed:
            print(f"quickstart: {failed}", file=sys.stderr)
            for words in (child.last_words() for child in fleet.children() if is_check):
                if words not in str(failed):
                    print(words, file=sys.stderr)
            return 1
        except Stopped:
            print()
            say("stopping")
            return 130 if is_check else 0
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            fleet.stop()
            say("all processes have ended")
        say("all checks passed")
        return 0


def on_stop_signal(number, frame):
    raise Stopped


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binaries", type=pathlib.Path, help="folder of the built programs")
    parser.add_argument("--port", type=int, help="the proxy's; without it a free one")
    parser.add_argument("--check", action="store_true", help="check what should happen, then end")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_stop_signal)
    return run(arguments.binaries, arguments.port, arguments.check)


if __name__ == "__main__":
    sys.exit(main())

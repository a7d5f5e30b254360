"""events - what happens to backends and to ZooKeeper in bench/failover, and what may come of it at most.

Each event is a function that is called while the load runs, on a stage that holds all that it may hurt. It lasts as long as
what is looked at: it returns when that is over.
"""

import contextlib
import http.client
import math
import pathlib
import shutil
import threading
import time

import ensemble
import fleet
import product
import subjects

ALL = {}  # by name, in the order of the table

# From when a service takes its node away until it stops to accept.
DRAIN_SECONDS = 0.5

# "new": so many nodes. "state": so many starts.
ARRIVALS = 60
STARTS = 10

# How often the proxy is asked whom it chose.
CHOICES_SECONDS = 0.003

# What the last seconds show: whom requests go to in the end.
LAST_SECONDS = 2


class Limits:
    """What the proxy may cost its clients at most: failed requests, executed twice, over a second; the p99 after it, as
    a multiple of that before. None: anything."""

    def __init__(self, gets=0, posts=0, twice=0, late=0, late_gets=None, ratio=None, used=None, times=None,
                 recovery_ms=None):
        self.gets, self.posts, self.twice, self.late, self.ratio = gets, posts, twice, late, ratio
        self.late_gets = late_gets  # of `late`: a POST that one has that is silent cannot be helped
        self.used = used  # so many backends, at least, get their share at the end
        self.times = times  # milliseconds: median and p99
        self.recovery_ms = recovery_ms


class Event:
    def __init__(self, name, title, play, limits, options):
        self.name, self.title, self.play, self.limits = name, title, play, limits
        self.needs_ensemble = options.pop("needs_ensemble", False)
        self.needs_host = options.pop("needs_host", False)
        self.is_start = options.pop("is_start", False)  # the proxy is started in it, and there is no other load
        self.load = options.pop("load", None)  # share of what the backends can do, which then serve one at a time
        if options:
            raise AssertionError(f"{name}: {options}?")


def event(name, title, limits, **options):
    def add(play):
        ALL[name] = Event(name, title, play, limits, options)
        return play
    return add


class Stage(contextlib.AbstractContextManager):
    """Backends, ZooKeeper, a proxy and the load, for one event."""

    def __init__(self, options, event_, subject, directory, first_id):
        self.options, self.event, self.directory = options, event_, directory
        self.notes, self.times, self.last_choices, self.marks = [], [], [], {}
        self.seconds = options.seconds
        self.first_id = first_id
        self.load = None
        self._open = contextlib.ExitStack()
        directory.mkdir(parents=True)
        try:
            self._build(subject)
        except BaseException:
            self.close()
            raise

    def _build(self, subject):
        options, event_ = self.options, self.event
        self.zookeeper = ensemble.Ensemble() if event_.needs_ensemble else product.ZooKeeper()
        self._open.callback(self.zookeeper.close)
        self.zookeeper.start()
        host = None
        if event_.needs_host:
            host = fleet.Host()
            self._open.callback(host.close)
        service_us = round(options.service_time * 1000)
        backend_options = ["--service-us", service_us]
        self.rate = options.rate
        if event_.load is not None:
            backend_options += ["--concurrency", 1]
            self.rate = max(1, round(event_.load * options.backends * 1e6 / max(service_us, 1)))
        self.fleet = fleet.Fleet(options.backends, self.zookeeper.servers, self.directory, backend_options, host)
        self._open.callback(self.fleet.close)
        self.fleet.start()
        self.proxy = subject(self.zookeeper.servers, self.directory / "proxy", options.workers)
        self._open.callback(self._close_proxy)

    def _close_proxy(self):
        self.proxy.close()
        if self.options.keep:
            (self.directory / "proxy.log").write_text(self.proxy.report())

    @property
    def members(self):
        return self.fleet.members

    def start_load(self):
        record = self.directory / "record"
        self.load = product.Process(
            [product.binary("bench_failover_load"), "--record", str(record), "--rate", str(self.rate), "--posts",
             str(self.options.posts), "--first-id", str(self.first_id), self.proxy.address])
        self._open.callback(self.load.close)

    def wait(self, seconds):
        """Let time pass, in which the load has to run."""
        time.sleep(seconds)
        if self.load is not None and not self.load.is_running():
            raise AssertionError(f"the load has ended\n{self.load.report()}")

    def note(self, text):
        self.notes.append(text)

    def wait_while_dead(self, seconds, member, since):
        """Let time pass with a dead member, and note when it was chosen last, in milliseconds from `since`."""
        deadline, last, count = time.monotonic() + seconds, None, self.proxy.chosen(member.address)
        while count is not None and time.monotonic() < deadline:
            time.sleep(CHOICES_SECONDS)
            asked, now = time.monotonic(), self.proxy.chosen(member.address)
            if now is None:
                break
            if now != count:
                last, count = asked, now
        self.wait(max(0.0, deadline - time.monotonic()))
        if self.proxy.chosen(member.address) is not None or last is not None:
            self.last_choices.append(max(0.0, last - since) * 1000 if last is not None else 0.0)

    def mark(self, name):
        self.marks[name] = time.monotonic_ns()

    def first_answer_ms(self, since, limit_seconds):
        """From `since` (time.monotonic()) to the first answer with status 200; None: there was none."""
        deadline = since + limit_seconds
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=limit_seconds)
            try:
                connection.request("GET", "/")
                if connection.getresponse().status == 200:
                    return (time.monotonic() - since) * 1000
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            time.sleep(0.001)
        return None

    def close(self):
        self._open.close()

    def __exit__(self, *exception):
        self.close()


# ---- Backends die ------------------------------------------------------------------------------------------------

@event("kill", "kill -9 of one", Limits(posts=1, ratio=2))
def kill(stage):
    began = time.monotonic()
    stage.members[0].kill()
    stage.wait_while_dead(stage.seconds + 2, stage.members[0], began)


@event("rolling-kill", "kill -9 of each in turn, and back", Limits(posts=5, ratio=2))
def rolling_kill(stage):
    for member in stage.members:
        member.kill()
        stage.wait(0.3)
        member.restart()
        member.wait_until_registered()
        stage.wait(0.7)
    stage.wait(1)


@event("four-of-five", "all but one killed at 60 % load, back after 0.3 s",
       Limits(posts=4, recovery_ms=1000), load=0.6)
def four_of_five(stage):
    for member in stage.members[1:]:
        member.backend.popen.kill()
        member.registrar.popen.kill()
    stage.wait(0.3)
    for member in stage.members[1:]:
        member.listen()
    stage.mark("back")
    for member in stage.members[1:]:
        member.announce()
    stage.wait(stage.seconds)


@event("freeze", "SIGSTOP of one, then SIGCONT", Limits(posts=3, late=3, late_gets=0, ratio=2))
def freeze(stage):
    began = time.monotonic()
    stage.members[0].freeze()
    stage.wait_while_dead(stage.seconds, stage.members[0], began)
    stage.members[0].thaw()
    stage.wait(3)


@event("dead-host", "the host of one is gone, then back", Limits(posts=3, late=3, late_gets=0, ratio=2), needs_host=True)
def dead_host(stage):
    began = time.monotonic()
    stage.members[-1].unplug()
    stage.wait_while_dead(stage.seconds, stage.members[-1], began)
    stage.members[-1].plug_in()
    stage.wait(3)


def misbehave(stage, *mode, after_seconds=2):
    began = time.monotonic()
    stage.members[0].tell(*mode)
    stage.wait_while_dead(stage.seconds, stage.members[0], began)
    stage.members[0].tell("well")
    stage.wait(after_seconds)


@event("black-hole", "one accepts and never answers", Limits(posts=3, late=3, late_gets=0, ratio=2))
def black_hole(stage):
    misbehave(stage, "hole")


# ---- Backends come and go ----------------------------------------------------------------------------------------

@event("stop", "graceful stop of one", Limits(ratio=1.5))
def stop(stage):
    stage.members[0].stop(DRAIN_SECONDS)
    stage.wait(3)


@event("rolling-restart", "graceful restart of each in turn", Limits(ratio=1.5))
def rolling_restart(stage):
    for member in stage.members:
        member.stop(DRAIN_SECONDS)
        member.restart()
        member.wait_until_registered()
        stage.wait(0.3)
    stage.wait(1)


@event("new", "new node -> first request", Limits(times=(10, 25)))
def new(stage):
    client = stage.zookeeper.client()
    going = []  # (when, member): its node is gone, and it will be

    def end_those_due(now):
        while going and going[0][0] <= now:
            going.pop(0)[1].backend.terminate()

    try:
        for number in range(3 if stage.options.smoke else ARRIVALS):
            member = stage.fleet.add()
            member.listen()
            path = subjects.Registry.path(member.address)
            asked_ns = time.monotonic_ns()
            client.create(path, b"", ephemeral=True)
            stage.times.append((member.first_executed_ns() - asked_ns) / 1e6)
            client.delete(path)
            going.append((time.monotonic() + DRAIN_SECONDS, member))
            # Not in step with anything.
            stage.wait(0.1 + 0.2 * math.modf(number * 0.618)[0])
            end_those_due(time.monotonic())
    finally:
        stage.wait(DRAIN_SECONDS)
        end_those_due(math.inf)
        client.stop()
        client.close()


# ---- Backends err ------------------------------------------------------------------------------------------------

@event("500", "one answers 500", Limits(gets=5, posts=3, ratio=2))
def answers_500(stage):
    misbehave(stage, "500")


@event("reset", "one resets when asked", Limits(gets=5, posts=3, ratio=2))
def resets(stage):
    misbehave(stage, "reset")


@event("close", "one closes without an answer", Limits(gets=5, posts=3, ratio=2))
def closes(stage):
    misbehave(stage, "close")


@event("cut", "one cuts its bodies", Limits(gets=5, posts=3, ratio=2))
def cuts(stage):
    misbehave(stage, "cut")


@event("slow", "one is 2 s slower", Limits(late=5, ratio=1.5))
def slow(stage):
    misbehave(stage, "slow", 2000, after_seconds=3)


# ---- The registry ------------------------------------------------------------------------------------------------

@event("zookeeper-gone", "ZooKeeper killed, then back", Limits(ratio=1.2, used=True))
def zookeeper_gone(stage):
    stage.zookeeper.stop()
    stage.wait(stage.options.zookeeper_seconds)
    stage.zookeeper.start()
    stage.wait(5)


@event("zookeeper-wiped", "ZooKeeper back without its data", Limits(ratio=1.2, used=True))
def zookeeper_wiped(stage):
    stage.zookeeper.stop()
    shutil.rmtree(pathlib.Path(stage.zookeeper.directory) / "data")
    stage.zookeeper.start()
    stage.wait(stage.seconds + 2)


@event("leader-lost", "the leader of three killed", Limits(ratio=1.2, used=True), needs_ensemble=True)
def leader_lost(stage):
    stage.zookeeper.leader().kill()
    stage.wait(stage.seconds)


@event("quorum-lost", "two of three killed, then back", Limits(ratio=1.2, used=True), needs_ensemble=True)
def quorum_lost(stage):
    for member in stage.zookeeper.members[:2]:
        member.kill()
    stage.wait(stage.seconds)
    stage.zookeeper.start()
    stage.wait(4)


@event("vanish", "every registration removed, backends alive", Limits(used=True))
def vanish(stage):
    client = stage.zookeeper.client()
    try:
        for address in stage.fleet.addresses:
            client.delete(subjects.Registry.path(address))
        stage.wait(stage.seconds + 2)
    finally:
        client.stop()
        client.close()


# ---- Starts ------------------------------------------------------------------------------------------------------

@event("start", "start without ZooKeeper, the set on disk -> first 200", Limits(times=(100, 100)), is_start=True)
def start(stage):
    if not stage.proxy.has_state:
        stage.note("knows no backends")
        return
    stage.proxy.start()
    if stage.first_answer_ms(time.monotonic(), 20) is None:
        raise AssertionError(f"no answer\n{stage.proxy.report()}")
    # What is known is written once a second at most.
    time.sleep(1.5)
    stage.zookeeper.stop()
    for _ in range(2 if stage.options.smoke else STARTS):
        stage.proxy.stop()
        began = time.monotonic()
        stage.proxy.launch()
        took_ms = stage.first_answer_ms(began, 10)
        if took_ms is None:
            stage.note("no answer in 10 s")
            return
        stage.times.append(took_ms)


@event("late-registry", "started without ZooKeeper: its start -> first 200", Limits(), is_start=True)
def late_registry(stage):
    stage.zookeeper.stop()
    stage.proxy.start()
    time.sleep(3)
    found = []

    def look(since):
        found.append(stage.first_answer_ms(since, 30))

    began = time.monotonic()
    looking = threading.Thread(target=look, args=(began,))
    looking.start()
    stage.zookeeper.start()
    served_ms = (time.monotonic() - began) * 1000
    looking.join()
    if found[0] is None:
        stage.note("no answer in 30 s")
    else:
        stage.times.append(max(0.0, found[0] - served_ms))

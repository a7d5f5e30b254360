"""rounds - measures proxies in turn, in rounds, so that what the machine does meanwhile meets all of them.

A measurement during which other programs used more than a little of the machine is made again, up to a bound.
"""

import contextlib
import statistics
import time

import machine
import priority
import works

# Others may use this share of the machine, beside what is the sampling's own error, and this share of the time the proxy
# may wait for its processor: where it is idle in between, waking it up is counted as well.
FOREIGN_SHARE_MAX = 0.03
WAITING_SHARE_MAX = 0.06
REPEATS_MAX = 4

# On a machine that others use, a work may take so many times as long as on a quiet one.
PATIENCE = 3

# With fewer clean rounds than this, or than were asked for, a work's figures are made of all rounds, and marked.
CLEAN_ROUNDS_MIN = 3

# Half of what the slowest does is the rate of an open loop, in whole steps.
RATE_STEP = 1000

# Where load and backends are busier than that, latencies of an open loop have waiting for them in them.
ROOM_SHARE = 0.75

# The load's processor is the bottleneck when it is busier than that, and the proxy's is not.
BUSY_SHARE = 0.97


PEAK_INTERVAL_SECONDS = 0.02


def options_of(work):
    """The load's. Where it has all it can do it never sleeps, so that no proxy has to wake it up."""
    return [*work.options, *["--awake"] * (work.is_together and not work.is_open)]


class Sample:
    """One measurement of one proxy."""

    def __init__(self, work, actor, options):
        with contextlib.ExitStack() as stack:
            # An open loop's tail is to be the proxy's: nobody looks for the peak meanwhile, and others have to wait.
            peak = stack.enter_context(machine.PeakMemory(
                *actor.pids, interval_seconds=None if work.is_open else PEAK_INTERVAL_SECONDS))
            self.is_first = work.is_open and work.is_together and stack.enter_context(
                priority.first([*actor.pids, *actor.helper_pids]))
            window = machine.Window(actor.pids, actor.helper_pids)
            counts = actor.load(*options_of(work), *options, is_together=work.is_together)
            window.close(counts["cpu_seconds"])
        if counts["failed"] > 0 or counts["answered"] == 0:
            raise AssertionError(f"{actor.name}, {work.name}: {counts}\n{actor.report()}")
        self.cost = work.cost(counts, window.cpu.running)
        self.user_cost = self.cost * window.cpu.user_share()
        self.rate = counts["answered"] / counts["seconds"]
        self.latency_us = counts["latency_us"]
        self.p50, self.p99 = self.latency_us["0.5"], self.latency_us["0.99"]
        self.added = None  # to the median that the load has without a proxy
        self.peak_kib, self.growth = peak.kib, peak.kib - actor.idle_kib
        self.proxy_share = window.cpu.running / counts["seconds"]
        self.load_share = (counts["cpu_seconds"] + window.other_seconds - counts["vain_seconds"]) / counts["seconds"]
        self.has_own_processor = actor.has_own_processor
        self.is_clean = window.foreign_share <= FOREIGN_SHARE_MAX + window.foreign_error / 2 and (
            not actor.has_own_processor or window.waiting_share <= WAITING_SHARE_MAX)

    def is_bound_by_load(self):
        return self.has_own_processor and self.load_share > BUSY_SHARE > self.proxy_share


class Result:
    """The samples of one work: rounds of {name of the proxy: Sample}."""

    def __init__(self, work, clean_rounds_min, rate=None):
        self.work, self.clean_rounds_min, self.rate = work, clean_rounds_min, rate
        self.rounds, self.dropped = [], 0

    def clean_rounds(self):
        return [samples for samples in self.rounds if all(sample.is_clean for sample in samples.values())]

    def is_disturbed(self):
        return len(self.clean_rounds()) < self.clean_rounds_min

    def used_rounds(self):
        return self.rounds if self.is_disturbed() else self.clean_rounds()

    def median(self, name, value):
        return statistics.median(value(samples[name]) for samples in self.used_rounds())

    def ratio(self, name, other, what):
        """Median over the rounds of the ratio of two proxies' figures."""
        return statistics.median(getattr(samples[name], what) / getattr(samples[other], what)
                                 for samples in self.used_rounds())

    def add(self, samples):
        direct = samples.get("direct")
        for sample in samples.values():
            sample.added = sample.p50 - direct.p50 if direct and sample is not direct else None
        self.rounds.append(samples)


def half_load(actors, work, milliseconds):
    """Half the rate of the slowest of them, when each has all it can do."""
    rates = []
    for actor in actors:
        counts = actor.load(*options_of(work), "--milliseconds", milliseconds, is_together=work.is_together)
        rates.append(counts["answered"] / counts["seconds"])
    return max(RATE_STEP, int(min(rates) / 2) // RATE_STEP * RATE_STEP)


def measure(work, stage, rounds, milliseconds, is_patient=True):
    """Until there are so many clean rounds, or patience is over: at once after so many rounds, clean or not, unless
    `is_patient`."""
    actors = [actor for actor in stage.actors if actor.name not in work.without]
    options = ["--requests", work.requests] if work.requests else ["--milliseconds", milliseconds]
    result = Result(work, min(rounds, CLEAN_ROUNDS_MIN),
                    half_load(actors, work, milliseconds) if work.is_open else None)
    if work.is_open:
        options += ["--rate", result.rate]
    deadline = time.monotonic() + PATIENCE * rounds * len(actors) * milliseconds / 1000
    while len(result.clean_rounds() if is_patient else result.rounds) < rounds and (
            not result.rounds or time.monotonic() < deadline):
        samples = {}
        for actor in actors:
            for attempt in range(REPEATS_MAX if is_patient else 1):
                result.dropped += attempt > 0
                samples[actor.name] = Sample(work, actor, options)
                if samples[actor.name].is_clean:
                    break
        result.add(samples)
        actors = actors[1:] + actors[:1]
    return result


def summarize(result):
    """All that the report says of a work, as it is kept in a file."""
    work, proxies = result.work, {}
    for name in result.used_rounds()[0]:
        figures = {what: result.median(name, lambda sample, what=what: getattr(sample, what))
                   for what in ("cost", "user_cost", "rate", "p50", "p99", "peak_kib", "growth")}
        figures["latency_us"] = {share: result.median(name, lambda sample, share=share: sample.latency_us[share])
                                 for share in result.rounds[0][name].latency_us}
        others = [other for other in result.rounds[0] if other != name]
        figures["ratios"] = {what: {other: result.ratio(name, other, what) for other in others}
                             for what in ("cost", "p99")}
        if name != "direct" and "direct" in others:
            figures["added"] = result.median(name, lambda sample: sample.added)
            figures["ratios"]["added"] = {other: result.ratio(name, other, "added") for other in works.PEERS}
        proxies[name] = figures
    return {"unit": work.unit, "rate": result.rate, "notes": notes(result), "proxies": proxies}


def notes(result):
    """How far the figures are to be believed."""
    words = f"{len(result.clean_rounds())} clean rounds of {len(result.rounds)}, {result.dropped} measurements made again"
    if result.is_disturbed():
        words += "; **too few clean rounds: the figures are of all rounds, while others used the machine**"
    lines = [words]
    if result.rate:
        lines.append(f"{result.rate:,} requests/s, half of what the slowest can do")
    samples = [sample for samples in result.used_rounds() for name, sample in samples.items() if name != "direct"]
    if result.work.stage not in ("shared", "workers"):
        lines.append(f"load and backends used {max(sample.load_share for sample in samples):.0%} of their processor at most")
    if result.rate and max(sample.load_share for sample in samples) > ROOM_SHARE:
        lines.append("latencies above the median have waiting for load and backends in them")
    if result.rate and not all(sample.is_first for sample in samples):
        lines.append("this user may not let them run before others (SCHED_FIFO), whose time is in the latencies")
    bound = sorted({name for samples in result.used_rounds() for name, sample in samples.items()
                    if name != "direct" and sample.is_bound_by_load()})
    if bound:
        lines.append(f"answers/s are bound by the load, not by the proxy: {', '.join(bound)}")
    return lines

"""aftermath - what an event cost: the load's record and what the backends executed, counted, compared with what may be, and
drawn.
"""

import collections
import math
import shutil
import statistics
import subprocess
import sys

# The least that "used" wants of a backend: so much of an equal share.
LEAST_SHARE = 0.5

LATE_US = 1_000_000

TENTH_NS = 100_000_000

# In the plots: how wide a bin is, and what the longest latency is drawn as.
BIN_SECONDS = 0.1

Request = collections.namedtuple("Request", "due_ns latency_us method id status how")


def read_record(path):
    """The load's record, by when requests were due."""
    requests = []
    for line in path.read_text().splitlines():
        due_ns, latency_us, method, identity, status, how = line.split()
        requests.append(Request(int(due_ns), int(latency_us), method, identity, int(status), how))
    return sorted(requests)


def quantile(values, share):
    """The least value that a share of `share` of the values does not exceed; None of none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


class Outcome:
    """One event with one proxy, once."""

    def __init__(self, requests=(), before_ns=0, event_ns=0, end_ns=0, executed=None, times=(), notes=(), back_ns=None,
                 last_seconds=2, last_choices=()):
        # What came before is warming up.
        requests = [request for request in requests if request.due_ns >= before_ns]
        self.requests, self.event_ns, self.times, self.notes = requests, event_ns, list(times), list(notes)
        self.last_choices = list(last_choices)
        before = [request for request in requests if request.due_ns < event_ns]
        after = [request for request in requests if event_ns <= request.due_ns < end_ns]
        self.sent = len(self.requests)
        failed = [request for request in requests if request.how != "answered"]
        self.failed = {method: sum(request.method == method for request in failed) for method in ("GET", "POST")}
        self.causes = collections.Counter(
            f"{request.method} {request.status if request.how == 'status' else request.how}" for request in failed)
        late = [request for request in requests if request.latency_us > LATE_US]
        self.late, self.late_gets = len(late), sum(request.method == "GET" for request in late)
        self.p99_before_us = quantile([request.latency_us for request in before], 0.99)
        self.p99_after_us = quantile([request.latency_us for request in after], 0.99)
        self.twice = None
        self.shares = None
        if executed is not None:
            posts = collections.Counter(identity for member in executed for _, method, identity in member
                                        if method == "POST")
            self.twice = sum(count > 1 for count in posts.values())
            last = [sum(end_ns - last_seconds * 1e9 <= time_ns < end_ns for time_ns, _, _ in member)
                    for member in executed]
            self.shares = [count / max(1, sum(last)) for count in last]
        self.recovery_ms = None if back_ns is None else self._recovery_ms(back_ns)

    def _recovery_ms(self, back_ns):
        """From then to the first half second without a bad tenth, which is one in which more than a tenth of the requests
        failed or took longer than twice the p99 before."""
        bins = collections.defaultdict(list)
        for request in self.requests:
            if request.due_ns >= back_ns:
                is_bad = request.how != "answered" or request.latency_us > 2 * self.p99_before_us
                bins[(request.due_ns - back_ns) // TENTH_NS].append(is_bad)
        bad = sorted(number for number, verdicts in bins.items() if sum(verdicts) * 10 > len(verdicts))
        well = 0
        for number in bad:
            if number >= well + 5:
                break
            well = number + 1
        return well * 100

    @property
    def ratio(self):
        return self.p99_after_us / self.p99_before_us if self.p99_before_us and self.p99_after_us else None

    def used(self):
        """How many backends get a fair share at the end."""
        return sum(share >= LEAST_SHARE / len(self.shares) for share in self.shares)


def exceeded(limits, outcome, runs):
    """What is beyond the limits, in words. Ratios and times are judged by the median of the runs."""
    found = []
    for what, value, most in (("GET failed", outcome.failed["GET"], limits.gets),
                              ("POST failed", outcome.failed["POST"], limits.posts),
                              ("executed twice", outcome.twice, limits.twice),
                              ("over 1 s", outcome.late, limits.late),
                              ("GET over 1 s", outcome.late_gets, limits.late_gets),
                              ("ms to recover", outcome.recovery_ms, limits.recovery_ms)):
        if value is not None and most is not None and value > most:
            found.append(f"{value} {what}, {most} at most")
    if limits.used and outcome.shares and outcome.used() < len(outcome.shares):
        found.append(f"{outcome.used()} of {len(outcome.shares)} used in the end")
    if outcome is not runs[-1]:
        return found
    ratios = [run.ratio for run in runs if run.ratio is not None]
    if limits.ratio is not None and ratios and statistics.median(ratios) > limits.ratio:
        found.append(f"p99 {statistics.median(ratios):.2f} times that before, {limits.ratio} at most")
    times = [time for run in runs for time in run.times]
    if limits.times is not None and times:
        for share, most in zip((0.5, 0.99), limits.times):
            if quantile(times, share) > most:
                found.append(f"p{share * 100:g} {quantile(times, share):.1f} ms, {most} at most")
    return found


def counts(values):
    """One number where all runs agree, else one for each."""
    values = ["-" if value is None else str(value) for value in values]
    return values[0] if len(set(values)) == 1 else " ".join(values)


def milliseconds(values):
    values = [value / 1000 for value in values if value is not None]
    return f"{statistics.median(values):.1f}" if values else "-"


def remarks(outcomes):
    """What no column says."""
    causes, notes = collections.Counter(), []
    for outcome in outcomes:
        causes.update(outcome.causes)
        notes += [note for note in outcome.notes if note not in notes]
    times = [time for outcome in outcomes for time in outcome.times]
    if times:
        notes.append(f"median {statistics.median(times):.1f} ms, p99 {quantile(times, 0.99):.1f} ms of {len(times)}")
    choices = [f"{time:.0f}" for outcome in outcomes for time in outcome.last_choices]
    if choices:
        notes.append(f"last chosen after {' '.join(choices)} ms")
    recoveries = [outcome.recovery_ms for outcome in outcomes if outcome.recovery_ms is not None]
    if recoveries:
        notes.append(f"well again after {counts(recoveries)} ms")
    late_gets = sum(outcome.late_gets for outcome in outcomes)
    if late_gets:
        notes.append(f"GET over 1 s: {late_gets}")
    notes += [f"{what}: {count}" for what, count in causes.most_common(4)]
    return "; ".join(notes)


def row(title, subject, outcomes):
    """A row of the table: all runs of one event with one proxy."""
    ratios = [outcome.ratio for outcome in outcomes if outcome.ratio is not None]
    shares = [share for outcome in outcomes for share in outcome.shares or ()]
    return (title, subject, counts([outcome.sent for outcome in outcomes]),
            counts([outcome.failed["GET"] for outcome in outcomes]),
            counts([outcome.failed["POST"] for outcome in outcomes]),
            counts([outcome.twice for outcome in outcomes]), counts([outcome.late for outcome in outcomes]),
            milliseconds([outcome.p99_before_us for outcome in outcomes]),
            milliseconds([outcome.p99_after_us for outcome in outcomes]),
            f"{statistics.median(ratios):.2f}" if ratios else "-",
            f"{min(shares) * 100:.0f} to {max(shares) * 100:.0f} %" if shares else "-", remarks(outcomes))


HEAD = ("event", "proxy", "sent", "failed GET", "failed POST", "executed twice", "over 1 s", "p99 before, ms",
        "p99 after, ms", "after / before", "shares at the end", "remarks")


def bins(outcome):
    """Lines for gnuplot: seconds from the event, median and longest latency in milliseconds, failed requests."""
    width_ns = round(BIN_SECONDS * 1e9)
    table = collections.defaultdict(list)
    for request in outcome.requests:
        table[(request.due_ns - outcome.event_ns) // width_ns].append(request)
    lines = []
    for number, requests in sorted(table.items()):
        latencies = [request.latency_us / 1000 for request in requests]
        failed = sum(request.how != "answered" for request in requests)
        lines.append(f"{(number + 0.5) * BIN_SECONDS:.2f} {statistics.median(latencies):.3f} {max(latencies):.3f} "
                     f"{failed or 'NaN'}")
    return "\n".join(lines)


def plot(path, title, outcomes):
    """Latency over time around an event: a panel for each of `outcomes`, {proxy: outcome}. False: there is no gnuplot."""
    if shutil.which("gnuplot") is None:
        print("no plot: gnuplot is not installed", file=sys.stderr)
        return False
    data = "".join(f"${'data'}{i} << EOD\n{bins(outcome)}\nEOD\n" for i, outcome in enumerate(outcomes.values()))
    panels = "".join(
        f"set title '{name}' offset 0,-0.8\n"
        f"plot $data{i} using 1:3 with steps linecolor rgb '#d08030' title 'longest', "
        f"$data{i} using 1:2 with lines linecolor rgb '#2060a0' linewidth 1.5 title 'median', "
        f"$data{i} using 1:4 axes x1y2 with impulses linecolor rgb '#c02020' linewidth 2 title 'failed'\n"
        for i, name in enumerate(outcomes))
    seconds = [(request.due_ns - outcome.event_ns) / 1e9 for outcome in outcomes.values()
               for request in (outcome.requests[0], outcome.requests[-1])]
    script = f"""\
{data}
set terminal svg size 900,{60 + 200 * len(outcomes)} background 'white'
set output '{path}'
set multiplot layout {len(outcomes)},1 title '{title}: latency in ms (left), failed in a tenth of a second (right)'
set logscale y
set yrange [1:20000]
set y2range [0:50]
set ytics nomirror 1,10
set y2tics 0,25
set xrange [{min(seconds):.1f}:{max(seconds):.1f}]
set grid
set key outside right
set arrow from 0, graph 0 to 0, graph 1 nohead dashtype 2
{panels}
unset multiplot
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)
    return True

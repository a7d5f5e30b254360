"""works - the kinds of work that bench/throughput has proxies do, and what srsd-proxy may cost at each.

The goals are ratios to others in the same rounds: absolute figures belong to one machine.
"""

KILO, MEGA, GIGA = 1024, 1024 ** 2, 1024 ** 3

PEERS = ("nginx", "HAProxy")

# What two workers are compared with (stages.py).
ONE_WORKER, SIDE_BY_SIDE, TWO_PROCESSES = "one worker", "side by side", "two processes"

# Anonymous memory may grow by so much over that of the process as it started, while any number of bytes passes.
FLAT_KIB = 4096


class Work:
    """One kind. `options`: of bench_load. `stage`: what runs meanwhile (support/stages.py). `unit`: of the processor time.
    `requests`: so many instead of a time. `is_open`: at half the rate that the slowest proxy can do. `is_together`: load and
    backends are one thread, so that nothing depends on how they share a processor."""

    def __init__(self, name, options, stage="small", unit="us/request", requests=None, is_open=False, is_together=False,
                 without=()):
        self.name, self.options, self.stage, self.unit = name, options, stage, unit
        self.requests, self.is_open, self.is_together = requests, is_open, is_together
        self.without = without  # names of what this is not asked of

    def cost(self, counts, cpu_seconds):
        """In the work's unit."""
        per = counts["answered"] if self.unit == "us/request" else (
            counts["received_bytes"] + counts["sent_bytes"]) / 1e6
        return cpu_seconds * 1e6 / per


GET_64 = "GET, 64 connections"
GET_1 = "GET, 1 connection"
ONE_PROCESSOR = "GET, 1 connection, one processor"
ASLEEP = "GET, 1 connection, asleep"
AWAKE = "GET, 1 connection, busy_wait"
HALF_LOAD = "GET, half load"
POST = "POST 10 KB"
NEW_CONNECTIONS = "GET, new connections"
DEFERRED = "GET, new connections, deferred"
GET_100_KB, GET_1_MB, GET_100_MB = "GET 100 KB", "GET 1 MB", "GET 100 MB"
GET_1_GB, POST_1_GB = "GET 1 GB", "POST 1 GB"
TWO_WORKERS = "GET, two workers"
CALLS = "system calls"

WORKS = [
    Work(GET_64, ["--connections", 64], is_together=True, without=["direct"]),
    Work(GET_1, ["--connections", 1]),
    Work(HALF_LOAD, ["--connections", 64], is_open=True, is_together=True, without=["direct"]),
    Work(POST, ["--connections", 64, "--body", 10 * KILO], is_together=True, without=["direct"]),
    # The floor keeps its connections to backends here, as proxies do.
    Work(NEW_CONNECTIONS, ["--connections", 64, "--new-connections"], "connections"),
    # All listeners take a connection when its first bytes are there, which takes a setting of each.
    Work(DEFERRED, ["--connections", 64, "--new-connections"], "deferred"),
    Work(GET_100_KB, ["--connections", 64, "--path", f"/{100 * KILO}"], "large", "us/MB"),
    Work(GET_1_MB, ["--connections", 64, "--path", f"/{MEGA}"], "large", "us/MB"),
    Work(GET_100_MB, ["--connections", 4, "--path", f"/{100 * MEGA}"], "large", "us/MB", requests=8),
    Work(GET_1_GB, ["--connections", 1, "--path", f"/{GIGA}"], "large", "us/MB", requests=1),
    Work(POST_1_GB, ["--connections", 1, "--body", GIGA], "large", "us/MB", requests=1),
    Work(ONE_PROCESSOR, ["--connections", 1], "shared"),
    Work(ASLEEP, ["--connections", 1], "asleep"),
    Work(AWAKE, ["--connections", 1], "awake"),
    Work(TWO_WORKERS, ["--connections", 64], "workers"),
]


class Goal:
    """What must hold of srsd-proxy at a work. `what`: a figure of it, or with `of` that figure's ratio to another's: a
    proxy's, or each one's of several."""

    def __init__(self, work, what, most, of=(), words="", format_="{:.2f}"):
        self.work, self.what, self.most, self.format = work, what, most, format_
        self.of = (of,) if isinstance(of, str) else of
        self.words = words or what


COST = "processor time"

GOALS = [
    Goal(GET_64, "cost", 1.10, "floor", COST),
    Goal(GET_1, "cost", 1.15, "floor", COST),
    Goal(GET_1, "added", 0.90, PEERS, "latency added by the hop, median"),
    Goal(ONE_PROCESSOR, "added", 0.90, PEERS, "latency added by the hop, median"),
    Goal(AWAKE, "added", 0.90, PEERS, "latency added by the hop, median"),
    Goal(HALF_LOAD, "cost", 1.15, "floor", COST),
    Goal(HALF_LOAD, "p99", 1.00, PEERS, "p99 of the latency"),
    Goal(POST, "cost", 1.15, "floor", COST),
    Goal(NEW_CONNECTIONS, "cost", 0.75, PEERS, COST),
    Goal(DEFERRED, "cost", 0.75, PEERS, COST),
    Goal(GET_100_KB, "cost", 1.10, "floor", COST),
    Goal(GET_1_MB, "cost", 0.70, "nginx", COST),
    Goal(GET_100_MB, "cost", 0.70, "nginx", COST),
    Goal(GET_1_GB, "cost", 0.70, "nginx", COST),
    Goal(GET_1_GB, "growth", FLAT_KIB, words="growth of memory, KiB", format_="{:,.0f}"),
    Goal(POST_1_GB, "cost", 0.70, "nginx", COST),
    Goal(POST_1_GB, "growth", FLAT_KIB, words="growth of memory, KiB", format_="{:,.0f}"),
    Goal(TWO_WORKERS, "cost", 1.05, ONE_WORKER, COST),
    Goal(TWO_WORKERS, "cost", 1.05, TWO_PROCESSES, COST),
    # The connections' own calls, and those of timers, are a share of a call.
    Goal(CALLS, "calls", 4.05, words="calls per request beside epoll_wait"),
    Goal(CALLS, "waits", 1.00, words="epoll_wait per request"),
]

"""machine - what the operating system says of processor time: of processes, of the rest of the machine, of the machine.

The time of a process is the sum over its threads of what the scheduler measured (/proc/PID/task/*/schedstat,
nanoseconds). Where it went, user or kernel, is sampled by the kernel's tick (/proc/PID/stat) and exact to some per cent
over a second. What runs on the machine beside the measured processes is the machine's busy time less theirs.
"""

import os
import pathlib
import platform
import subprocess
import threading
import time

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class CpuTimes:
    """Processor time of processes so far, in seconds."""

    def __init__(self, running, waiting, user, kernel):
        self.running = running  # on a processor
        self.waiting = waiting  # ready to run, while something else had the processor
        self.user = user
        self.kernel = kernel

    @classmethod
    def of(cls, *pids):
        times = cls(0, 0, 0, 0)
        for pid in pids:
            times += cls._of_one(pid)
        return times

    @classmethod
    def _of_one(cls, pid):
        running = waiting = 0
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                on_processor, ready, _ = (task / "schedstat").read_text().split()
            except FileNotFoundError:
                continue  # the thread has just ended
            running += int(on_processor)
            waiting += int(ready)
        # The name of the command stands in parentheses and may hold anything.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return cls(running / 1e9, waiting / 1e9, int(fields[11]) * TICK_SECONDS, int(fields[12]) * TICK_SECONDS)

    def __add__(self, other):
        return CpuTimes(self.running + other.running, self.waiting + other.waiting,
                        self.user + other.user, self.kernel + other.kernel)

    def __sub__(self, other):
        return CpuTimes(self.running - other.running, self.waiting - other.waiting,
                        self.user - other.user, self.kernel - other.kernel)

    def user_share(self):
        return self.user / (self.user + self.kernel) if self.user + self.kernel > 0 else 0.0


def thread_seconds(pid):
    """Processor time so far of each thread that runs now, by the threads' names; those of one name together."""
    seconds = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            running = int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # the thread has just ended
        seconds[name] = seconds.get(name, 0.0) + running / 1e9
    return seconds


def waiting_seconds(pid, names):
    """How long threads whose names begin so were ready to run so far, while something else had the processor."""
    waiting = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().startswith(names):
                waiting += int((task / "schedstat").read_text().split()[1])
        except FileNotFoundError:
            continue  # the thread has just ended
    return waiting / 1e9


class Memory:
    """What a process has of the machine's memory now, in KiB: in all, and of its own (heap, stacks)."""

    def __init__(self, pid):
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        fields = dict(line.split(":", 1) for line in lines)
        self.resident_kib = int(fields["Rss"].split()[0])
        self.anonymous_kib = int(fields["Anonymous"].split()[0])
        self.own_kib = int(fields["Pss_Anon"].split()[0])  # the same, where processes share it a part each


def family(pid):
    """The process and its children."""
    pids = [pid]
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if parent == pid:
            pids.append(int(stat.parent.name))
    return pids


def anonymous_kib(*pids):
    """What processes have of memory of their own now, in KiB, at once: Memory walks all their pages."""
    lines = (line for pid in pids for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


class PeakMemory:
    """The most anonymous memory that processes have while this is entered, looked at every so often, and at the end;
    None: only then."""

    def __init__(self, *pids, interval_seconds=0.02):
        self._pids, self._is_over, self.kib = pids, threading.Event(), 0
        self._interval_seconds = interval_seconds
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self):
        while not self._is_over.wait(self._interval_seconds):
            self.kib = max(self.kib, anonymous_kib(*self._pids))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()
        self.kib = max(self.kib, anonymous_kib(*self._pids))


def has_two_processors():
    return len(os.sched_getaffinity(0)) > 1


def busy_seconds():
    """What all processors were busy so far, time taken by other virtual machines included."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_SECONDS


class Window:
    """A stretch of time: what `pids` used in it, and what processes that are not named here used of the machine.
    `others`: pids of processes that are ours too, as is this one; their threads must not end meanwhile."""

    def __init__(self, pids, others=()):
        self._pids, self._others = pids, others
        self._start = self._read()

    def _read(self):
        others = time.process_time() + CpuTimes.of(*self._others).running
        return time.monotonic(), busy_seconds(), others, CpuTimes.of(*self._pids)

    def close(self, ended_cpu_seconds):
        """End it. `ended_cpu_seconds`: of named processes that began and ended in it."""
        seconds, busy, others, cpu = (end - start for end, start in zip(self._read(), self._start))
        self.seconds, self.cpu, self.other_seconds = seconds, cpu, others
        foreign = busy - others - cpu.running - ended_cpu_seconds
        self.foreign_share = max(0.0, foreign / (seconds * os.cpu_count()))
        # Busy time is sampled by the tick: the standard error of the share, where half of the samples are busy.
        self.foreign_error = 0.5 * (TICK_SECONDS / (seconds * os.cpu_count())) ** 0.5
        self.waiting_share = cpu.waiting / seconds
        return self


def describe():
    """Lines that say what machine this is."""
    model = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines()
                   if "=" in line)
    return [f"{os.cpu_count()} processors, {model}",
            f"{release.get('PRETTY_NAME', '?').strip(chr(34))}, Linux {platform.release()}"]


def first_line(*command):
    """The first line that a command prints, or that it is not there."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=20, check=False)
    except FileNotFoundError:
        return f"{command[0]}: not installed"
    return (done.stdout.splitlines() or ["?"])[0]

"""priority - who gets a processor where several want it, as the kernel lets anybody say it of processes of their own."""

import contextlib
import os


def make_idle(process, but=()):
    """Let all threads of a process, except those in `but`, run only where nobody else wants to. What such a thread starts
    runs like that too."""
    for thread in map(int, os.listdir(f"/proc/{process}/task")):
        try:
            if thread not in but:
                os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        except ProcessLookupError:
            continue  # it has just ended


def _threads(processes):
    return [int(thread) for process in processes for thread in os.listdir(f"/proc/{process}/task")]


def _schedule(threads, policy, priority):
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.sched_setscheduler(thread, policy, os.sched_param(priority))


@contextlib.contextmanager
def first(processes):
    """All threads of these processes run before anybody else's meanwhile (SCHED_FIFO): who has a processor is else left
    there for milliseconds, whoever wakes up. Gives whether this user may do that. They must sleep now and then."""
    threads = _threads(processes)
    try:
        _schedule(threads, os.SCHED_FIFO, 1)
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        _schedule(threads, os.SCHED_OTHER, 0)

"""priority - who gets a processor where several want it, as the kernel lets anybody say it of processes of their own."""

import os


def make_idle(process="self"):
    """Let all threads of a process run only where nobody else wants to. What it starts is not bound by that."""
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            os.sched_setscheduler(int(thread), os.SCHED_IDLE | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        except ProcessLookupError:
            continue  # it has just ended

"""priority - who gets a processor where several want it, as the kernel lets anybody say it of processes of their own."""

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

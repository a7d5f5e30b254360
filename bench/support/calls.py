"""calls - system calls per request, counted by strace in runs of their own, as strace makes everything slower."""

import contextlib
import pathlib
import shutil
import signal
import tempfile

import product

FEW, MANY = 1000, 5000
WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


class NotPossible(Exception):
    """strace is not there, or may not."""


def count_once(actor, options, requests):
    """Returns {name of the call: how often} while so many requests are answered, connections included."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="srsd-bench-strace-"))
        summary = pathlib.Path(directory) / "calls"
        strace = product.Process(["strace", "-f", "-c", "-U", "calls,name", "-o", str(summary), "-p", str(actor.pid)])
        stack.callback(strace.close)
        try:
            strace.wait_for_error("attached")
        except AssertionError:
            raise NotPossible(f"strace may not follow the process: {' '.join(strace.errors)}") from None
        actor.load(*options, "--requests", requests)
        strace.signal(signal.SIGINT)
        strace.wait_for_exit()
        rows = (line.split() for line in summary.read_text().splitlines())
        return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit() and row[1] != "total"}


def count(actor, options):
    """Returns {name of the call: how often for one request}: what more requests on as many connections take."""
    few, many = (count_once(actor, options, requests) for requests in (FEW, MANY))
    per_request = {name: (total - few.get(name, 0)) / (MANY - FEW) for name, total in many.items()}
    return {name: calls for name, calls in per_request.items() if calls >= 0.005}


def summarize(stage, options, without):
    """The same as rounds.summarize(), for what this counts. Raises NotPossible."""
    if shutil.which("strace") is None:
        raise NotPossible("strace is not installed (packaging/install-debian bench)")
    proxies = {}
    for actor in stage.actors:
        if actor.name not in without:
            calls = count(actor, options)
            waits = sum(often for name, often in calls.items() if name in WAITS)
            proxies[actor.name] = {"calls": sum(calls.values()) - waits, "waits": waits, "by_name": calls}
    return {"proxies": proxies, "notes": [
        "64 connections, under strace, which slows the proxy down: more events come with each epoll_wait than else"]}

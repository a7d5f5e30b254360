#!/usr/bin/python3
"""main - the second half of examples/quickstart, once all is built: starts the fleet, then shows it on a board until
Ctrl-C, or checks it (--check)."""

import argparse
import http.client
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from check import check
from fleet import LABEL, SESSION_TIMEOUT_MS, Failed, Fleet, free_port, say

SERVICES = 3
BOARD_SECONDS = 0.5


class Stopped(BaseException):
    """Ctrl-C or SIGTERM."""


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
        note = "" if started is None or started.is_running() else "  ended, still registered"
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


def run(binaries, port, is_check):
    """Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="srsd-quickstart-") as directory:
        fleet = Fleet(binaries, pathlib.Path(directory), port or free_port())
        complaints = []
        try:
            fleet.start(SERVICES)
            if is_check:
                check(fleet)
            else:
                show_hints(fleet)
                show_board(fleet)
        except (Failed, OSError, http.client.HTTPException) as failed:
            complaints.append(str(failed))
            if is_check:
                complaints += [child.last_words() for child in fleet.children()]
        except Stopped:
            print()
            say("stopping")
            if is_check:
                complaints.append("stopped before the end of the check")
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            complaints += fleet.stop()
            say("all processes have ended")
        for complaint in dict.fromkeys(complaints):
            print(f"quickstart: {complaint}", file=sys.stderr)
        if is_check and not complaints:
            say("all checks passed")
        return 1 if complaints else 0


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

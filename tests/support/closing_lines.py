#!/usr/bin/python3
"""closing_lines - what each test runner said last, from the log that CTest keeps: closing_lines.py BUILD-DIRECTORY.

Exit status 1 when a runner ran no test at all (each of them calls that a success), or when CI=true and one skipped
tests of its own.
"""

import os
import pathlib
import re
import sys

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
# Criterion, unittest (with the verdict that follows), tests/wire/run, varnishtest by itself.
CLOSING = re.compile(r"Synthesis: Tested: \d+|^Ran \d+ tests? in |^(OK|FAILED)\b|^\d+ passed, \d+ failed$"
                     r"|tests? failed, \d+ tests? skipped")
# varnishtest with one file says nothing else.
CLOSING_FILE = re.compile(r"^# +top +TEST .* (passed|FAILED|skipped)")
NOTHING_RAN = re.compile(r"Synthesis: Tested: 0\b|^Ran 0 tests|^0 passed, 0 failed$|tests skipped, 0 tests passed")
SKIPPED = re.compile(r"skipped=[1-9]|[1-9]\d* tests? skipped|^# +top +TEST .* skipped")


def read_tests(log):
    """(name, lines of output, verdict) of each test in CTest's log."""
    pattern = re.compile(r"^\d+/\d+ Test: (?P<name>.+?)\n.*?^Output:\n-{10,}\n(?P<output>.*?)"
                         r"^<end of output>\n.*?^-{10,}\n(?P<verdict>[^\n]*)", re.MULTILINE | re.DOTALL)
    for match in pattern.finditer(log):
        output = [line.rstrip() for line in ESCAPES.sub("", match["output"]).splitlines() if line.strip()]
        yield match["name"], output, match["verdict"]


def main(build):
    log = (pathlib.Path(build) / "Testing/Temporary/LastTest.log").read_text(errors="replace")
    tests = sorted(read_tests(log))
    complaints = [] if tests else ["CTest's log names no test"]
    for name, output, verdict in tests:
        closing = ([line for line in output if CLOSING.search(line)]
                   or [line for line in output if CLOSING_FILE.search(line)] or output[-1:] or [verdict])
        for line in closing:
            print(f"{name}: {line}")
        if any(NOTHING_RAN.search(line) for line in output):
            complaints.append(f"{name} ran no test")
        if os.environ.get("CI") == "true" and any(SKIPPED.search(line) for line in closing):
            complaints.append(f"{name} skipped tests, which CI does not accept")
    for complaint in complaints:
        print(f"closing_lines: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

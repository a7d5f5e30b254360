"""callgrind - runs srsd-proxy under callgrind, which counts the instructions that it executes in user space.

A count is as good as its run is like every other: the environment is empty, addresses have the same number of digits,
backends are fixed, all processes share one processor, and the proxy takes it from nobody who is busy: by the time it
looks at its sockets, whoever wrote to them has finished. glibc is kept from choosing its functions by the processor.
"""

import pathlib
import re
import subprocess

import subjects

VALGRIND = "/usr/bin/valgrind"

# So that the same memcpy() is counted on every machine.
TUNABLES = "glibc.cpu.hwcaps=-AVX512VL,-AVX512BW,-AVX512F,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-SSSE3," \
           "-SSE4_1,-SSE4_2,-BMI2,-RTM"

# A line of callgrind_annotate: a count, and the file, the function and the object that it belongs to.
ANNOTATION = re.compile(r"^ *([\d,]+) +(?:.*:)?(\S[^:]*?)(?: \[(\S+)\])?$")


class Counted(subjects.Subject):
    """srsd-proxy under callgrind, with one worker and a service of fixed backends for each path."""

    name = "counted"

    def __init__(self, program, services):
        """`services`: {path: Backends}."""
        self._program = program
        super().__init__(services, cpu=subjects.LOAD_CPU)

    def command(self, backends):
        services = "".join(f"  - name: {'root' + path.strip('/')}\n    static: [{', '.join(behind.addresses)}]\n"
                           for path, behind in backends.items())
        routes = "".join(f"  - path: {path}\n    service: {'root' + path.strip('/')}\n" for path in backends)
        configuration = self.write("srsd-proxy.yaml", f"""\
listeners:
  - address: 127.0.0.1:{self.port}
services:
{services}routes:
{routes}workers: 1
answer_wait: asleep
admin:
  address: 127.0.0.1:{subjects.product.free_port()}
""")
        self._file = self.directory / "callgrind.out"
        return ["chrt", "--batch", "0", "env", "-i", f"GLIBC_TUNABLES={TUNABLES}", VALGRIND, "--tool=callgrind", "--vgdb=no",
                f"--callgrind-out-file={self._file}", self._program, "--config", configuration]

    def finish(self):
        """End it. Returns the instructions of its whole life, and how they spread: {(function, object): count}."""
        if self.process.terminate() != 0:
            raise AssertionError(self.process.report())
        totals = [line for line in self._file.read_text().splitlines() if line.startswith("totals: ")]
        return int(totals[0].split()[1]), self._annotate()

    def _annotate(self):
        lines = subprocess.run(
            ["/usr/bin/callgrind_annotate", "--threshold=100", "--show-percs=no", "--auto=no", str(self._file)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout.splitlines()
        counts = {}
        for line in lines:
            if (found := ANNOTATION.match(line)) and "PROGRAM TOTALS" not in line:
                function = (found[2].removesuffix(".lto_priv.0"), pathlib.Path(found[3] or "?").name)
                counts[function] = counts.get(function, 0) + int(found[1].replace(",", ""))
        return counts

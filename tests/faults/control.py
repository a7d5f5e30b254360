"""control - says to a running srsd-proxy-faults which of its calls fail, and reads how many it made (see faults.c)."""

import mmap
import os
import struct
import tempfile

KINDS = ("allocate", "accept", "socket", "connect", "send", "receive", "register", "pipe", "splice")
SHORT = 1000  # beside the values of errno: one byte is moved
MAIN, WORKER, REGISTRY, CHECKER = 1, 2, 4, 8
EVERYWHERE = MAIN | WORKER | REGISTRY | CHECKER
FIELDS = ("kind", "number", "repeats", "error", "threads", "fired")


class Control:
    """The file that both sides map. Owns it."""

    def __init__(self):
        self._file = tempfile.NamedTemporaryFile(prefix="srsd-faults-")
        os.truncate(self._file.fileno(), 4096)
        self._map = mmap.mmap(self._file.fileno(), 4096)
        self.environment = {"FAULTS_CONTROL": self._file.name}

    def _write(self, field, value):
        struct.pack_into("=Q", self._map, FIELDS.index(field) * 8, value)

    def _read(self, index):
        return struct.unpack_from("=Q", self._map, index * 8)[0]

    def arm(self, kind, number, error, repeats=1, threads=WORKER):
        """From now on count; the call of that number fails, and those after it, `repeats` in all."""
        self.count(threads=0)
        for field, value in (("number", number), ("repeats", repeats), ("error", error)):
            self._write(field, value)
        self._write("kind", KINDS.index(kind) + 1)
        self._write("threads", threads)

    def count(self, threads=WORKER):
        """From now on count, and let nothing fail."""
        self._write("threads", 0)
        self._write("kind", 0)
        self._write("fired", 0)
        for index in range(len(KINDS)):
            struct.pack_into("=Q", self._map, (len(FIELDS) + index) * 8, 0)
        self._write("threads", threads)

    def only_in(self, threads):
        """What is armed stays so in these threads only."""
        self._write("threads", threads)

    def disarm(self):
        """Let nothing fail any more. Returns how many calls failed."""
        self._write("kind", 0)
        return self._read(FIELDS.index("fired"))

    def calls(self):
        """How many calls of each kind there were: {kind: number}."""
        return {kind: self._read(len(FIELDS) + index) for index, kind in enumerate(KINDS)}

    def close(self):
        self._map.close()
        self._file.close()

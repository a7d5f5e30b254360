"""servers - three HTTP/1.1 servers whose parsers share no code, each recording the requests that it understood.

Each runs as the current user on a loopback port of its own, in a temporary directory, and ends with the test. What a
server understood is read from its file of records, so that it does not matter what its answer looks like on the wire.
"""

import os
import pathlib
import shutil
import socket
import tempfile

import product

SOURCE = pathlib.Path(__file__).resolve().parent / "servers"
SENTINEL = b"/sentinel"


class Record:
    """One request as somebody understood it: method, target, body; `fields` as sorted (lower-case name, value)."""

    def __init__(self, method, target, body, fields):
        self.method, self.target, self.body = method, target, body
        self.fields = sorted((name.lower(), value) for name, value in fields)

    def values(self, name):
        return [value for field, value in self.fields if field == name]

    @property
    def host(self):
        return b", ".join(self.values(b"host"))

    @property
    def framing(self):
        """As the fields state it: "chunked", "length 12", "none", or all of what is said when that is more."""
        said = [b"length " + value for value in self.values(b"content-length")] + self.values(b"transfer-encoding")
        return b" and ".join(said).decode("latin-1") or "none"

    def is_sentinel(self):
        return self.target.startswith(SENTINEL)

    def differences(self, other):
        """What the other one understood differently, as lines of text."""
        lines = []
        for name in ("method", "target", "host", "framing", "body"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                lines.append(f"{name}: {mine!r:.300} but {theirs!r:.300}")
        if not lines and self.fields != other.fields:
            mine, theirs = set(self.fields), set(other.fields)
            lines.append(f"fields: {sorted(mine - theirs)!r:.300} but {sorted(theirs - mine)!r:.300}")
        return lines

    def __repr__(self):
        return f"{self.method!r} {self.target!r:.100} host {self.host!r:.60} {self.framing} body of {len(self.body)}"


class Server:
    """A server that records; `command(directory, port, records)` is how it is started."""

    def __init__(self, name, command):
        self.name = name
        self.directory = tempfile.mkdtemp(prefix=f"srsd-differential-{name}-")
        self.records = os.path.join(self.directory, "records")
        self.process = None
        self._read_bytes = 0
        for _ in range(20):
            self.port = product.free_port()
            open(self.records, "wb").close()
            self.process = product.Process(command(self.directory, self.port, self.records))
            product.wait_until(lambda: self.is_listening() or not self.process.is_running(), f"{name} listens")
            if self.process.is_running():
                return
            self.process.wait_for_exit()
            if not any("in use" in line or "cannot bind" in line for line in self.process.errors):
                break
        raise AssertionError(f"{name} does not start\n{self.process.report()}")

    def is_listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def take_records(self):
        """The requests recorded since the last call."""
        with open(self.records, "rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        self._read_bytes += len(data)
        records, at = [], 0
        while at < len(data):
            end = data.index(b"\n", at)
            parts, sizes = [], [int(size) for size in data[at:end].split()]
            at = end + 1
            for size in sizes:
                parts.append(data[at:at + size])
                at += size
            records.append(Record(*parts[:3], zip(parts[3::2], parts[4::2])))
        return records

    def close(self):
        try:
            self.process.close()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def fill_in(name, directory, port, records):
    """Write a server's configuration with what is @NAMED@ in it. Returns its path."""
    text = (SOURCE / name).read_text(encoding="utf-8")
    for key, value in (("DIRECTORY", directory), ("PORT", port), ("RECORDS", records), ("SOURCE", SOURCE)):
        text = text.replace(f"@{key}@", str(value))
    path = os.path.join(directory, name)
    pathlib.Path(path).write_text(text, encoding="utf-8")
    return path


def nginx(directory, port, records):
    path = fill_in("nginx.conf", directory, port, records)
    return [shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "-e", "stderr", "-p", directory, "-c", path]


def haproxy(directory, port, records):
    path = fill_in("haproxy.cfg", directory, port, records)
    return [shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"), "-db", "-f", path]


def tornado(_directory, port, records):
    return ["/usr/bin/python3", "-B", str(SOURCE / "tornado_record.py"), str(port), records]


def start_all():
    """All three, started."""
    servers = []
    try:
        for name, command in (("nginx", nginx), ("haproxy", haproxy), ("tornado", tornado)):
            servers.append(Server(name, command))
    except BaseException:
        for server in servers:
            server.close()
        raise
    return servers

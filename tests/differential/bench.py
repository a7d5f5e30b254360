"""bench - a proxy before a capturing backend, and the servers that read what it forwarded: one case in, findings out.

A case is bytes that a client sends. They go through the proxy; what comes out on the other side is kept byte by byte
(capture.py), and then each server (servers.py) is given exactly these bytes and says what it understood. Behind them
stands a sentinel, a request that is understood as such only if all before it was taken for what it was meant to be.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import tempfile

import product
from capture import Capture
from differences import as_read_by, reason_to_refuse
from proxy import Proxy
from servers import SENTINEL, start_all

STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n")
REFUSALS = range(400, 600)
CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def corpus(verdict):
    """The cases of a folder: (name, number behind the name or None, bytes)."""
    for path in sorted((CORPUS / verdict).glob("*.http")):
        name, _, number = path.stem.partition(".")
        yield name, int(number) if number else None, path.read_bytes()


class Outcome:
    """What became of a case: the statuses that its client was answered, what was forwarded, and what is wrong."""

    def __init__(self, statuses, transcripts, findings):
        self.statuses, self.transcripts, self.findings = statuses, transcripts, findings
        self.bytewise_statuses = None  # of the same case, byte by byte

    @property
    def requests(self):
        return [request for transcript in self.transcripts for request in transcript.requests]

    def essence(self, case):
        """Heads and bodies as forwarded, without the request ids that the proxy made up."""
        return [(without_made_id(request.head, case), request.framing, request.body) for request in self.requests]


def without_made_id(head, case):
    def keep_or_mask(match):
        return match[0] if match[1] in case else b"X-Request-Id: made"

    return re.sub(rb"(?i)X-Request-Id: *([^\r\n]*)", keep_or_mask, head)


def exchange(port, data, end_after=0):
    """Send `data` and end the sending side after so many final answers (None: never). Returns all that is answered until
    the other side closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=product.DEADLINE_SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Whoever refuses may close before all of it is sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(data)
            if end_after == 0:
                client.shutdown(socket.SHUT_WR)
        try:
            while more := client.recv(1 << 16):
                received += more
                if end_after and len(statuses_in(received)) >= end_after:
                    client.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise AssertionError(f"open for ever after {data!r:.500}, answered {received!r:.500}") from None
        except OSError:
            pass  # reset: what came before counts
    return received


def statuses_in(answer):
    return [int(status) for status in STATUS.findall(answer) if not status.startswith(b"1")]


def start_proxy(stack, backend, *options):
    """A proxy of one worker in front of one backend, ended with `stack`. Returns its port."""
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="srsd-differential-proxy-"))
    path = os.path.join(directory, "proxy.yaml")
    settings = {
        "listeners": [{"address": "127.0.0.1:0"}],
        "services": [{"name": "origin", "static": [backend]}],
        "routes": [{"path": "/", "service": "origin"}],
        "retries": {"tries": 1},
        "admin": {"address": "off"},
        "workers": 1,
    }
    pathlib.Path(path).write_text(json.dumps(settings), encoding="utf-8")
    process = product.Process([product.binary("srsd-proxy"), "--config", path, *options])
    stack.callback(process.close)
    proxy = Proxy(process)
    proxy.wait_for_ports(has_admin=False)
    return proxy.port


class Bench:
    """A proxy in front of a capturing backend, a second one that sees one byte at a time, and the servers, each also
    behind a proxy of its own. A context manager: all of it ends with the context."""

    def __init__(self):
        self._sentinels = 0
        self.asked = 0  # so often a server was given what was forwarded

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.servers = start_all()
            for server in self.servers:
                stack.callback(server.close)
            self._whole, self._bytewise = (self._capture(stack, *options) for options in ([], ["--set", "limits.receive=1"]))
            self._live = [start_proxy(stack, f"127.0.0.1:{server.port}") for server in self.servers]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @staticmethod
    def _capture(stack, *options):
        capture = Capture()
        stack.callback(capture.close)
        return start_proxy(stack, capture.name, *options), capture

    def _pass_sentinel(self, port, case):
        """A request behind a case, through the same proxy: what the case led to has been sent before it. Its target."""
        self._sentinels += 1
        target = SENTINEL + b"/%d" % self._sentinels
        if not exchange(port, b"GET %s HTTP/1.1\r\nHost: s\r\n\r\n" % target).startswith(b"HTTP/1.1 20"):
            raise AssertionError(f"the proxy does not serve after {case!r:.500}")
        return target

    def forward(self, case, is_bytewise=False):
        """Send a case through a proxy. Returns an Outcome, with what is wrong about the forwarded bytes themselves."""
        port, capture = self._bytewise if is_bytewise else self._whole
        statuses = statuses_in(exchange(port, case))
        transcripts, findings = capture.take(self._pass_sentinel(port, case))
        outcome = Outcome(statuses, transcripts, findings)
        if statuses.count(200) > len(outcome.requests):
            findings.append(f"{statuses} answered, but {len(outcome.requests)} requests forwarded")
        return outcome

    def ask(self, server, transcript):
        """Give a server what was forwarded over one connection. Returns what it understood otherwise, as lines of text."""
        is_whole = not transcript.rest
        refusals = [reason_to_refuse(server.name, request) for request in transcript.requests]
        if any(refusals) and len(transcript.requests) + (not is_whole) > 1:
            return [line for part in transcript.parts() for line in self.ask(server, part)]
        sentinel = b"GET %s HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n" % SENTINEL if is_whole else b""
        # An end that comes too early makes a server forget what it has not answered yet.
        answer = exchange(server.port, transcript.raw + sentinel, None if is_whole else len(transcript.requests))
        records = server.take_records()
        self.asked += 1
        if any(refusals):
            is_refused = statuses_in(answer)[:1] in ([status] for status in REFUSALS)
            is_alone = all(record.is_sentinel() for record in records)
            return [] if is_refused and is_alone else [
                f"expected to refuse ({refusals[0]}), but answered {statuses_in(answer)}, understood {records}"]
        findings = []
        for request, record in zip(transcript.requests, records):
            findings += as_read_by(server.name, request).differences(record)
        if len(records) != len(transcript.requests) + is_whole or (is_whole and not records[-1].is_sentinel()):
            findings.append(f"{len(records)} requests understood, {len(transcript.requests)} and "
                            f"{'a sentinel' if is_whole else 'a part of one'} sent; answered {statuses_in(answer)}: {records}")
        return findings

    def check(self, case):
        """Forward a case, ask every server about it, and forward it once more byte by byte. Returns the Outcome."""
        outcome = self.forward(case)
        again = self.forward(case, is_bytewise=True)
        outcome.bytewise_statuses = again.statuses
        # Which refusal it is may differ: one that needs only the head comes before a body that is malformed.
        passed = [status for status in outcome.statuses if status not in REFUSALS]
        passed_again = [status for status in again.statuses if status not in REFUSALS]
        if passed != passed_again or outcome.essence(case) != again.essence(case):
            outcome.findings.append(f"byte by byte: {outcome.statuses} {outcome.essence(case)!r:.600}\n"
                                    f"          but: {again.statuses} {again.essence(case)!r:.600}")
        # What came out the same need not be asked about twice.
        transcripts = {without_made_id(transcript.raw, case): transcript for transcript in outcome.transcripts + again.transcripts}
        for transcript in transcripts.values():
            for server in self.servers:
                outcome.findings += [f"{server.name}: {line}" for line in self.ask(server, transcript)]
        return outcome

    def check_live(self, case):
        """Send a case to each server through a proxy of its own: does it get what the capturing backend got? Returns
        findings."""
        outcome, findings = self.forward(case), []
        for server, port in zip(self.servers, self._live):
            exchange(port, case)
            self._pass_sentinel(port, case)
            wanted = [request for request in outcome.requests if reason_to_refuse(server.name, request) is None]
            records = [record for record in server.take_records() if not record.is_sentinel()]
            if len(records) != len(wanted):
                findings.append(f"{server.name}, live: {len(wanted)} forwarded, understood {records}")
            for request, record in zip(wanted, records):
                for each in (request, record):
                    each.fields = [field for field in each.fields if field[0] != b"x-request-id" or field[1] in case]
                findings += [f"{server.name}, live: {line}"
                             for line in as_read_by(server.name, request).differences(record)]
        return findings

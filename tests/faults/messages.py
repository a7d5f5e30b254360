"""messages - what the scenario's clients and backends read and write: HTTP/1.1 on blocking sockets, by the letter."""

import hashlib

HEAD_BYTES_MAX = 1 << 20


class Cut(Exception):
    """The connection ended where more had to come: whoever reads can see that."""


class Wrong(Exception):
    """What came is not HTTP, or not what had to come."""


# More than the kernel holds for a peer that does not read.
LARGE_BYTES = 3_000_000


def pattern(name, size):
    """A body that tells whose it is at every place."""
    unit = (name + "|").encode()
    return (unit * (size // len(unit) + 1))[:size]


def digest(body):
    return hashlib.sha256(body).hexdigest()


def chunked(body, step=10007):
    pieces = [body[at:at + step] for at in range(0, len(body), step)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Message:
    def __init__(self, first, fields, body=b""):
        self.first = first
        self.fields = fields  # by lower-case name
        self.body = body
        self.informational = []  # statuses of the 1xx before it

    @property
    def status(self):
        return int(self.first.split(" ")[1])

    @property
    def is_last(self):
        return "close" in self.fields.get("connection", "") or self.first.startswith("HTTP/1.0")


class Reader:
    """Messages from a socket, in order."""

    def __init__(self, connection):
        self.connection = connection
        self.held = bytearray()

    def _more(self):
        try:
            received = self.connection.recv(1 << 18)
        except (ConnectionError, BrokenPipeError) as error:
            raise Cut(f"{type(error).__name__} after {self.held[-40:]!r}") from None
        if not received:
            raise Cut(f"ended after {self.held[-40:]!r}")
        self.held += received

    def _until(self, end):
        while end not in self.held:
            if len(self.held) > HEAD_BYTES_MAX:
                raise Wrong(f"no end of {self.held[:100]!r}")
            self._more()
        at = self.held.index(end)
        part = bytes(self.held[:at])
        del self.held[:at + len(end)]
        return part

    def _exactly(self, count):
        while len(self.held) < count:
            self._more()
        part = bytes(self.held[:count])
        del self.held[:count]
        return part

    def _chunks(self):
        body = []
        while True:
            size = int(self._until(b"\r\n"), 16)
            if size == 0:
                while self._until(b"\r\n"):
                    pass  # trailers
                return b"".join(body)
            body.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise Wrong("a chunk without its end")

    def rest(self):
        """All up to a clean end of the connection; a reset is a cut."""
        while True:
            try:
                received = self.connection.recv(1 << 18)
            except (ConnectionError, BrokenPipeError) as error:
                raise Cut(f"{type(error).__name__} in a body") from None
            if not received:
                break
            self.held += received
        body = bytes(self.held)
        self.held.clear()
        return body

    def head(self):
        """The head of a message alone."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise Wrong(f"a field {line!r}")
            fields[name.lower()] = value.strip()
        return Message(lines[0], fields)

    def body(self, message, ends_at_close=False):
        if "chunked" in message.fields.get("transfer-encoding", ""):
            message.body = self._chunks()
        elif "content-length" in message.fields:
            message.body = self._exactly(int(message.fields["content-length"]))
        elif ends_at_close:
            message.body = self.rest()
        return message

    def request(self):
        message = self.head()
        if not message.first.endswith(" HTTP/1.1"):
            raise Wrong(f"a request line {message.first!r}")
        return message

    def response(self, method="GET"):
        """A final response, whole."""
        informational = []
        while True:
            message = self.head()
            if not message.first.startswith("HTTP/1.1 "):
                raise Wrong(f"a status line {message.first!r}")
            if message.status >= 200:
                break
            informational.append(message.status)
        message.informational = informational
        if method == "HEAD" or message.status in (204, 304):
            return message
        return self.body(message, ends_at_close=True)

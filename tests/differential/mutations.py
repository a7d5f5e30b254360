"""mutations - cases made of the corpus by a seeded random generator: the same seed makes the same cases."""

import random
import re

# What parsers of HTTP trip over, put where it was not.
BYTES = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b":", b";", b",", b"=", b'"', b"%", b"/", b"?", b"#", b"*",
         b"\\", b"\x7f", b"\x80", b"\xff", b"\xa0", b"\x85", b"0", b"1", b"9", b"a", b"F", b"x", b"+", b"-", b"_", b".", b"@", b"["]
LINE_ENDS = [b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b"", b" \r\n", b"\t\r\n", b"\0\r\n"]
LINES = [b"Content-Length: 0", b"Content-Length: 3", b"Content-Length: 5", b"content-length:43", b"Content-Length: 3, 3",
         b"Content-Length: +3", b"Content-Length : 3", b"Transfer-Encoding: chunked", b"Transfer-Encoding:chunked",
         b"transfer-encoding: CHUNKED", b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked",
         b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding : chunked", b"Host: b", b"host:[::1]:80", b"Host: b.example:1",
         b"Connection: close", b"Connection: keep-alive", b"Connection: Content-Length", b"Connection: Transfer-Encoding, Host",
         b"Connection: X-A, Cookie", b"X-A: 1", b"X-A:", b"X-A: a\tb ", b"Cookie: a=b", b"Expect: 100-continue", b"TE: trailers",
         b"Trailer: X-T", b"Upgrade: h2c", b"Max-Forwards: 1", b"Max-Forwards: 0", b"X-Request-Id: 1", b"X-Forwarded-For: 1.2.3.4",
         b"Proxy-Connection: keep-alive", b"Keep-Alive: 5", b"0", b"3\r\nabc", b"GET /smuggled HTTP/1.1", b"X-Forwarded-Host: c",
         b"Range: bytes=0-0", b"If-None-Match: *", b"If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT", b"Content-Encoding: gzip",
         b" folded", b"\tfolded", b": 1", b"Via: 1.1 b", b"Forwarded: for=b", b"HTTP2-Settings: a"]
START_LINES = [b"GET / HTTP/1.1", b"POST /a HTTP/1.1", b"PUT http://b/c HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /?a[]=b HTTP/1.0",
               b"HEAD / HTTP/1.1", b"DELETE //a/../b HTTP/1.2", b"PATCH /%2e%2e/%2f HTTP/1.1", b"X /%41?%41 HTTP/1.1"]


def put_bytes(rng, case):
    at = rng.randint(0, len(case))
    return case[:at] + rng.choice(BYTES) + case[at:]


def replace_byte(rng, case):
    at = rng.randint(0, len(case))
    return case[:at] + rng.choice(BYTES) + case[at + 1:]


def remove_bytes(rng, case):
    at = rng.randint(0, len(case))
    return case[:at] + case[at + rng.choice((1, 1, 1, 2, 5)):]


def flip_case(rng, case):
    at = rng.randint(0, len(case))
    end = at + rng.choice((1, 1, 20))
    return case[:at] + case[at:end].swapcase() + case[end:]


def replace_line_end(rng, case):
    ends = [match.start() for match in re.finditer(rb"\r\n", case)]
    if not ends:
        return case + b"\r\n"
    at = rng.choice(ends)
    return case[:at] + rng.choice(LINE_ENDS) + case[at + 2:]


def over_lines(change):
    def mutate(rng, case):
        lines = case.split(b"\r\n")
        change(rng, lines, rng.randrange(len(lines)))
        return b"\r\n".join(lines)

    return mutate


def change_number(rng, case):
    numbers = list(re.finditer(rb"[0-9]+", case))
    if not numbers:
        return case
    number = rng.choice(numbers)
    value = int(number[0][:18])
    new = rng.choice((b"%d" % (value + 1), b"%d" % max(value - 1, 0), b"0" + number[0], b"%x" % value, b"%X" % value,
                      number[0] + b"0", b"%d" % (value + (1 << 32)), b"%d" % (value + (1 << 64))))
    return case[:number.start()] + new + case[number.end():]


def cut(rng, case):
    return case[:rng.randint(0, len(case))]


MUTATIONS = [
    put_bytes, put_bytes, replace_byte, replace_byte, remove_bytes, flip_case, replace_line_end, change_number, change_number, cut,
    over_lines(lambda rng, lines, at: lines.insert(at, rng.choice(LINES))),
    over_lines(lambda rng, lines, at: lines.insert(min(at, 2), rng.choice(LINES))),
    over_lines(lambda rng, lines, at: lines.insert(at, lines[rng.randrange(len(lines))])),
    over_lines(lambda rng, lines, at: lines.pop(at)),
    over_lines(lambda rng, lines, at: lines.append(lines.pop(at))),
    over_lines(lambda rng, lines, at: lines.__setitem__(0, rng.choice(START_LINES))),
]


class Generator:
    """Cases without end, from `corpus`, a list of cases."""

    def __init__(self, corpus, seed):
        # Large ones say no more than small ones when they are mutated.
        self.corpus = [case for case in corpus if len(case) < 3000]
        self._rng = random.Random(seed)

    def next(self):
        rng = self._rng
        case = rng.choice(self.corpus)
        while rng.random() < 0.3:
            case += rng.choice(self.corpus)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
            case = rng.choice(MUTATIONS)(rng, case)
        return case

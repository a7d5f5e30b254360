"""holders - processes that hold connections of clients, so many that one process may not open them all.

They are forked before anything else runs, serve one measurement after the other, and end when their pipe does. Each
connects from addresses of the loopback network of its own, so that ports do not run out.
"""

import contextlib
import multiprocessing
import socket

import product

PER_PROCESS = 15000  # fits the hard limit of 20,000 descriptors that many machines have
PER_ADDRESS = 5000
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: a port is chosen when it is known where to connect to
SECONDS = 110  # for anything that is asked of them


class Clients:
    """Connections to one port, idle but for what they are told to ask. `first` is the number of the first one."""

    def __init__(self, port, first=0):
        self._port, self._first, self._open = port, first, []

    def connect(self, count):
        for number in range(self._first, self._first + count):
            client = socket.socket()
            self._open.append(client)
            client.settimeout(product.DEADLINE_SECONDS)
            client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            client.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
            client.connect(("127.0.0.1", self._port))

    def ask(self):
        """One request on each, after the one before was answered."""
        for client in self._open:
            self._send(client)
            self._receive(client)

    def ask_at_once(self):
        """A request on each, whose answers are awaited by receive_all()."""
        for client in self._open:
            self._send(client)

    def receive_all(self):
        for client in self._open:
            self._receive(client)

    @staticmethod
    def _send(client):
        client.sendall(REQUEST)

    def _receive(self, client):
        answer = b""
        while b"\r\n\r\n" not in answer or not self._is_whole(answer):
            more = client.recv(65536)
            if not more:
                raise AssertionError(f"the end, after {answer!r}")
            answer += more
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise AssertionError(f"answered {answer!r}")

    @staticmethod
    def _is_whole(answer):
        head, _, body = answer.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return len(body) == int(lengths[0].partition(b":")[2])

    def expect_open(self):
        """None was closed meanwhile."""
        for client in self._open:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                raise AssertionError(f"a connection was closed: {client.recv(1)!r}")
            client.settimeout(product.DEADLINE_SECONDS)

    def close(self):
        for client in self._open:
            client.close()
        self._open = []


def _serve(pipe, others):
    """A holder: do what comes down the pipe until it ends."""
    for other in others:
        other.close()  # or its end would not be seen
    clients = Clients(None)  # none yet
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            name, *arguments = pipe.recv()
            try:
                if name == "begin":
                    clients.close()
                    clients = Clients(*arguments)
                else:
                    getattr(clients, name)(*arguments)
                pipe.send(None)
            except (OSError, AssertionError) as error:
                pipe.send(repr(error))


class Holders:
    """The processes; make them before there are threads."""

    def __init__(self, count):
        fork = multiprocessing.get_context("fork")
        self._pipes, self._processes = [], []
        for _ in range(-(-count // PER_PROCESS)):
            ours, theirs = fork.Pipe()
            process = fork.Process(target=_serve, args=(theirs, [*self._pipes, ours]), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def _each(self, commands):
        """Have each do its command, all at once."""
        pipes = self._pipes[:len(commands)]
        for pipe, command in zip(pipes, commands):
            pipe.send(command)
        for pipe in pipes:
            if not pipe.poll(SECONDS):
                raise AssertionError(f"a holder does not come to an end of {commands[0]}")
            if error := pipe.recv():
                raise AssertionError(error)

    def connect(self, port, count):
        shares = [min(PER_PROCESS, count - first) for first in range(0, count, PER_PROCESS)]
        self._each([("begin", port, number * PER_PROCESS) for number in range(len(shares))])
        self._each([("connect", share) for share in shares])

    def tell(self, name):
        """All of them: a method of Clients."""
        self._each([(name,)] * len(self._pipes))

    def close(self):
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(product.DEADLINE_SECONDS)
            if process.is_alive():
                process.kill()

"""relay - what stands between clients and servers: forwards bytes, or loses, delays, slows and breaks their connections.

    relay.py NAME=LISTEN_ADDRESS:PORT=SERVER_ADDRESS:PORT ...

Commands are lines of JSON on standard input, {"links": [NAME...], "mode": MODE, "delay_ms": N, "bytes_per_second": N};
each is answered with a line: {"newest": {NAME: number of its newest connection that is open, 0: none}}. Modes:

    pass    forward
    drop    like a network that lost its way: nothing is forwarded and nobody is told; what was on its way arrives when it
            passes again. New connections get no answer to their SYN (the queue of the listening socket is kept full)
    refuse  connections are reset, and new ones refused
    reset   connections are reset once; then pass

delay_ms holds each piece back for so long, bytes_per_second (0: no limit) forwards no more than that each way.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
import time

PIECE_BYTES = 65536
PIECES_MAX = 64
FULL_QUEUE_SOCKETS = 4
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of an end


class Link:
    """One listening address and the server behind it."""

    def __init__(self, name, listen, server):
        self.name, self.listen, self.server = name, listen, server
        self.connections = set()
        self.delay, self.bytes_per_second = 0.0, 0
        self.mode = "pass"
        self.passing = asyncio.Event()
        self.passing.set()
        self.listener = None
        self.fillers = []
        self.acceptor = None

    def open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setblocking(False)
        self.listener.bind(self.listen)
        self.listener.listen(128)
        self.start_accepting()

    def start_accepting(self):
        self.acceptor = asyncio.get_running_loop().create_task(self.accept())

    async def stop_accepting(self):
        if self.acceptor is not None:
            self.acceptor.cancel()
            await asyncio.gather(self.acceptor, return_exceptions=True)
            self.acceptor = None

    async def accept(self):
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self.listener)
            connection = Connection(self, client)
            self.connections.add(connection)
            connection.task = loop.create_task(connection.run())

    async def set(self, mode, delay_ms, bytes_per_second):
        self.delay, self.bytes_per_second = delay_ms / 1000, bytes_per_second
        if mode in ("refuse", "reset"):
            ending = [connection.task for connection in self.connections]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        if mode == "reset":
            mode = "pass"
        if mode == self.mode:
            return
        await self.stop_accepting()
        for filler in self.fillers:
            filler.close()
        self.fillers = []
        if self.mode == "refuse":
            self.open()
            await self.stop_accepting()
        self.mode = mode
        if mode == "pass":
            self.listener.listen(128)
            self.start_accepting()
            self.passing.set()
        elif mode == "drop":
            self.passing.clear()
            self.fill_queue()
        else:
            self.passing.set()
            self.listener.close()

    def fill_queue(self):
        """Connections that nobody accepts: the kernel then leaves every further SYN unanswered."""
        self.listener.listen(0)
        for _ in range(FULL_QUEUE_SOCKETS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listen)
            self.fillers.append(filler)


class Connection:
    count = 0

    def __init__(self, link, client):
        Connection.count += 1
        self.number = Connection.count
        self.link, self.client, self.server = link, client, None
        self.task = None
        self.pumps = []

    async def run(self):
        loop = asyncio.get_running_loop()
        try:
            self.client.setblocking(False)
            self.server = socket.socket()
            self.server.setblocking(False)
            await loop.sock_connect(self.server, self.link.server)
            for end in (self.client, self.server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((self.client, self.server), (self.server, self.client)):
                queue = asyncio.Queue(PIECES_MAX)
                self.pumps += [loop.create_task(self.read(source, queue)),
                               loop.create_task(self.write(target, queue))]
            # One side's end is the other's: ZooKeeper has no half-closed connections.
            await asyncio.wait(self.pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            # The loop must have let go of the sockets before they are closed, for their numbers come again.
            for pump in self.pumps:
                pump.cancel()
            await asyncio.gather(*self.pumps, return_exceptions=True)
            self.link.connections.discard(self)
            self.close()

    async def read(self, source, queue):
        loop = asyncio.get_running_loop()
        while True:
            await self.link.passing.wait()
            try:
                piece = await loop.sock_recv(source, PIECE_BYTES)
            except OSError:
                piece = b""
            await queue.put((time.monotonic(), piece))
            if not piece:
                await asyncio.sleep(3600)

    async def write(self, target, queue):
        loop = asyncio.get_running_loop()
        while True:
            came, piece = await queue.get()
            await asyncio.sleep(max(0.0, came + self.link.delay - time.monotonic()))
            if not piece:
                await self.link.passing.wait()
                return
            while piece:
                await self.link.passing.wait()
                rate = self.link.bytes_per_second
                part = piece[:max(1, rate // 20)] if rate else piece
                piece = piece[len(part):]
                try:
                    await loop.sock_sendall(target, part)
                except OSError:
                    return
                if rate:
                    await asyncio.sleep(len(part) / rate)

    def close(self):
        for end in (self.client, self.server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                end.close()


def address_of(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def main(arguments):
    links = {}
    for argument in arguments:
        name, listen, server = argument.split("=")
        links[name] = Link(name, address_of(listen), address_of(server))
        links[name].open()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        for name in command.get("links", []):
            await links[name].set(command["mode"], command.get("delay_ms", 0), command.get("bytes_per_second", 0))
        print(json.dumps({"newest": {name: max((connection.number for connection in link.connections), default=0)
                                     for name, link in links.items()}}), flush=True)
    # Connections die with the process.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

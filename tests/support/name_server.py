"""name_server - a name server for tests, on loopback: answers as it is told, with silence where it is told so."""

import ipaddress
import socket
import struct
import threading

import product

A, AAAA = 1, 28
NO_SUCH_NAME = 3

SILENT = "silent"


class NameServer:
    """`names`: {name: [addresses]}, or SILENT in the place of the list. Others do not exist. Change it at will."""

    def __init__(self, **names):
        self.names = {name.replace("_", "."): answer for name, answer in names.items()}
        self.asked = []  # name of each question for an IPv4 address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", product.free_port()))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def configuration(self):
        """A resolv.conf; a port may stand there for libevent."""
        return f"nameserver 127.0.0.1:{self.port}\noptions timeout:1 attempts:1\n"

    def _serve(self):
        while True:
            request, peer = self._socket.recvfrom(4096)
            if not request:
                return
            answer = self._answer(request)
            if answer:
                self._socket.sendto(answer, peer)

    def _answer(self, request):
        """RFC 1035 section 4: one question, its name again by a pointer in each answer."""
        at, labels = 12, []
        while request[at]:
            labels.append(request[at + 1:at + 1 + request[at]].decode().lower())
            at += 1 + request[at]
        kind = struct.unpack(">H", request[at + 1:at + 3])[0]
        name, question = ".".join(labels), request[12:at + 5]
        if kind == A:
            self.asked.append(name)
        addresses = self.names.get(name)
        if addresses == SILENT:
            return b""
        wanted = [ipaddress.ip_address(address).packed for address in addresses or ()]
        wanted = [address for address in wanted if len(address) == (4 if kind == A else 16)]
        flags = 0x8400 | (NO_SUCH_NAME if addresses is None else 0)
        answers = b"".join(struct.pack(">HHHIH", 0xc00c, kind, 1, 1, len(address)) + address for address in wanted)
        return request[:2] + struct.pack(">HHHHH", flags, 1, len(wanted), 0, 0) + question + answers

    def close(self):
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

#!/usr/bin/python3 -B
"""registry_watcher - what is put beside a proxy that knows no ZooKeeper: a Kazoo client that follows a label and tells it.

    registry_watcher.py SERVERS LABEL haproxy SOCKET SLOTS     sets the servers s1 to sSLOTS of backend "backends"
    registry_watcher.py SERVERS LABEL nginx FILE PID-FILE      writes the servers, and has nginx read them

A list without anybody is not passed on to HAProxy, as tuned watchers have it; nginx is told that nobody is there.
"""

import logging
import os
import pathlib
import signal
import socket
import sys
import threading
import time

from kazoo.client import KazooClient

REGISTRY = "/zk_registry/data"

# Changes that come together are one reload of nginx.
GATHER_SECONDS = 0.02


class Haproxy:
    """By its run-time API: a slot for each server, which is made ready or put to maintenance."""

    def __init__(self, path, slots):
        self._path = path
        self._free = [f"backends/s{number + 1}" for number in range(int(slots))]
        self._used = {}

    def _say(self, *commands):
        with socket.socket(socket.AF_UNIX) as connection:
            for _ in range(500):
                if connection.connect_ex(self._path) == 0:
                    break
                time.sleep(0.01)  # it is just starting
            connection.sendall((";".join(commands) + "\n").encode())
            while connection.recv(4096):
                pass

    def apply(self, addresses):
        if not addresses:
            return
        for address in set(self._used) - set(addresses):
            slot = self._used.pop(address)
            self._say(f"set server {slot} state maint")
            self._free.append(slot)
        for address in set(addresses) - set(self._used):
            slot = self._used[address] = self._free.pop(0)
            host, _, port = address.rpartition(":")
            self._say(f"set server {slot} addr {host} port {port}", f"set server {slot} state ready")


class Nginx:
    """By its configuration, and a signal to read it."""

    def __init__(self, path, pid_path):
        self._path, self._pid_path = pathlib.Path(path), pathlib.Path(pid_path)
        self._lock = threading.Lock()
        self._wanted = None
        self._is_changed = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()

    def apply(self, addresses):
        with self._lock:
            self._wanted = sorted(addresses)
        self._is_changed.set()

    def _follow(self):
        while True:
            self._is_changed.wait()
            time.sleep(GATHER_SECONDS)
            self._is_changed.clear()
            with self._lock:
                addresses = self._wanted
            new = self._path.with_suffix(".new")
            new.write_text("".join(f"server {address};\n" for address in addresses) or "server 127.0.0.1:9 down;\n")
            new.rename(self._path)
            os.kill(int(self._pid_path.read_text()), signal.SIGHUP)


def main():
    servers, label, kind, *arguments = sys.argv[1:]
    logging.basicConfig(level=logging.CRITICAL)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    proxy = {"haproxy": Haproxy, "nginx": Nginx}[kind](*arguments)
    client = KazooClient(hosts=servers, timeout=10)
    while not ended.is_set():
        try:
            client.start(timeout=1)
            break
        except client.handler.timeout_exception:
            continue  # there is no ZooKeeper yet
    client.ensure_path(f"{REGISTRY}/{label}")
    client.ChildrenWatch(f"{REGISTRY}/{label}", proxy.apply)
    print("follows", flush=True)
    ended.wait()
    client.stop()
    client.close()


if __name__ == "__main__":
    main()

#!/usr/bin/python3 -B
"""kazoo_register - what srsd register does, as a careful user of Kazoo writes it: a listener that makes the node anew
once a lost session was followed by another one.

    kazoo_register.py SERVERS LABEL ADDRESS SESSION_TIMEOUT_SECONDS
"""

import logging
import signal
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import NodeExistsError, NoNodeError

REGISTRY = "/zk_registry/data"


class Registration:
    """One ephemeral node."""

    def __init__(self, servers, path, timeout_seconds):
        self.path = path
        self.is_lost = False
        self.client = KazooClient(hosts=servers, timeout=timeout_seconds)
        self.client.add_listener(self.on_state)

    def on_state(self, state):
        if state == KazooState.LOST:
            self.is_lost = True
        elif state == KazooState.CONNECTED and self.is_lost:
            self.is_lost = False
            # A listener must not block: it runs on the thread of the connection.
            self.client.handler.spawn(self.make)

    def make(self):
        try:
            self.client.retry(self.client.create, self.path, b"", ephemeral=True, makepath=True)
        except NodeExistsError:
            self.replace()

    def replace(self):
        """A node is there: of this session, or of a former one, which would take it along when it ends."""
        stat = self.client.retry(self.client.exists, self.path)
        if stat is not None and stat.ephemeralOwner == self.client.client_id[0]:
            return
        try:
            self.client.retry(self.client.delete, self.path)
        except NoNodeError:
            pass
        self.make()


def main():
    servers, label, address, timeout_seconds = sys.argv[1:]
    logging.basicConfig(level=logging.CRITICAL)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    registration = Registration(servers, f"{REGISTRY}/{label}/{address}", float(timeout_seconds))
    registration.client.start(timeout=60)
    registration.make()
    print("held", flush=True)
    ended.wait()
    registration.client.stop()
    registration.client.close()


if __name__ == "__main__":
    main()

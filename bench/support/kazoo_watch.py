#!/usr/bin/python3 -B
"""kazoo_watch - what bench/watch.c does, with Kazoo's ChildrenWatch: same arguments, same words.

    kazoo_watch.py SERVERS LABEL...
"""

import functools
import signal
import sys
import threading
import time

from kazoo.client import KazooClient

REGISTRY = "/zk_registry/data"
SESSION_TIMEOUT_SECONDS = 30


def main():
    servers, labels = sys.argv[1], sys.argv[2:]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    records, known = [], set()

    def on_children(label, children):
        records.append((label, len(children), time.monotonic_ns()))
        if label not in known:
            known.add(label)
            if len(known) == len(labels):
                print("complete", flush=True)

    client = KazooClient(hosts=servers, timeout=SESSION_TIMEOUT_SECONDS)
    client.start(timeout=60)
    print(f"session {client.client_id[0]:#x}", flush=True)
    for label in labels:
        client.ChildrenWatch(f"{REGISTRY}/{label}", functools.partial(on_children, label))
    ended.wait()
    for label, count, time_ns in records:
        print("set", label, count, time_ns)
    sys.stdout.flush()
    client.stop()
    client.close()


if __name__ == "__main__":
    main()

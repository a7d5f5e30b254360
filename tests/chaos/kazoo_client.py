"""kazoo_client - the same as client.c on Kazoo: a yardstick, and a witness that takes part in every chaos run.

It does what a careful user of Kazoo does: a ChildrenWatch for each label, which is begun again when the label's node
was gone, and at each reconnect a look at every registration, which is made again unless it is there and ours.

Command line and commands are those of client.c.
"""

import json
import logging
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NoNodeError, NodeExistsError

OUTPUT_LOCK = threading.Lock()


def say(event, **fields):
    line = json.dumps({"t": time.monotonic(), "wall": time.time(), "event": event, **fields})
    with OUTPUT_LOCK:
        print(line, flush=True)


class Client:
    def __init__(self, servers, registry, timeout_ms):
        self.registry = registry
        self.client = KazooClient(hosts=servers, timeout=timeout_ms / 1000)
        self.held = {}  # (label, address) -> state
        self.sets = {}  # label -> names, or None
        self.lock = threading.RLock()
        self.has_lost_session = False
        self.wake = threading.Event()
        self.is_over = False
        self.client.add_listener(self.on_state)

    def on_state(self, state):
        # Called on Kazoo's own thread, which must not wait for answers.
        say("state", state={KazooState.LOST: "expired"}.get(state, state.lower()))
        if state == KazooState.CONNECTED:
            self.wake.set()

    def run(self):
        self.client.start_async()
        threading.Thread(target=self.look_after_registrations, daemon=True).start()
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "quit":
                break
            getattr(self, command)(*arguments)
        self.is_over = True
        self.client.stop()
        self.client.close()

    def path(self, label, address):
        return f"{self.registry}/{label}/{address}"

    def look_after_registrations(self):
        while not self.is_over:
            self.wake.wait()
            self.wake.clear()
            with self.lock:
                wanted = list(self.held)
            for label, address in wanted:
                try:
                    self.hold(label, address)
                except KazooException as trouble:
                    say("trouble", what="register", text=repr(trouble))
                    self.wake.set()
                    time.sleep(0.2)

    def hold(self, label, address):
        path = self.path(label, address)
        stat = self.client.exists(path)
        if stat is not None and stat.owner_session_id == self.client.client_id[0]:
            self.tell(label, address, "held")
            return
        if stat is not None:
            try:
                self.client.delete(path, version=stat.version)
            except NoNodeError:
                pass
        self.tell(label, address, "pending")
        try:
            self.client.create(path, b"", ephemeral=True, makepath=True)
        except NodeExistsError:
            self.wake.set()
            return
        self.tell(label, address, "held")

    def tell(self, label, address, state):
        with self.lock:
            if self.held.get((label, address), state) == state:
                return
            self.held[label, address] = state
        say("registration", label=label, address=address, state=state, text="")

    def register(self, label, address):
        with self.lock:
            self.held[label, address] = "new"
        self.wake.set()

    def deregister(self, label, address):
        with self.lock:
            self.held.pop((label, address), None)
        threading.Thread(target=self.remove, args=(label, address), daemon=True).start()

    def remove(self, label, address):
        try:
            self.client.retry(self.client.delete, self.path(label, address))
        except NoNodeError:
            pass
        except Exception as trouble:
            say("trouble", what="deregister", text=repr(trouble))
        say("registration", label=label, address=address, state="released", text="")

    def watch(self, label):
        with self.lock:
            self.sets[label] = None
        threading.Thread(target=self.follow, args=(label,), daemon=True).start()

    def follow(self, label):
        """A ChildrenWatch ends for good when its node is deleted: begin another one when it is there again."""
        path = f"{self.registry}/{label}"
        watch = None
        while not self.is_over:
            try:
                if watch is None or watch._stopped:
                    if self.client.retry(self.client.exists, path):
                        watch = self.client.ChildrenWatch(path, lambda names: self.on_names(label, names))
                    else:
                        self.on_names(label, [])
            except Exception as trouble:
                say("trouble", what="watch", text=repr(trouble))
            time.sleep(0.1)

    def on_names(self, label, names):
        with self.lock:
            before = self.sets.get(label)
            if before is not None and set(names) == set(before):
                return
            self.sets[label] = sorted(names)
        added, removed = set(names) - set(before or []), set(before or []) - set(names)
        say("set", label=label, version=0, added=sorted(added), removed=sorted(removed))

    def belief(self):
        session, password = self.client.client_id or (0, b"")
        with self.lock:
            say("belief", state=self.client.state.lower(), session=session or 0, password=(password or b"").hex(),
                registrations=[[*key, state] for key, state in self.held.items()], sets=dict(self.sets))


if __name__ == "__main__":
    logging.getLogger("kazoo").addHandler(logging.NullHandler())
    logging.getLogger("kazoo").propagate = False
    Client(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()

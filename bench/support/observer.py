"""observer - what is registered, as nobody's session sees it: every server is asked for its ephemeral nodes by the word
"dump", a hundred times a second, and each change is kept with its time.
"""

import collections
import re
import socket
import threading
import time

import ensemble
import product

PERIOD_SECONDS = 0.01
ANSWER_SECONDS = 0.5
SESSION_SECONDS = 0.15  # a server that is starting takes a connection now and then, and never answers

Change = collections.namedtuple("Change", "time place nodes")  # nodes: None when that server does not serve


def ask(place, word):
    """The answer, or "" when there is none."""
    try:
        with socket.create_connection(place, ANSWER_SECONDS) as connection:
            connection.sendall(word)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer.decode()
    except OSError:
        return ""


def takes_sessions(place):
    """Does that server give a session to who asks for one?"""
    try:
        with socket.create_connection(place, SESSION_SECONDS) as connection:
            connection.sendall(ensemble.SESSION_AND_GOODBYE)
            answer = b""
            while len(answer) < 16:
                piece = connection.recv(64)
                if not piece:
                    return False
                answer += piece
            return any(answer[8:12])  # the timeout that was agreed on
    except OSError:
        return False


class Observer:
    """Follows the servers at `places` (address, port). Nodes are told by their names."""

    def __init__(self, places, label):
        self._places = places
        self._pattern = re.compile(rf"^\s+{product.REGISTRY}/{label}/(\S+)$", re.MULTILINE)
        self._lock = threading.Lock()
        self._changes = []
        self._states = {place: None for place in places}
        self._is_ended = False
        self._threads = [threading.Thread(target=self._follow, args=(place,), daemon=True) for place in places]
        for thread in self._threads:
            thread.start()

    def _look(self, place):
        answer = ask(place, b"dump")
        return frozenset(self._pattern.findall(answer)) if "ephemeral nodes dump" in answer else None

    def _follow(self, place):
        while not self._is_ended:
            nodes = self._look(place)
            if nodes != self._states[place]:
                with self._lock:
                    self._states[place] = nodes
                    self._changes.append(Change(time.monotonic(), place, nodes))
            time.sleep(PERIOD_SECONDS)

    def has(self, name):
        """Is it registered now, by what any server says that serves?"""
        return any(name in nodes for nodes in self._states.values() if nodes is not None)

    def wait_for_sessions(self, deadline_seconds=product.DEADLINE_SECONDS):
        """Wait until a server takes sessions. Returns when that was."""
        end = time.monotonic() + deadline_seconds
        found = []

        def follow(place):
            while not found and time.monotonic() < end:
                if takes_sessions(place):
                    found.append(time.monotonic())
                time.sleep(PERIOD_SECONDS)

        threads = [threading.Thread(target=follow, args=(place,)) for place in self._places]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not found:
            raise AssertionError("no server takes sessions")
        return min(found)

    def history(self, name, begin, end):
        """(seconds that a server served and the node was not there, the first and the last moment of that) between two
        times. The moments are None when it was there all the time that a server served."""
        with self._lock:
            changes = list(self._changes)
        states, without, first, last = {place: None for place in self._places}, 0.0, None, None
        for change, following in zip(changes, [*changes[1:], None]):
            states[change.place] = change.nodes
            known = [nodes for nodes in states.values() if nodes is not None]
            since = max(change.time, begin)
            until = min(following.time if following else end, end)
            if until > since and known and not any(name in nodes for nodes in known):
                without += until - since
                first = since if first is None else first
                last = until
        return without, first, last

    def forget(self):
        """Drop what was before now."""
        with self._lock:
            now = time.monotonic()
            self._changes = [Change(now, place, nodes) for place, nodes in self._states.items()]

    def close(self):
        self._is_ended = True
        for thread in self._threads:
            thread.join(2 * ANSWER_SECONDS)

"""checker - when all is healed: is what each client believes what ZooKeeper holds?

    lost       a registration that was asked for whose node is not there, or is not of the client's session
    phantom    a node of the client's that it does not want any more, or a believed member that is not there
    missed     a member that is there and is not believed
"""

import contextlib
import time

from kazoo.exceptions import NoNodeError

import cluster as setting
import product

SETTLE_SECONDS = 60


class Truth:
    """What ZooKeeper holds, read by a session of its own that has seen all that was agreed on (sync)."""

    def __init__(self, client):
        self.owners = {label: self._read(client, label) for label in setting.LABELS}

    @staticmethod
    def _read(client, label):
        """{name: owner's session, 0: none}."""
        path = setting.path_of(label)
        client.sync(product.REGISTRY)
        try:
            names = client.get_children(path)
        except NoNodeError:
            return {}
        owners = {}
        for name in names:
            stat = client.exists(f"{path}/{name}") if name.endswith(":8001") else None
            if stat is not None or not name.endswith(":8001"):
                owners[name] = stat.ephemeralOwner if stat is not None else 0
        return owners


def findings(subject, truth):
    """What is wrong with this client's belief, as lines; none: all is well."""
    belief = subject.belief()
    session = belief["session"]
    lines = []
    if belief["state"] != "connected":
        lines.append(f"its session is {belief['state']}")
    states = {(label, address): state for label, address, state in belief["registrations"]}
    for label, address in sorted(subject.wanted):
        owner = truth.owners[label].get(address)
        if owner is None:
            lines.append(f"lost: {label}/{address} is not there (state {states.get((label, address))})")
        elif owner != session:
            lines.append(f"lost: {label}/{address} is of session {owner:#x}, not of {session:#x}")
        elif states.get((label, address)) != "held":
            lines.append(f"{label}/{address} is there, but its state is {states.get((label, address))}")
    prefix = setting.address_of(subject.name, 0).rsplit(".", 1)[0] + "."
    for label, owners in truth.owners.items():
        for name, owner in sorted(owners.items()):
            if name.startswith(prefix) and name.endswith(":8001") and (label, name) not in subject.wanted:
                lines.append(f"phantom: {label}/{name} of session {owner:#x} is there and not wanted")
    for label in sorted(subject.watched):
        lines += set_findings(subject, label, belief["sets"].get(label), set(truth.owners[label]))
    return lines


def set_findings(subject, label, believed, there):
    if believed is None:
        return [f"missed: {label} was never read"]
    lines = [f"phantom: {label}/{name} is believed and not there" for name in sorted(set(believed) - there)]
    lines += [f"missed: {label}/{name} is there and not believed" for name in sorted(there - set(believed))]
    if not lines and subject.told.sets.get(label, set()) != there:
        lines.append(f"missed: {label} is believed rightly, but the callbacks told of another set")
    return lines


def settle(cluster, subject, deadline_seconds=SETTLE_SECONDS):
    """Wait until this client believes what is there. Returns what is still wrong then: nothing, hopefully."""
    client = cluster.ensemble.client(timeout=30)
    try:
        deadline = time.monotonic() + deadline_seconds
        while True:
            truth = None
            with contextlib.suppress(NoNodeError):
                truth = Truth(client)
            lines = findings(subject, truth) if truth is not None else ["no registry"]
            if not lines or time.monotonic() > deadline:
                return lines
            time.sleep(0.05)
    finally:
        client.stop()
        client.close()


def shell_findings(cluster, subject, tries=5):
    """The same by ZooKeeper's own shell, which knows names only. Kazoo may still be on its way back, and its nodes come and
    go: asked again while there is a difference, a few times."""
    lines = _compare_with_shell(cluster, subject)
    while lines and tries > 1:
        time.sleep(1)
        tries -= 1
        lines = _compare_with_shell(cluster, subject)
    return lines


def _compare_with_shell(cluster, subject):
    there = {label: set() for label in setting.LABELS}
    for line in cluster.ensemble.shell("ls", "-R", product.REGISTRY):
        parts = line.removeprefix(product.REGISTRY + "/").split("/")
        if line.startswith(product.REGISTRY + "/") and len(parts) == 2:
            there[parts[0]].add(parts[1])
    believed = subject.belief()["sets"]
    return [f"{label}: {sorted(believed[label] or [])} is believed, the shell lists {sorted(names)}"
            for label, names in there.items() if set(believed[label] or []) != names]

"""at_random - faults on top of each other, drawn from a seed; when all is healed the checker looks."""

import time

import cluster as setting
import scenarios
from subject import now


class Storm:
    """A scenario of random faults that lasts for so many seconds."""

    removes_steady = True  # it wipes servers and deletes labels, too

    def __init__(self, seconds):
        self.seconds = seconds
        self.__name__ = f"random, {seconds:.0f} s"
        self.actions = []
        self.thaw_clients_at = {}

    def __call__(self, cluster, random):
        self.actions = []
        end = now() + self.seconds
        while now() < end:
            self._thaw_clients()
            action = random.choice(ACTIONS)
            self.actions.append(f"{now():.3f} {action.__name__}")
            action(self, cluster, random)
            time.sleep(random.uniform(0.0, 0.4))

    def _thaw_clients(self):
        for subject, due in list(self.thaw_clients_at.items()):
            if now() >= due:
                subject.thaw()
                del self.thaw_clients_at[subject]


def some_links(cluster, random):
    """Of one or both clients, to one, two or all servers."""
    subjects = random.choice([["srsd"], ["kazoo"], ["srsd", "kazoo"]])
    return cluster.links(subjects, random.sample([1, 2, 3], random.randint(1, 3)))


def kill(_storm, cluster, random):
    random.choice(cluster.ensemble.members).kill()


def launch(_storm, cluster, _random):
    for member in cluster.ensemble.members:
        if not member.is_running():
            member.launch()


def freeze(_storm, cluster, random):
    member = random.choice(cluster.ensemble.members)
    if member.is_running() and not member.is_frozen:
        member.freeze()


def thaw(_storm, cluster, _random):
    for member in cluster.ensemble.members:
        if member.is_frozen:
            member.thaw()


def wipe(_storm, cluster, random):
    """An ensemble restored empty; seldom, for little survives it that could go wrong otherwise."""
    if random.random() < 0.2:
        cluster.ensemble.kill()
        cluster.ensemble.wipe()
        launch(None, cluster, random)


def drop(_storm, cluster, random):
    cluster.relays.set(some_links(cluster, random), "drop")


def refuse(_storm, cluster, random):
    cluster.relays.set(some_links(cluster, random), "refuse")


def reset(_storm, cluster, random):
    cluster.relays.set(some_links(cluster, random), "reset")


def slow(_storm, cluster, random):
    cluster.relays.set(some_links(cluster, random), "pass", delay_ms=random.randint(1, 400))


def narrow(_storm, cluster, random):
    cluster.relays.set(some_links(cluster, random), "pass", bytes_per_second=random.randint(1000, 20000))


def mend_links(_storm, cluster, _random):
    cluster.relays.set(cluster.links(), "pass")


def stop_client(storm, cluster, random):
    subject = random.choice(list(cluster.subjects.values()))
    if not subject.is_frozen:
        subject.freeze()
        storm.thaw_clients_at[subject] = now() + random.uniform(0.1, 1.7) * scenarios.TIMEOUT


def steal(_storm, cluster, random):
    """Takes a while when no server answers: asked for only when one does."""
    subject = random.choice(list(cluster.subjects.values()))
    if not subject.is_frozen and any(member.mode() and member.takes_sessions() for member in cluster.ensemble.members):
        cluster.steal(subject, 1)


def register(_storm, cluster, random):
    subject = random.choice(list(cluster.subjects.values()))
    wish = random.choice(setting.REGISTERED_LABELS), setting.address_of(subject.name, random.randint(13, 60))
    if wish not in subject.wanted and not subject.is_frozen:
        subject.register(*wish)


def deregister(_storm, cluster, random):
    subject = random.choice(list(cluster.subjects.values()))
    if len(subject.wanted) > 4 and not subject.is_frozen:
        subject.deregister(*random.choice(sorted(subject.wanted)))


def add_node(_storm, cluster, random):
    cluster.attempt("create", setting.path_of(random.choice(setting.LABELS), f"203.0.113.{random.randint(1, 50)}:82"),
                    makepath=True)


def remove_node(_storm, cluster, random):
    cluster.attempt("delete", setting.path_of(random.choice(setting.LABELS), f"203.0.113.{random.randint(1, 50)}:82"))


def delete_label(_storm, cluster, random):
    cluster.attempt_delete_label(random.choice(setting.LABELS))


def nothing(_storm, _cluster, _random):
    """Time to get well again for a moment."""
    time.sleep(0.5)


# Those that hurt servers come up as often as those that mend them.
ACTIONS = [kill, launch, launch, freeze, thaw, thaw, wipe, drop, refuse, reset, slow, narrow, mend_links, mend_links,
           stop_client, steal, register, deregister, add_node, add_node, remove_node, delete_label, nothing]

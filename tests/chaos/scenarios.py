"""scenarios - what can go wrong, each as a function that does it to a cluster, and what came of it.

A scenario hurts the cluster, and may leave it hurt: it is healed afterwards, and then each client must believe what is
there. It returns the moment from which a client could recover, if that is not the moment of healing.
"""

import time

import checker
import cluster as setting
from subject import now

TIMEOUT = setting.SESSION_TIMEOUT_MS / 1000
KAZOO_PATIENCE_SECONDS = 2  # what is lost for Kazoo is told, not waited for

# A client that waits must not compute: share of a processor, and what a start or a burst may cost.
CPU_SHARE_MAX = 0.05
CPU_SECONDS_FREE = 0.5

CHANGES_PER_SECOND = 1000
CHURN_SECONDS = 3
CHURN_STAY = 100  # of the nodes that come, so many are there at a time
CHURN_LABELS = ["alpha", setting.STEADY_LABEL]

BACKUP_ADDRESS = setting.address_of("srsd", 90)

# In the order of the report.
ALL = []


def scenario(function):
    ALL.append(function)
    return function


def steady_is_removed(function):
    """The scenario removes what is otherwise always there."""
    function.removes_steady = True
    return function


def gather(cluster, member):
    """Have both clients connected to that server."""
    others = [other.number for other in cluster.ensemble.members if other is not member]
    cluster.relays.set(cluster.links(servers=others), "refuse")
    for subject in cluster.subjects.values():
        setting.product.wait_until(
            lambda: cluster.used_server(subject) == member.number and subject.told.state == "connected",
            f"{subject.name} connects to server {member.number}")
    cluster.relays.set(cluster.links(), "pass")


def wait_until_moved(cluster, member):
    """The client of libsrsd finds another server."""
    setting.product.wait_until(
        lambda: cluster.used_server(cluster.srsd) != member.number and cluster.srsd.told.state == "connected",
        f"srsd leaves server {member.number}")


@scenario
def killed_server(cluster, _random):
    """SIGKILL of the server that the clients are connected to"""
    member = cluster.follower()
    gather(cluster, member)
    hurt_at = now()
    member.kill()
    wait_until_moved(cluster, member)
    return hurt_at


@scenario
def frozen_server(cluster, _random):
    """SIGSTOP of the server that the clients are connected to"""
    member = cluster.follower()
    gather(cluster, member)
    hurt_at = now()
    member.freeze()
    wait_until_moved(cluster, member)
    return hurt_at


@scenario
def rolling_restart(cluster, _random):
    """SIGKILL of each server in turn, the next when the last is back"""
    cluster.ensemble.roll()


@scenario
def lost_leader(cluster, _random):
    """SIGKILL of the leader, to which the clients are connected"""
    leader = cluster.ensemble.leader()
    gather(cluster, leader)
    leader.kill()
    cluster.ensemble.leader()
    led_at = now()
    wait_until_moved(cluster, leader)
    return led_at


@scenario
def lost_quorum(cluster, _random):
    """SIGKILL of two servers for 1.5 session timeouts"""
    for member in [cluster.ensemble.leader(), cluster.follower()]:
        member.kill()
    time.sleep(1.5 * TIMEOUT)


@scenario
def lost_servers(cluster, _random):
    """SIGKILL of all servers for 1.5 session timeouts"""
    cluster.ensemble.kill()
    time.sleep(1.5 * TIMEOUT)


@scenario
def restored_backup(cluster, _random):
    """all servers start again with the data of a while ago, which know less than the clients have seen"""
    cluster.ensemble.back_up()
    # Made after the backup, so it must be made again. Two elections later servers refuse who has seen this.
    cluster.srsd.register("alpha", BACKUP_ADDRESS)
    cluster.srsd.wait_for(lambda told: told.registrations.get(("alpha", BACKUP_ADDRESS)) == "held", "registers")
    for _ in range(2):
        leader = cluster.ensemble.leader()
        leader.kill()
        cluster.ensemble.leader()
        leader.launch()
        cluster.ensemble.wait_until_serving()
    cluster.change_and_see()
    cluster.ensemble.kill()
    cluster.ensemble.restore()


@scenario
@steady_is_removed
def wiped_data(cluster, _random):
    """all servers start again without their data"""
    cluster.ensemble.kill()
    cluster.ensemble.wipe()


@scenario
def partition_from_one(cluster, _random):
    """no packet goes to the server that the clients are connected to, nor comes from it"""
    member = cluster.follower()
    gather(cluster, member)
    hurt_at = now()
    cluster.relays.set(cluster.links(servers=[member.number]), "drop")
    wait_until_moved(cluster, member)
    return hurt_at


@scenario
def partition_from_two(cluster, random):
    """the same of two servers, the clients' own among them"""
    member = cluster.follower()
    gather(cluster, member)
    other = random.choice([other for other in cluster.ensemble.members if other is not member])
    hurt_at = now()
    cluster.relays.set(cluster.links(servers=[member.number, other.number]), "drop")
    wait_until_moved(cluster, member)
    return hurt_at


@scenario
def short_partition_from_all(cluster, _random):
    """no packets for half a session timeout; meanwhile the registry changes"""
    cluster.relays.set(cluster.links(), "drop")
    cluster.make_node("beta", "203.0.113.1:81")
    time.sleep(0.5 * TIMEOUT)
    cluster.remove_node("alpha", "203.0.113.1:81")
    cluster.remove_node("beta", "203.0.113.1:81")
    cluster.make_node("alpha", "203.0.113.1:81")


@scenario
def long_partition_from_all(cluster, _random):
    """no packets for 2 session timeouts"""
    cluster.relays.set(cluster.links(), "drop")
    time.sleep(2 * TIMEOUT)
    cluster.remove_node("alpha", "203.0.113.1:81")


@scenario
def changed_mind(cluster, _random):
    """no packets for 3/4 of a session timeout, in which what is registered is withdrawn, and other things registered"""
    wanted = sorted(cluster.srsd.wanted)[:3]
    cluster.relays.set(cluster.links(), "drop")
    for number, (label, address) in enumerate(wanted):
        cluster.srsd.deregister(label, address)
        cluster.srsd.register(label, setting.address_of("srsd", 100 + number))
    time.sleep(0.75 * TIMEOUT)


@scenario
def broken_connections(cluster, _random):
    """all connections are reset, ten times in two seconds"""
    for _ in range(10):
        cluster.relays.set(cluster.links(), "reset")
        time.sleep(0.2)


@scenario
def slow_answers(cluster, _random):
    """300 ms in each direction, while the registry changes"""
    cluster.relays.set(cluster.links(), "pass", delay_ms=300)
    expect_slow(cluster.change_and_see(), 0.3)


@scenario
def narrow_network(cluster, _random):
    """500 bytes a second in each direction, while the registry changes"""
    cluster.relays.set(cluster.links(), "pass", bytes_per_second=500)
    expect_slow(cluster.change_and_see(), 0.05)


def expect_slow(seen, seconds):
    """Do the relays do what they are told?"""
    if seen["srsd"] < seconds:
        raise AssertionError(f"a change was seen after {seen['srsd']:.3f} s, too soon for such relays")


@scenario
def stopped_client(cluster, _random):
    """SIGSTOP of the clients for 1.5 session timeouts"""
    for subject in cluster.subjects.values():
        subject.freeze()
    time.sleep(1.5 * TIMEOUT)
    thawed_at = now()
    for subject in cluster.subjects.values():
        subject.thaw()
    return thawed_at


@scenario
def stolen_session(cluster, _random):
    """another client takes the session over by number and password, and ends it"""
    for subject in cluster.subjects.values():
        subject.told.states_seen.clear()
        cluster.steal(subject, setting.product.DEADLINE_SECONDS)
    stolen_at = now()
    cluster.srsd.wait_for(lambda told: "expired" in told.states_seen, "learns that its session is over")
    return stolen_at


@scenario
def churning_children(cluster, _random):
    """1,000 changes a second in two labels, for 3 s; a part of the nodes stays"""
    churn(cluster, CHURN_SECONDS)


def churn(cluster, seconds):
    """Nodes come and go at an even rate; each stays until so many others came."""
    began = now()
    outcomes = []
    while (elapsed := now() - began) < seconds:
        while len(outcomes) < elapsed * CHANGES_PER_SECOND:
            number, is_going = divmod(len(outcomes), 2)
            if is_going:
                outcomes.append(cluster.witness.delete_async(churning_path(number - CHURN_STAY)))
            else:
                outcomes.append(cluster.witness.create_async(churning_path(number)))
        time.sleep(0.005)
    for outcome in outcomes:
        outcome.wait(setting.product.DEADLINE_SECONDS)
    for label in CHURN_LABELS:
        for name in cluster.children(label)[::2]:
            if name.startswith("198.18."):
                cluster.remove_node(label, name)


def churning_path(number):
    return setting.path_of(CHURN_LABELS[number % len(CHURN_LABELS)],
                           f"198.18.{number // 250 % 250}.{number % 250 + 1}:8000")


@scenario
@steady_is_removed
def deleted_labels(cluster, _random):
    """every label's node is deleted with all that is below it"""
    for label in setting.LABELS:
        cluster.delete_label(label)
    return now()


# ---- In a network namespace of the clients' own -------------------------------------------------------------------

APART = []


def scenario_apart(function):
    APART.append(function)
    return function


@scenario_apart
def link_down_to_one(cluster, _random):
    """every packet is lost between the clients and the server that they are connected to"""
    member = cluster.follower()
    gather(cluster, member)
    hurt_at = now()
    cluster.namespace.cut([member.number])
    wait_until_moved(cluster, member)
    return hurt_at


@scenario_apart
def links_down_to_all(cluster, _random):
    """every packet is lost for 2 session timeouts"""
    cluster.namespace.cut(cluster.namespace.servers)
    time.sleep(2 * TIMEOUT)


@scenario_apart
def flapping_links(cluster, random):
    """every packet is lost for a tenth of a second, ten times, while the registry changes"""
    for _ in range(10):
        cluster.namespace.cut(random.sample(cluster.namespace.servers, 2))
        time.sleep(0.1)
        cluster.make_node("alpha", f"203.0.113.{random.randint(1, 50)}:83")
        cluster.namespace.mend()
        time.sleep(0.1)


@scenario_apart
def lossy_links(cluster, _random):
    """8 kbit/s from the servers, and what does not fit into 1,600 bytes is lost, while 100 nodes come"""
    cluster.namespace.narrow(cluster.namespace.servers, 8000, 1600)
    for number in range(100):
        cluster.make_node("alpha", f"203.0.113.{number}:84")
        time.sleep(0.03)


class Outcome:
    """What came of a scenario, for each client by name."""

    def __init__(self, name):
        self.name = name
        self.seconds = 0.0
        self.conflicts = []  # of libsrsd's registrations, whose addresses nobody else wants
        self.recovered, self.seen, self.cpu_seconds, self.wrong, self.findings = {}, {}, {}, {}, {}

    def complaints(self):
        """What must not be, of libsrsd's client."""
        lines = list(self.findings["srsd"]) + self.wrong["srsd"] + self.conflicts
        allowed = CPU_SHARE_MAX * self.seconds + CPU_SECONDS_FREE
        if self.cpu_seconds["srsd"] > allowed:
            lines.append(f"busy: {self.cpu_seconds['srsd']:.2f} s of processor time in {self.seconds:.1f} s")
        return lines


def play(cluster, function, random, kazoo_patience=KAZOO_PATIENCE_SECONDS):
    """Do it, heal, wait until it settled, look. Returns the outcome; fails if libsrsd's client is wrong."""
    outcome = Outcome(function.__name__)
    began = now()
    for subject in cluster.subjects.values():
        outcome.cpu_seconds[subject.name] = -subject.cpu_seconds()
        subject.told.wrong_moments.clear()
        subject.told.conflicts.clear()
    cluster.guard(not getattr(function, "removes_steady", False))
    recoverable_at = function(cluster, random)
    healed_at = cluster.heal()
    for subject in cluster.subjects.values():
        patience = checker.SETTLE_SECONDS if subject is cluster.srsd else kazoo_patience
        outcome.findings[subject.name] = checker.settle(cluster, subject, patience)
        recovered = max(0.0, subject.told.own_change_at - (recoverable_at or healed_at))
        outcome.recovered[subject.name] = None if outcome.findings[subject.name] else recovered
    if not outcome.findings["srsd"]:
        outcome.seen = dict.fromkeys(cluster.subjects)
        outcome.seen.update(cluster.change_and_see([name for name, lines in outcome.findings.items() if not lines]))
    outcome.seconds = now() - began
    for subject in cluster.subjects.values():
        outcome.cpu_seconds[subject.name] += subject.cpu_seconds()
        outcome.wrong[subject.name] = list(subject.told.wrong_moments)
    outcome.conflicts = list(cluster.srsd.told.conflicts)
    if outcome.findings["kazoo"]:
        cluster.restart_kazoo()
    complaints = outcome.complaints()
    if complaints:
        raise AssertionError("\n".join([f"{outcome.name}:", *complaints[:40], cluster.srsd.process.report()[-20000:]]))
    return outcome

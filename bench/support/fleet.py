"""fleet - backends that can be killed, frozen, cut off and told to misbehave, each with a ZooKeeper session of its own.

A member is two processes: bench/failover_backend.c and, for its registration, support/kazoo_register.py, a service's
session as Kazoo has it. What happens to the one happens to the other, as if they were one process.
"""

import os
import pathlib
import subprocess
import time

import product
import subjects

SESSION_SECONDS = 10
REGISTER = pathlib.Path(__file__).with_name("kazoo_register.py")

# Where hosts of their own are: the proxy's end of the cable, and the host's.
NEAR, FAR = "10.77.0.1", "10.77.0.2"
FAR_LINK = "02:00:00:00:00:02"


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")


class Host:
    """Another machine, as the network shows it: a network namespace at the end of a cable that can be pulled out.
    Needs root, in a network namespace that may be changed."""

    def __init__(self):
        self._holder = product.Process(["unshare", "--net", "sleep", "infinity"])
        self.enter = ["nsenter", "--net", "--target", str(self._holder.pid)]
        # Before it has a namespace of its own the holder is in ours.
        ours = os.readlink("/proc/self/ns/net")
        product.wait_until(lambda: os.readlink(f"/proc/{self._holder.pid}/ns/net") != ours, "a network namespace")
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "address",
            FAR_LINK, "netns", str(self._holder.pid))
        run("ip", "address", "add", f"{NEAR}/30", "dev", "near")
        run("ip", "link", "set", "near", "up")
        run(*self.enter, "ip", "address", "add", f"{FAR}/30", "dev", "far")
        self.connect()
        # A host that is gone does not say so: without this the kernel would ask for its link address, and know.
        run("ip", "neighbour", "replace", FAR, "lladdr", FAR_LINK, "dev", "near", "nud", "permanent")

    def connect(self):
        run(*self.enter, "ip", "link", "set", "far", "up")

    def cut(self):
        """From now on packets are lost, both ways, and nobody is told."""
        run(*self.enter, "ip", "link", "set", "far", "down")

    def close(self):
        self._holder.close()


class Member:
    """One backend. It keeps its address when it is started again."""

    def __init__(self, fleet, number, host=None):
        self._fleet, self._host = fleet, host
        self.executions = fleet.directory / f"executions-{number}"
        self.address = f"{FAR}:{product.free_port()}" if host else f"127.0.0.1:{product.free_port()}"
        self.backend = self.registrar = None

    def listen(self):
        """Start the backend; nobody knows of it yet."""
        for _ in range(20):
            self.backend = product.Process(
                [*(self._host.enter if self._host else ()), product.binary("bench_failover_backend"),
                 "--executions", str(self.executions), *self._fleet.options, self.address], stdin=subprocess.PIPE)
            if product.wait_until(lambda: self.backend.output or not self.backend.is_running(), "a backend"):
                if self.backend.is_running():
                    return
            if self.registrar is not None or not any("in use" in line for line in self.backend.errors):
                break
            self.address = f"{self.address.rpartition(':')[0]}:{product.free_port()}"
        raise AssertionError(f"a backend does not start\n{self.backend.report()}")

    def announce(self):
        """Begin to register it."""
        self.registrar = product.Process(["/usr/bin/python3", "-B", str(REGISTER), self._fleet.servers, subjects.LABEL,
                                          self.address, str(SESSION_SECONDS)])

    def wait_until_registered(self):
        self.registrar.wait_for_output("^held$")

    def start(self):
        self.listen()
        self.announce()

    def restart(self):
        """Start it again, with a new session. Returns when it accepts connections; the registration follows."""
        self.start()

    def tell(self, *words):
        """What it shall do with requests from now on."""
        self.backend.output.clear()
        self.backend.popen.stdin.write((" ".join(["mode", *map(str, words)]) + "\n").encode())
        self.backend.popen.stdin.flush()
        self.backend.wait_for_output("^mode ")

    def kill(self):
        """SIGKILL, to both before either's end is waited for."""
        self.backend.popen.kill()
        self.registrar.popen.kill()
        self.backend.wait_for_exit()
        self.registrar.wait_for_exit()

    def freeze(self):
        self.backend.freeze()
        self.registrar.freeze()

    def thaw(self):
        self.backend.thaw()
        self.registrar.thaw()

    def unplug(self):
        """Its host is gone, and its session with it."""
        self._host.cut()
        self.registrar.freeze()

    def plug_in(self):
        self._host.connect()
        self.registrar.thaw()

    def withdraw(self):
        """Its node goes; it works on."""
        self.registrar.terminate()

    def stop(self, drain_seconds):
        """As a service ends that was written with care: its node goes, it serves on for a moment, and ends when all is
        answered."""
        self.withdraw()
        time.sleep(drain_seconds)
        self.backend.terminate()

    def first_executed_ns(self):
        """When it was first asked for something that counts; waits for that."""
        product.wait_until(lambda: self.executions.stat().st_size > 0, f"a request at {self.address}", 10)
        return self.executed()[0][0]

    def executed(self):
        """What it began to serve: (time in nanoseconds, method, id)."""
        if not self.executions.exists():
            return []
        lines = self.executions.read_text().splitlines()
        return [(int(time_ns), method, identity) for time_ns, method, identity in map(str.split, lines)]

    def close(self):
        for process in (self.registrar, self.backend):
            if process is not None:
                if process.is_running():
                    process.thaw()
                process.close()


class Fleet:
    """`count` members on the ZooKeeper at `servers`. `options`: of failover_backend. With `host`, the last one is there."""

    def __init__(self, count, servers, directory, options, host=None):
        self.servers, self.directory, self.options = servers, directory, [*map(str, options)]
        self.members = [Member(self, number, host if number == count - 1 else None) for number in range(count)]

    @property
    def addresses(self):
        return [member.address for member in self.members]

    def start(self):
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_until_registered()
        return self

    def add(self):
        """Another member, which nobody has started yet."""
        self.members.append(Member(self, len(self.members)))
        return self.members[-1]

    def wait_until_used(self):
        """Each has been asked for something."""
        product.wait_until(lambda: all(member.executions.stat().st_size > 0 for member in self.members),
                           "requests at each backend")

    def close(self):
        for member in self.members:
            member.close()

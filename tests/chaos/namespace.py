"""namespace - a network namespace for the clients, with a link of its own to each server's relays: packets are truly lost
there, which a relay cannot do. Needs root. It is gone with the process that holds it, however that ends.

    client 10.N.s.2 --- link s --- 10.N.s.1, the relays to server s
"""

import os
import subprocess

import product


class Namespace:
    def __init__(self, servers):
        """`servers`: their numbers; for each there is a link."""
        self.servers = list(servers)
        self.network = os.getpid() % 250 + 1
        self.holder = product.Process(["unshare", "--net", "sleep", "infinity"])
        self.enter = ["nsenter", "--net", "--target", str(self.holder.pid)]
        try:
            # Before its own namespace is there, the holder is in ours.
            product.wait_until(self._is_apart, "a network namespace, which only root can make", 10)
            self._run(*self.enter, "ip", "link", "set", "lo", "up")
            for number in self.servers:
                self._make_link(number)
        except BaseException:
            self.close()
            raise

    def _is_apart(self):
        if not self.holder.is_running():
            raise AssertionError(f"no network namespace; it needs root\n{self.holder.report()}")
        return os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net")

    @staticmethod
    def _run(*command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")

    def device(self, number):
        return f"chaos{os.getpid() % 100000}.{number}"

    def address(self, number):
        """Ours, where the relays to that server listen."""
        return f"10.{self.network}.{number}.1"

    def _make_link(self, number):
        device, other = self.device(number), f"server{number}"
        self._run("ip", "link", "add", device, "type", "veth", "peer", "name", other, "netns", str(self.holder.pid))
        self._run("ip", "address", "add", f"{self.address(number)}/30", "dev", device)
        self._run("ip", "link", "set", device, "up")
        self._run(*self.enter, "ip", "address", "add", f"10.{self.network}.{number}.2/30", "dev", other)
        self._run(*self.enter, "ip", "link", "set", other, "up")

    def cut(self, numbers):
        """From now on every packet on these links is lost."""
        for number in numbers:
            self._run("ip", "link", "set", self.device(number), "down")

    def mend(self):
        """All links carry everything again."""
        for number in self.servers:
            self._run("ip", "link", "set", self.device(number), "up")
            subprocess.run(["tc", "qdisc", "del", "dev", self.device(number), "root"], stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=20, check=False)

    def narrow(self, numbers, bits_per_second, queue_bytes):
        """What comes from these servers faster than that, and does not fit into the queue, is lost."""
        for number in numbers:
            self._run("tc", "qdisc", "replace", "dev", self.device(number), "root", "tbf", "rate",
                      f"{bits_per_second}bit", "burst", "1600", "limit", str(queue_bytes))

    def close(self):
        self.holder.close()

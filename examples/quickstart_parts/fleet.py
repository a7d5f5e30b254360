"""fleet - what the quickstart runs: a ZooKeeper, services, the proxy. Owns these processes: they end with it, however
it ends."""

import http.client
import json
import pathlib
import random
import socket
import subprocess
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
LABEL = "tornado_app"
SESSION_TIMEOUT_MS = 3000  # a killed service's node goes after it; short, for impatient spectators
START_SECONDS = 60  # how long a process may take to be ready; a slow machine is slow
STOP_SECONDS = 10


class Failed(Exception):
    """Something did not go as it should; the text says what."""


def say(text):
    print(f"quickstart: {text}", flush=True)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_given_ports = set()


def free_port():
    """A port nobody listens on, below the range that outgoing connections are given; another one each time."""
    for _ in range(1000):
        port = random.randint(10000, 32767)
        if port not in _given_ports and is_free(port):
            _given_ports.add(port)
            return port
    raise Failed("no free port between 10000 and 32767 in 1000 tries")


def wait_until(condition, what, seconds=START_SECONDS):
    """Ask `condition` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        outcome = condition()
        if outcome:
            return outcome
        time.sleep(0.02)
    raise Failed(f"not within {seconds} s: {what}")


def get(port, path, timeout=10):
    """GET from loopback on a connection of its own. Returns status, fields, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Child:
    """A process that we started; what it says goes to a file of the fleet's directory."""

    def __init__(self, name, arguments, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        with open(self.log, "wb") as log:
            # A session of its own, so that Ctrl-C reaches us alone and we end things in order. Killed when we are.
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *arguments],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def wait_until_ready(self, condition):
        try:
            wait_until(lambda: condition() or not self.is_running(), f"{self.name} is ready")
        except Failed as late:
            raise Failed(f"{late}\n{self.last_words()}") from None
        if not self.is_running():
            raise Failed(f"{self.name} ended with status {self.popen.returncode}\n{self.last_words()}")

    def last_words(self):
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join(f"    {self.name}: {line}" for line in lines)

    def kill(self):
        self.popen.kill()
        self.popen.wait()


class Service(Child):
    """An example service and the address it registers."""

    def __init__(self, number, binaries, servers, directory):
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(f"service-{number}", [
            str(binaries / "service"), "--label", LABEL, "--port", self.address.split(":")[1],
            "--zookeeper", servers, "--session-timeout", f"{SESSION_TIMEOUT_MS}ms"], directory)


class Fleet:
    """All processes of the quickstart, and what the proxy's admin endpoint says of them."""

    def __init__(self, binaries, directory, port):
        self.binaries = binaries
        self.directory = directory
        self.port = port
        self.admin_port = None
        self.servers = None
        self.zookeeper = self.proxy = None
        self.services = []

    def start(self, service_count):
        self.start_zookeeper()
        say(f"ZooKeeper is up on {self.servers} (process {self.zookeeper.pid})")
        for service in [self.start_service() for _ in range(service_count)]:
            self.wait_until_registered(service)
            say(f"a service is up on {service.address} (process {service.pid}), registered as {LABEL}")
        self.start_proxy()
        say(f"the proxy is up on 127.0.0.1:{self.port} (process {self.proxy.pid})")

    def start_zookeeper(self):
        port = free_port()
        self.servers = f"127.0.0.1:{port}"
        server = PROJECT / "tests/support/zookeeper-server"
        self.zookeeper = Child("zookeeper", [str(server), str(self.directory / "zookeeper"), str(port)], self.directory)
        self.zookeeper.wait_until_ready(lambda: self.is_zookeeper_serving(port))

    @staticmethod
    def is_zookeeper_serving(port):
        """A server that is just starting may take the question and never answer: hence the timeout."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"srvr")
                return connection.recv(4096).startswith(b"Zookeeper version")
        except OSError:
            return False

    def start_service(self):
        service = Service(len(self.services) + 1, self.binaries, self.servers, self.directory)
        self.services.append(service)
        return service

    def wait_until_registered(self, service):
        service.wait_until_ready(lambda: service.address in self.registered())

    def registered(self):
        """The addresses that ZooKeeper itself has, by the srsd command."""
        listed = subprocess.run([str(self.binaries / "srsd"), "discover", LABEL, "--zookeeper", self.servers],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                timeout=START_SECONDS, text=True, check=False)
        return listed.stdout.split()

    def start_proxy(self):
        self.admin_port = free_port()
        if not is_free(self.port):
            raise Failed(f"port {self.port} is taken on 127.0.0.1: choose another one with --port")
        settings = (f"zookeeper.servers={self.servers}", f"listeners.0.address=127.0.0.1:{self.port}",
                    f"admin.address=127.0.0.1:{self.admin_port}")
        arguments = [str(self.binaries / "srsd-proxy"), "-c", str(PROJECT / "config/srsd-proxy.yaml")]
        for setting in settings:
            arguments += ["--set", setting]
        self.proxy = Child("proxy", arguments, self.directory)
        self.proxy.wait_until_ready(self.is_proxy_ready)

    def is_proxy_ready(self):
        try:
            return get(self.admin_port, "/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def backends(self):
        """What the proxy says of its set: the service's object in the admin endpoint's JSON."""
        status, _, body = get(self.admin_port, "/backends")
        if status != 200:
            raise Failed(f"the admin endpoint answers {status} for /backends")
        return next(service for service in json.loads(body)["services"] if service["name"] == LABEL)

    def addresses(self):
        return {backend["address"] for backend in self.backends()["backends"]}

    def children(self):
        return [child for child in (self.proxy, *self.services, self.zookeeper) if child is not None]

    def stop(self):
        """The proxy first, ZooKeeper last: each finds what it needs until it has ended. Returns complaints about those
        that did not end as they should when asked to (what a sanitizer found shows in an exit status, too)."""
        complaints = []
        for children in ([self.proxy], self.services, [self.zookeeper]):
            running = [child for child in children if child is not None and child.is_running()]
            for child in running:
                child.popen.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for child in running:
                try:
                    child.popen.wait(max(0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.kill()
                # Java reports the signal that ended it.
                if child.popen.returncode != 0 and child is not self.zookeeper:
                    complaints.append(f"{child.name} ended with status {child.popen.returncode}\n{child.last_words()}")
        return complaints

"""subjects - the programs that benchmarks start: backends, load, and the proxies that are compared.

Everything runs on loopback with files in a directory of its own, as a child of the benchmark, and ends with it.
"""

import json
import os
import pathlib
import queue
import shutil
import socket
import subprocess
import tempfile

import product

REGISTRY = product.REGISTRY
LABEL = "bench"

# The proxy has the first processor for itself; load and backends share the last. With one processor all share it.
PROXY_CPU = min(os.sched_getaffinity(0))
LOAD_CPU = max(os.sched_getaffinity(0))


def pinned(cpu, *command):
    return ["taskset", "--cpu-list", str(cpu), *command]


def wait_for_port(process, port):
    """True when somebody accepts connections there, false when the process has ended."""
    def ask():
        if not process.is_running():
            return "ended"
        with socket.socket() as probe:
            return "open" if probe.connect_ex(("127.0.0.1", port)) == 0 else None
    return product.wait_until(ask, f"port {port} of {process.arguments}") == "open"


def targets(ports):
    return [f"127.0.0.1:{port}" for port in ports]


class Output(list):
    """What a program says, by line; counts are in `counts` as well, where they can be waited for without looking again
    and again, which would take processor time from what is measured."""

    def __init__(self):
        super().__init__()
        self.counts = queue.SimpleQueue()

    def append(self, line):
        super().append(line)
        if line.startswith("{"):
            self.counts.put(json.loads(line))


class Backends:
    """bench_backend: one process with several addresses, each to be seen as one backend. It runs loads as well, on the same
    thread, one at a time."""

    def __init__(self, count=3, body_bytes=120, delay_us=0, cpu=LOAD_CPU, options=()):
        """`body_bytes`: of the answer to a path that names no number. `options`: its other ones."""
        self.process = product.Process(pinned(
            cpu, product.binary("bench_backend"), "--listeners", str(count), "--body", str(body_bytes),
            "--delay-us", str(delay_us), "--loads", *options), stdin=subprocess.PIPE, output=Output())
        self.process.wait_for_output("^ready$")
        self.body_bytes, self.cpu = body_bytes, cpu
        self.addresses = [line.split()[1] for line in self.process.output if line.startswith("listening ")]

    def first_request_ns(self, address, deadline_seconds=product.DEADLINE_SECONDS):
        """When it got its first request, by time.monotonic_ns()'s clock."""
        number = self.process.wait_for_output(f"^first {address} ", deadline_seconds=deadline_seconds)
        return int(self.process.output[number - 1].split()[2])

    def begin_load(self, ports, *options):
        """Ask there, as bench_load does with these options, on the backends' own thread."""
        words = [*options, *targets(ports)]
        self.process.popen.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.popen.stdin.flush()
        return LoadWithin(self.process)

    def stop(self):
        """End it. Returns how many requests each address was sent."""
        self.process.terminate()
        return {line.split()[1]: int(line.split()[2]) for line in self.process.output if line.startswith("served ")}

    def close(self):
        self.process.popen.stdin.close()
        self.process.close()


class LoadWithin:
    """A load that a process of backends runs, to its end."""

    def __init__(self, process):
        self._process = process

    def finish(self, deadline_seconds=600):
        """Wait for its end. Returns what it counted; its processor time is that of the process."""
        for _ in range(deadline_seconds):
            try:
                return {**self._process.output.counts.get(timeout=1), "cpu_seconds": 0.0}
            except queue.Empty:
                if not self._process.is_running():
                    break
        raise AssertionError(self._process.report())

    def close(self):
        pass


class Together:
    """Several Backends, as a proxy sees them that has all of them."""

    def __init__(self, parts):
        self.addresses = [address for part in parts for address in part.addresses]
        self.body_bytes = parts[0].body_bytes


class Load:
    """bench_load, as it runs. Options are its own."""

    def __init__(self, ports, *options, cpu=LOAD_CPU):
        """`ports`: its connections take turns with them."""
        self.process = product.Process(pinned(cpu, product.binary("bench_load"), *map(str, options), *targets(ports)))

    def finish(self, deadline_seconds=600):
        """Wait for its end. Returns what it counted."""
        if self.process.wait_for_exit(deadline_seconds) != 0:
            raise AssertionError(self.process.report())
        return json.loads(self.process.output[-1])

    def close(self):
        self.process.close()


def load(port, *options):
    """Run bench_load to its end. Returns what it counted."""
    running = Load([port], *options)
    try:
        return running.finish()
    finally:
        running.close()


class Subject:
    """A proxy under test: its process, and the port it listens on."""

    name = None

    def __init__(self, backends, cpu=PROXY_CPU):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"srsd-bench-{self.name}-"))
        self.process = None
        for _ in range(5):
            self.port = product.free_port()
            self.process = product.Process(
                pinned(cpu, *self.command(backends)) if cpu is not None else self.command(backends),
                directory=self.directory)
            if wait_for_port(self.process, self.port):
                return
        report = self.process.report()
        self.close()
        raise AssertionError(f"{self.name} does not start\n{report}")

    @property
    def pid(self):
        return self.process.pid

    def command(self, backends):
        raise NotImplementedError

    def write(self, name, text):
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    def close(self):
        try:
            self.process.close()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


class Ours(Subject):
    """srsd-proxy as shipped, with its backends from ZooKeeper: forwarding fields, request ids, counters all on."""

    name = "srsd-proxy"
    program = None  # another one than that under test

    def __init__(self, zookeeper, label=LABEL, workers=1, choices=2, cpu=PROXY_CPU, settings=()):
        self._zookeeper, self._label, self._workers, self._choices = zookeeper, label, workers, choices
        self._settings = settings
        super().__init__(None, cpu)

    def routes(self):
        """{path: service}; a service for each of them is all that it has."""
        return {"/": self._label}

    def command(self, backends):
        self.admin_port = product.free_port()
        routes = self.routes()
        services = "".join(f"  - name: {service}\n    choices: {self._choices}\n" for service in routes.values())
        ways = "".join(f"  - path: {path}\n    service: {service}\n" for path, service in routes.items())
        configuration = self.write("srsd-proxy.yaml", f"""\
zookeeper:
  servers: {self._zookeeper.servers}
  registry: {REGISTRY}
listeners:
  - address: 127.0.0.1:{self.port}
services:
{services}routes:
{ways}workers: {self._workers}
admin:
  address: 127.0.0.1:{self.admin_port}
""")
        sets = [word for setting in self._settings for word in ("--set", setting)]
        return [self.program or product.binary("srsd-proxy"), "--config", configuration, *sets]

    def backends(self):
        """The addresses in its set, as its admin listener tells them; None while it does not listen yet."""
        try:
            return self._ask_backends()
        except ConnectionRefusedError:
            return None

    def ask_admin(self, path):
        """What its admin listener answers there, which is JSON."""
        with socket.create_connection(("127.0.0.1", self.admin_port), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def _ask_backends(self):
        services = self.ask_admin("/backends")["services"]
        return sorted(backend["address"] for backend in services[0]["backends"])

    def wait_for_backends(self, addresses):
        product.wait_until(lambda: self.backends() == sorted(addresses), f"the proxy's set to be {addresses}")


class Before(Ours):
    """The same of another build, to compare with."""

    name = "before"

    def __init__(self, program, *arguments, **options):
        self.program = program
        super().__init__(*arguments, **options)


class Peer(Subject):
    """A proxy of others, configured for so many connections of clients and backends together. `is_deferred`: it takes
    connections with their first bytes."""

    def __init__(self, backends, cpu=PROXY_CPU, connections=4096, is_deferred=False, workers=1):
        self._connections, self._is_deferred, self._workers = connections, is_deferred, workers
        super().__init__(backends, cpu)


class Nginx(Peer):
    """nginx: one process unless told otherwise, no log, pooled connections to the backends, buffers large enough for the
    answers."""

    name = "nginx"

    def close(self):
        if self._workers > 1 and self.process.is_running():
            self.process.terminate()  # so that it ends its workers
        super().close()

    def command(self, backends):
        servers = " ".join(f"server {address} max_fails=0;" for address in backends.addresses)
        # When fewer than a sixteenth are free it closes idle clients.
        slots = self._connections * 16 // 15 + 1
        # Measured: larger buffers than 16 KB make large answers a fifth cheaper, and small ones no cheaper.
        buffer_kib = 16 if backends.body_bytes < 16 * 1024 else 128
        # Bodies that are longer than its buffer go to a file first, else.
        streaming = "" if backends.body_bytes < 16 * 1024 else "proxy_request_buffering off;"
        temporary = "".join(f"{module}_temp_path {self.directory}/{module};\n"
                            for module in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        listening = ("deferred " if self._is_deferred else "") + ("reuseport" if self._workers > 1 else "")
        processes = "master_process off;" if self._workers == 1 else f"user root;\nworker_processes {self._workers};"
        configuration = self.write("nginx.conf", f"""\
daemon off;
{processes}
pid {self.directory}/pid;
error_log stderr error;
events {{ worker_connections {slots}; use epoll; }}
http {{
{temporary}
access_log off;
tcp_nodelay on;
keepalive_requests 1000000000;
keepalive_timeout 600s;
client_body_buffer_size 64k;
client_max_body_size 0;
{streaming}
proxy_buffer_size {buffer_kib}k;
proxy_buffers 4 {buffer_kib}k;
proxy_busy_buffers_size {2 * buffer_kib}k;
proxy_max_temp_file_size 0;
upstream backends {{
    {servers}
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
}}
server {{
    listen 127.0.0.1:{self.port} backlog=4096 {listening};
    location / {{
        proxy_pass http://backends;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
    }}
}}
}}
""")
        return ["/usr/sbin/nginx", "-e", "stderr", "-p", str(self.directory), "-c", configuration]


class Haproxy(Peer):
    """HAProxy: one thread unless told otherwise, no log, pooled connections to the backends."""

    name = "HAProxy"

    def command(self, backends):
        servers = "\n".join(f"    server s{i} {address}" for i, address in enumerate(backends.addresses))
        # It wants two descriptors for each connection allowed: with fewer it is to start as well.
        configuration = self.write("haproxy.cfg", f"""\
global
    nbthread {self._workers}
    maxconn {self._connections}
    no strict-limits
defaults
    mode http
    http-reuse always
    option http-keep-alive
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
frontend clients
    bind 127.0.0.1:{self.port} backlog 4096{" defer-accept" if self._is_deferred else ""}
    default_backend backends
backend backends
    balance random
{servers}
""")
        return ["/usr/sbin/haproxy", "-db", "-f", configuration]


class Floor(Subject):
    """bench_floor: forwards bytes and parses nothing. `is_single`: one request on each of its clients' connections."""

    name = "floor"

    def __init__(self, addresses, cpu=PROXY_CPU, threads=1, is_single=False, is_deferred=False):
        self._options = ["--threads", str(threads)] * (threads > 1)
        self._options += ["--new-connections"] * is_single + ["--deferred"] * is_deferred
        super().__init__(addresses, cpu)

    def command(self, backends):
        return [product.binary("bench_floor"), "--port", str(self.port), *self._options, *backends]


class Direct:
    """No proxy at all: the first of the backends, to see what is the load's own."""

    name = "direct"

    def __init__(self, backends):
        self.process = backends.process
        self.pid, self.port = backends.process.pid, int(backends.addresses[0].rpartition(":")[2])

    def close(self):
        pass


class Registry:
    """A private ZooKeeper with a client that registers backends, as a service written with Kazoo would."""

    def __init__(self):
        self.zookeeper = product.ZooKeeper().start()
        self.client = self.zookeeper.client()

    @staticmethod
    def path(address, label=LABEL):
        return f"{REGISTRY}/{label}/{address}"

    def register(self, address, label=LABEL, data=b""):
        self.client.create(self.path(address, label), data, ephemeral=True, makepath=True)

    def remove(self, address, label=LABEL):
        self.client.delete(self.path(address, label))

    def close(self):
        self.client.stop()
        self.client.close()
        self.zookeeper.close()


def versions():
    """Lines that say which programs were measured."""
    import machine
    return [machine.first_line(product.binary("srsd-proxy"), "--version"),
            machine.first_line("/usr/sbin/nginx", "-v"),
            machine.first_line("/usr/sbin/haproxy", "-v")]

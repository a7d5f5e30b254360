"""watched - the proxies whose backends come from ZooKeeper while they run: srsd-proxy, which follows it itself, and its
peers, each with a watcher beside it, set up as those who care set them up.
"""

import http.client
import json
import os
import pathlib
import signal

import product
import subjects

WATCHER = pathlib.Path(__file__).with_name("registry_watcher.py")

# Places for servers in HAProxy.
SLOTS = 64


class Watched:
    """A proxy on the ZooKeeper at `servers`, in `directory`, where it keeps what it knows from one start to the next."""

    name = None
    has_state = False  # does it know its backends when it starts without ZooKeeper?

    def __init__(self, servers, directory, workers):
        self.servers, self.directory, self.workers = servers, directory, workers
        self.port = product.free_port()
        self.process = None
        directory.mkdir(exist_ok=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def write(self, name, text):
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    def command(self):
        raise NotImplementedError

    def launch(self):
        """Start it, and do not wait."""
        self.process = product.Process(self.command(), directory=self.directory)

    def start(self):
        for _ in range(5):
            self.launch()
            if subjects.wait_for_port(self.process, self.port):
                return self
            if not any("in use" in line for line in self.process.errors):
                break
            self.port = product.free_port()
        raise AssertionError(f"{self.name} does not start\n{self.report()}")

    def stop(self):
        """End it, as fast as it can."""
        self.process.close()

    def chosen(self, address):
        """How often that backend has been chosen; None: it does not say."""
        return None

    def report(self):
        return self.process.report() if self.process is not None else ""

    def close(self):
        if self.process is not None:
            self.stop()


class Ours(Watched):
    """srsd-proxy as shipped, with a place for its state."""

    name = "srsd-proxy"
    has_state = True
    settings = ()  # words for --set

    def command(self):
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        self.admin_port = product.free_port()
        configuration = self.write("srsd-proxy.yaml", f"""\
zookeeper:
  servers: {self.servers}
  registry: {subjects.REGISTRY}
  state_dir: {state}
listeners:
  - address: {self.address}
services:
  - name: {subjects.LABEL}
routes:
  - path: /
    service: {subjects.LABEL}
workers: {self.workers}
admin:
  address: 127.0.0.1:{self.admin_port}
""")
        sets = [word for setting in self.settings for word in ("--set", setting)]
        return [product.binary("srsd-proxy"), "--config", configuration, *sets]


    def chosen(self, address):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        try:
            connection.request("GET", "/backends")
            backends = json.loads(connection.getresponse().read())["services"][0]["backends"]
        finally:
            connection.close()
        return next((backend["requests"] for backend in backends if backend["address"] == address), None)


class Peer(Watched):
    """A proxy of others, and its watcher."""

    watcher = None

    def watcher_arguments(self):
        raise NotImplementedError

    def launch(self):
        super().launch()
        self.watcher = product.Process(["/usr/bin/python3", "-B", str(WATCHER), self.servers, subjects.LABEL,
                                        *map(str, self.watcher_arguments())])

    def stop(self):
        if self.watcher is not None:
            self.watcher.close()
        super().stop()

    def report(self):
        return f"{super().report()}\n{self.watcher.report() if self.watcher is not None else ''}"


class Haproxy(Peer):
    """HAProxy tuned: least connections, checks four times a second, what was not answered is tried elsewhere where it may
    be, what fails in a row is taken out. The watcher feeds its run-time API."""

    name = "HAProxy"

    @property
    def socket(self):
        return self.directory / "admin.socket"

    def watcher_arguments(self):
        return ["haproxy", self.socket, SLOTS]

    def command(self):
        configuration = self.write("haproxy.cfg", f"""\
global
    nbthread {self.workers}
    maxconn 8000
    no strict-limits
    stats socket {self.socket} mode 600 level admin
defaults
    mode http
    http-reuse always
    option http-keep-alive
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response response-timeout 500 502 503 504
    timeout connect 1s
    timeout client 60s
    timeout server 5s
    timeout queue 5s
    timeout http-keep-alive 60s
frontend clients
    bind {self.address} backlog 4096
    default_backend backends
backend backends
    balance leastconn
    option httpchk GET /
    http-request disable-l7-retry if METH_POST
    default-server check inter 250ms fall 2 rise 1 observe layer7 error-limit 3 on-error mark-down
    server-template s 1-{SLOTS} 127.0.0.1:9 disabled
""")
        return ["/usr/sbin/haproxy", "-db", "-f", configuration]


class Nginx(Peer):
    """nginx with its defaults for failing servers and shorter timeouts. The watcher writes its servers and reloads it."""

    name = "nginx"
    has_state = True  # its configuration, as it was last written

    def watcher_arguments(self):
        return ["nginx", self.directory / "servers.conf", self.directory / "pid"]

    def command(self):
        if not (self.directory / "servers.conf").exists():
            self.write("servers.conf", "server 127.0.0.1:9 down;\n")
        temporary = "".join(f"{module}_temp_path {self.directory}/{module};\n"
                            for module in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        configuration = self.write("nginx.conf", f"""\
{user}daemon off;
worker_processes {self.workers};
pid {self.directory}/pid;
error_log stderr crit;
events {{ worker_connections 16384; }}
http {{
{temporary}
access_log off;
tcp_nodelay on;
keepalive_requests 1000000000;
proxy_connect_timeout 1s;
proxy_read_timeout 5s;
proxy_send_timeout 5s;
upstream backends {{
    include {self.directory}/servers.conf;
    keepalive 64;
}}
server {{
    listen {self.address} backlog=4096;
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

    def stop(self):
        # Its workers do not end with a master that is killed.
        if self.process.is_running():
            self.process.signal(signal.SIGTERM)
            self.process.wait_for_exit()
        super().stop()


ALL = {subject.name: subject for subject in (Ours, Haproxy, Nginx)}

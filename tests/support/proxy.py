"""proxy - for the tests of srsd-proxy as a process: the proxy with its ports, backends in this process, clients.

A test makes its proxy with start_proxy(), its backends with start_backend(), and asks with proxy.ask().
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import tempfile
import threading
import time

import product

LABEL = "tornado_app"
LABEL_PATH = f"{product.REGISTRY}/{LABEL}"


class Backend:
    """An HTTP server in this process that answers every request with its own address as JSON and in X-Served-By. Without
    `port` at one that stays its own when it has closed: whoever still knows it is refused, and reaches no other test."""

    def __init__(self, delay_seconds=0, address="127.0.0.1", port=None):
        self.delay_seconds = delay_seconds
        self.paths = []  # of every request, as it comes in
        self.hold = None  # when this is set to an Event, answers wait for it
        self.answered = 0
        self._lock = threading.Lock()
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                backend.answer(self)

            do_POST = do_GET

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
            request_queue_size = 1024

            def handle_error(self, request, client_address):
                pass  # clients that go away are part of the tests

        self._server = Server((address, product.free_port(address) if port is None else port), Handler)
        self.port = self._server.server_address[1]
        self.name = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            self.paths.append(handler.path)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.hold is not None:
            self.hold.wait(product.DEADLINE_SECONDS)
        body = json.dumps({"backend": self.name, "path": handler.path}).encode()
        with self._lock:
            self.answered += 1
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("X-Served-By", self.name)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        """Stop listening. Connections that are open stay open."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(product.DEADLINE_SECONDS)


class Answer:
    """A response: status, headers, text, and who served it."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        self.served_by = response.headers.get("X-Served-By")


def ask(port, path="/", method="GET", body=None, host="127.0.0.1"):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=product.DEADLINE_SECONDS)
    try:
        connection.request(method, path, body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Proxy:
    """A running srsd-proxy."""

    def __init__(self, process):
        self.process = process
        self.port = self.admin_port = None

    def wait_for_ports(self, has_admin):
        """Read the ports off the log. Listeners come first, the admin listener is the last one."""
        self.process.wait_for_error(r'event"?[=:]"?serving')
        ports = [int(re.search(r'port"?[=:](\d+)', line)[1]) for line in self.process.errors
                 if re.search(r'event"?[=:]"?listening', line)]
        self.ports = ports[:-1] if has_admin else ports
        self.port, self.admin_port = self.ports[0], ports[-1] if has_admin else None

    def ask(self, *arguments, **options):
        return ask(self.port, *arguments, **options)

    def admin(self, path, method="GET"):
        return ask(self.admin_port, path, method)

    def backends(self, service=LABEL):
        """The names of the service's backends, as the admin endpoint tells them; None while they are unknown."""
        for entry in json.loads(self.admin("/backends").text)["services"]:
            if entry["name"] == service:
                return [backend["address"] for backend in entry["backends"]] if entry["is_known"] else None
        raise AssertionError(f"no service {service}")

    def metric(self, name):
        """The value of a metric without labels, or with them as they are written."""
        for line in self.admin("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.split(" ")[-1])
        raise AssertionError(f"no metric {name}")

    def descriptors_by_thread(self):
        """What is open: {"srsd-proxy": ["socket:[123]", ...], "worker-0": [...], ...}. Each worker has a table of its
        own, all other threads share the main thread's."""
        tables = {}
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            folder = f"/proc/{self.process.pid}/task/{task}"
            with open(f"{folder}/comm", encoding="ascii") as comm:
                name = comm.read().strip()
            if task == str(self.process.pid) or name.startswith("worker-"):
                tables[name] = []
                for number in os.listdir(f"{folder}/fd"):
                    with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
                        tables[name].append(os.readlink(f"{folder}/fd/{number}"))
        return tables

    def nice_by_thread(self):
        """The nice value of each thread, by its name."""
        values = {}
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/stat", encoding="ascii") as stat:
                name, _, fields = stat.read().partition(" (")[2].rpartition(") ")
            values[name] = int(fields.split()[16])
        return values

    def descriptors(self):
        """How many sockets, files and kinds of other things are open in the process."""
        return len(set().union(*self.descriptors_by_thread().values()))

    def resident_kilobytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


class ProxyTest(product.SystemTest):
    """A test with one proxy or several."""

    def write_settings(self, settings):
        """A configuration file. JSON is YAML, too."""
        directory = tempfile.mkdtemp(prefix="srsd-proxy-test-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        path = os.path.join(directory, "proxy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(settings, file, indent=1)
        return path

    def settings(self, **changes):
        """One service from the registry, or with static=[...], and with health={...}; the rest as the test says."""
        service = {"name": LABEL}
        if "static" in changes:
            service["static"] = changes.pop("static")
        if "health" in changes:
            service["health"] = changes.pop("health")
        settings = {
            "zookeeper": {"servers": changes.pop("zookeeper", "127.0.0.1:1"), "session_timeout": "5s"},
            "listeners": [{"address": "127.0.0.1:0"}],
            "services": [service],
            "routes": [{"path": "/", "service": LABEL}],
            "admin": {"address": "127.0.0.1:0"},
            "workers": 2,
        }
        settings.update(changes)
        return settings

    def launch(self, settings, *options):
        """Start the proxy and wait for nothing. `settings`: a dictionary, or the path of a file."""
        path = settings if isinstance(settings, str) else self.write_settings(settings)
        return self.start("srsd-proxy", "--config", path, *options)

    def start_proxy(self, *options, settings=None, **changes):
        """Start the proxy and wait until it listens."""
        settings = settings if settings is not None else self.settings(**changes)
        has_admin = isinstance(settings, str) or settings.get("admin", {}).get("address") != "off"
        proxy = Proxy(self.launch(settings, *options))
        proxy.wait_for_ports(has_admin)
        return proxy

    def start_backend(self, *arguments, **options):
        backend = Backend(*arguments, **options)
        self.addCleanup(backend.close)
        return backend

    @staticmethod
    def wait_for_backends(proxy, *names, service=LABEL):
        """Wait until the proxy's set is exactly these, and every worker has taken it on."""
        def is_so():
            if proxy.backends(service) != sorted(names):
                return False
            # Each version of a set is sent to every worker once.
            versions = sum(entry["version"] for entry in json.loads(proxy.admin("/backends").text)["services"])
            updates = proxy.metric("srsd_proxy_worker_fleet_updates_total")
            return updates >= versions * proxy.metric("srsd_proxy_workers")

        product.wait_until(is_so, f"the proxy's set of {service} is {sorted(names)}")

    @staticmethod
    def wait_until_live(proxy, service=LABEL):
        """Wait until all of the proxy's set are believed to serve: who is new does not before it was connected to."""
        def are_live():
            services = {entry["name"]: entry for entry in json.loads(proxy.admin("/backends").text)["services"]}
            return {backend["state"] for backend in services[service]["backends"]} == {"live"}

        product.wait_until(are_live, f"all backends of {service} are live")

    def ask_many(self, proxy, count, path="/"):
        """`count` requests on one connection; returns {who served: how many}. Fails on any that is not 200."""
        served = {}
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=product.DEADLINE_SECONDS)
        try:
            for _ in range(count):
                connection.request("GET", path)
                answer = Answer(connection.getresponse())
                self.assertEqual(answer.status, 200, answer.text)
                served[answer.served_by] = served.get(answer.served_by, 0) + 1
        finally:
            connection.close()
        return served

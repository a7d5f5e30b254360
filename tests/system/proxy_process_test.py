#!/usr/bin/python3
"""The proxy as a process: command line, configuration errors, exit codes, signals, draining, logs."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import product
from proxy import ProxyTest, ask

SHIPPED = sorted(str(path) for path in (product.PROJECT / "config").glob("*.yaml"))


class CommandLineTest(ProxyTest):
    def run_proxy(self, *options, stdout=None):
        return subprocess.run([product.binary("srsd-proxy"), *options], stdin=subprocess.DEVNULL, check=False,
                              stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=product.DEADLINE_SECONDS)

    def test_version(self):
        for option in ("-V", "--version"):
            done = self.run_proxy(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"\Asrsd-proxy \d+\.\d+\.\d+\n")
            for library in ("libevent 2.", "llhttp 8.", "zookeeper client 3.", "libyaml 0."):
                self.assertIn(f"\n{library}", done.stdout)

    def test_help(self):
        for option in ("-h", "--help"):
            done = self.run_proxy(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for word in ("--config", "--test", "--dump", "--set", "--version", "SIGTERM", "Exit codes", "78"):
                self.assertIn(word, done.stdout)
            self.assertLessEqual(max(len(line) for line in done.stdout.splitlines()), 120)

    def test_a_wrong_command_line(self):
        for options in (["--what"], ["-x"], ["extra"], ["--config"], ["--set"], ["--set", "log.level"], ["--set", "=x"],
                        ["-t", "extra"]):
            done = self.run_proxy(*options)
            self.assertEqual((done.returncode, done.stdout), (64, ""), options)
            self.assertIn("--help", done.stderr, options)

    def test_the_shipped_configurations_are_right(self):
        self.assertEqual(len(SHIPPED), 3)
        for path in SHIPPED:
            for option in ("-t", "--test"):
                done = self.run_proxy(option, "-c", path)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"{path}: ok\n", ""))

    def test_a_dump_loads_back_as_the_same(self):
        for path in SHIPPED:
            dumped = self.run_proxy("-T", "--config", path, "--set", "timeouts.connect=1500ms", "--set", "limits.head=8k")
            self.assertEqual((dumped.returncode, dumped.stderr), (0, ""))
            self.assertRegex(dumped.stdout, r"connect: 1500ms\n")
            self.assertRegex(dumped.stdout, r"\bhead: 8k\n")
            again = str(pathlib.Path(self.write_settings({})).with_name("dump.yaml"))
            pathlib.Path(again).write_text(dumped.stdout, encoding="utf-8")
            self.assertEqual(self.run_proxy("--dump", "-c", again).stdout, dumped.stdout)
            self.assertEqual(self.run_proxy("--test", "-c", again).returncode, 0)

    def test_a_dump_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.run_proxy("-T", "--config", SHIPPED[0], stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_every_error_is_listed_with_its_place(self):
        path = pathlib.Path(self.write_settings({})).with_name("wrong.yaml")
        path.write_text("""\
listeners:
  - address: somewhere:80
services:
  - name: a/b
    choices: many
    choice: 2
routes:
  - path: info
    service: nobody
timeouts:
  connect: 5 minutes
workers: 8080abc
workers: 2
""", encoding="utf-8")
        for options in (["--test"], ["--dump"], []):
            done = self.run_proxy(*options, "--config", str(path))
            self.assertEqual((done.returncode, done.stdout), (78, ""))
            complaints = done.stderr.splitlines()
            places = {int(re.match(re.escape(str(path)) + r":(\d+):\d+: ", line)[1]) for line in complaints}
            self.assertLessEqual({2, 4, 5, 6, 8, 9, 11, 12, 13}, places, done.stderr)
            self.assertTrue(any('unknown key "choice" in services.0, did you mean "choices"?' in line for line in complaints),
                            done.stderr)

    def test_a_configuration_that_cannot_be_read(self):
        done = self.run_proxy("--config", "/no/such/file.yaml")
        self.assertEqual(done.returncode, 78)
        self.assertIn("/no/such/file.yaml", done.stderr)
        self.assertIn("No such file", done.stderr)
        done = self.run_proxy("--config", "/")
        self.assertEqual(done.returncode, 78)

    def test_a_wrong_override(self):
        for override in ("log.level=loud", "nothing.of.this=1", "services.7.name=x", "zookeeper.servers=nowhere",
                         "zookeeper.registry=relative", "workers=0"):
            done = self.run_proxy("--test", "--config", SHIPPED[0], "--set", override)
            self.assertEqual(done.returncode, 78, override)
            self.assertIn(override.split("=")[0], done.stderr)


class SupervisorTest(ProxyTest):
    def test_it_is_told_when_the_proxy_listens_and_when_it_stops(self):
        """As systemd's Type=notify has it; a socket is a path, or a name of the kernel's own."""
        backend = self.start_backend()
        path = self.write_settings(self.settings(static=[backend.name]))
        directory = os.path.dirname(path)
        for name, address in ((f"{directory}/notify", f"{directory}/notify"),
                              (f"@srsd-proxy-test-{os.getpid()}", f"\0srsd-proxy-test-{os.getpid()}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
                supervisor.bind(address)
                supervisor.settimeout(product.DEADLINE_SECONDS)
                process = self.start("srsd-proxy", "--config", path, environment={"NOTIFY_SOCKET": name})
                self.assertEqual(supervisor.recv(1000), b"READY=1")
                self.assertEqual(process.terminate(), 0)
                self.assertEqual(supervisor.recv(1000), b"STOPPING=1")

    def test_one_that_cannot_be_told_is_said_to_be_so(self):
        path = self.write_settings(self.settings(static=["127.0.0.1:1"]))
        for name in (f"{os.path.dirname(path)}/nowhere", "/" + "x" * 200):
            process = self.start("srsd-proxy", "--config", path, environment={"NOTIFY_SOCKET": name})
            process.wait_for_error('level=warning event="supervisor not told" .* state="?READY=1')
            self.assertEqual(process.terminate(), 0)


class AddressTest(ProxyTest):
    def test_standard_descriptors_that_are_closed_are_nobody_elses(self):
        backend = self.start_backend()
        address = f"127.0.0.1:{product.free_port()}"
        settings = self.settings(static=[backend.name], listeners=[{"address": address}])
        process = self.start_program("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', product.binary("srsd-proxy"), "-c",
                                     self.write_settings(settings))
        product.wait_until(lambda: SignalTest.is_listening(int(address.rpartition(":")[2])), "it listens")
        for number in (0, 1, 2):
            self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{number}"), "/dev/null")
        self.assertEqual(process.terminate(), 0)

    def test_a_listener_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for setting in (f"listeners.0.address={address}", f"admin.address={address}"):
                process = self.launch(self.settings(static=["127.0.0.1:1"]), "--set", setting)
                self.assertEqual(process.wait_for_exit(), 75, setting)
                self.assertTrue(any(address in line and "taken" in line for line in process.errors), process.report())

    def test_a_listener_of_another_proxy_is_taken_unless_both_share_it(self):
        address = f"127.0.0.1:{product.free_port()}"
        first = self.start_proxy(static=["127.0.0.1:1"], listeners=[{"address": address}])
        process = self.launch(self.settings(static=["127.0.0.1:1"], listeners=[{"address": address}]))
        self.assertEqual(process.wait_for_exit(), 75)
        first.process.terminate()
        # A second proxy takes over from the first: no connection is refused while both change places.
        backend = self.start_backend()
        shared = self.settings(static=[backend.name], listeners=[{"address": address, "shared": True}])
        first = self.start_proxy(settings=shared)
        self.ask_many(first, 5)
        statuses, is_over = [], threading.Event()

        def ask_all_the_time():
            while not is_over.is_set():
                statuses.append(ask(int(address.rpartition(":")[2])).status)

        clients = [threading.Thread(target=ask_all_the_time) for _ in range(4)]
        for client in clients:
            client.start()
        begun = time.monotonic()
        second = self.start_proxy(settings=shared)
        product.wait_until(lambda: second.admin("/ready").status == 200, "it knows its backends")
        took_seconds = time.monotonic() - begun
        is_over.set()
        for client in clients:
            client.join()
        # Who comes to the second one before it knows its backends waits, for a second. A machine that took as long for all
        # of this says nothing.
        if took_seconds < 0.9:
            self.assertEqual(set(statuses), {200})
        self.assertEqual(first.process.terminate(), 0)
        self.ask_many(second, 5)

    def test_an_address_of_another_machine(self):
        process = self.launch(self.settings(static=["127.0.0.1:1"], listeners=[{"address": "192.0.2.1:8080"}]))
        self.assertEqual(process.wait_for_exit(), 77)
        self.assertTrue(any("192.0.2.1:8080" in line for line in process.errors))

    def test_several_listeners(self):
        backend = self.start_backend()
        listeners = [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0"}]
        proxy = self.start_proxy(static=[backend.name], listeners=listeners)
        self.assertEqual(len(proxy.ports), 2)
        for port in proxy.ports:
            self.assertEqual(ask(port).status, 200)

    def test_an_ipv6_listener(self):
        backend = self.start_backend()
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError as error:
            self.skipTest(f"this machine has no ::1: {error}")
        proxy = self.start_proxy(static=[backend.name], listeners=[{"address": "[::1]:0"}])
        self.assertEqual(proxy.ask(host="::1").status, 200)


class SignalTest(ProxyTest):
    def start_with_request(self, **changes):
        """A proxy with one request in flight. Returns it, the backend that holds the answer, the client's thread and
        the list that its answer (or what went wrong) will stand in."""
        backend = self.start_backend()
        backend.hold = threading.Event()
        self.addCleanup(backend.hold.set)
        proxy = self.start_proxy(static=[backend.name], **changes)
        answers = []

        def client():
            try:
                answers.append(proxy.ask("/slow"))
            except OSError as error:
                answers.append(error)

        thread = threading.Thread(target=client)
        thread.start()
        product.wait_until(lambda: backend.paths, "the request is at the backend")
        return proxy, backend, thread, answers

    @staticmethod
    def is_listening(port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=product.DEADLINE_SECONDS).close()
            return True
        except ConnectionResetError:
            return True  # it was in the queue when the listener closed: only a refusal tells that nobody listens
        except ConnectionRefusedError:
            return False

    def test_sigterm_lets_requests_finish(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            proxy, backend, thread, answers = self.start_with_request(drain_timeout="5m")
            proxy.process.signal(number)
            product.wait_until(lambda: not self.is_listening(proxy.port), "the listeners are closed")
            ready = proxy.admin("/ready")
            self.assertEqual(ready.status, 503)
            self.assertIn("draining", ready.text)
            self.assertTrue(proxy.process.is_running())
            self.assertEqual(answers, [])
            backend.hold.set()
            thread.join(product.DEADLINE_SECONDS)
            self.assertEqual((answers[0].status, answers[0].headers["Connection"]), (200, "close"))
            self.assertEqual(proxy.process.wait_for_exit(), 0)

    def test_sigterm_closes_idle_connections(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name], drain_timeout="5m")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=product.DEADLINE_SECONDS) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200"))
            proxy.process.signal(signal.SIGTERM)
            while client.recv(65536):
                pass
        self.assertEqual(proxy.process.wait_for_exit(), 0)

    def test_a_second_signal_ends_it_at_once(self):
        proxy, _, thread, answers = self.start_with_request(drain_timeout="5m")
        proxy.process.signal(signal.SIGTERM)
        proxy.process.wait_for_error("draining")
        proxy.process.signal(signal.SIGINT)
        self.assertEqual(proxy.process.wait_for_exit(), 1)
        thread.join(product.DEADLINE_SECONDS)
        self.assertIsInstance(answers[0], OSError)
        self.assertTrue(any("a second signal" in line for line in proxy.process.errors))

    def test_drain_timeout(self):
        proxy, _, thread, answers = self.start_with_request(drain_timeout="500ms")
        started = time.monotonic()
        proxy.process.signal(signal.SIGTERM)
        self.assertEqual(proxy.process.wait_for_exit(), 1)
        self.assertGreaterEqual(time.monotonic() - started, 0.45)
        thread.join(product.DEADLINE_SECONDS)
        self.assertIsInstance(answers[0], OSError)
        self.assertTrue(any("drain_timeout" in line for line in proxy.process.errors))

    def test_signals_that_were_blocked_end_it(self):
        """As whoever starts it may have left them."""
        settings = self.settings(static=["127.0.0.1:1"])
        process = self.start_program("env", "--block-signal", product.binary("srsd-proxy"), "--config",
                                     self.write_settings(settings))
        process.wait_for_error(r'event"?[=:]"?serving')
        self.assertEqual(process.terminate(), 0)

    def test_sighup_changes_nothing(self):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name])
        proxy.process.signal(signal.SIGHUP)
        proxy.process.wait_for_error("SIGHUP|hangup|restart")
        self.ask_many(proxy, 5)
        self.assertEqual(proxy.process.terminate(), 0)


class LogTest(ProxyTest):
    KEY_VALUE = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^" ]+)(?: |$)')

    def run_and_stop(self, log_format):
        backend = self.start_backend()
        proxy = self.start_proxy(static=[backend.name], log={"format": log_format, "level": "debug"})
        self.ask_many(proxy, 3)
        self.assertEqual(proxy.ask("/%22quoted%22?a=b").status, 200)
        self.assertEqual(proxy.process.terminate(), 0)
        self.assertGreater(len(proxy.process.errors), 4)
        return proxy.process.errors

    def check(self, fields):
        self.assertEqual(list(fields)[:3], ["time", "level", "event"])
        self.assertRegex(fields["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertIn(fields["level"], ("error", "warning", "info", "debug"))
        self.assertTrue(fields["event"])

    def test_key_value_lines(self):
        events = []
        for line in self.run_and_stop("key_value"):
            self.assertEqual("".join(match[0] for match in self.KEY_VALUE.finditer(line)), line)
            fields = {match[1]: json.loads(match[2]) if match[2].startswith('"') else match[2]
                      for match in self.KEY_VALUE.finditer(line)}
            self.check(fields)
            events.append(fields["event"])
        for event in ("listening", "backend added", "serving", "draining", "ended"):
            self.assertIn(event, events)

    def test_json_lines(self):
        events = []
        for line in self.run_and_stop("json"):
            fields = json.loads(line)
            self.check(fields)
            events.append(fields["event"])
        for event in ("listening", "backend added", "serving", "draining", "ended"):
            self.assertIn(event, events)

    def test_the_level_is_obeyed(self):
        backend = self.start_backend()
        port = product.free_port()
        process = self.launch(self.settings(static=[backend.name], log={"level": "error"},
                                            listeners=[{"address": f"127.0.0.1:{port}"}]))
        product.wait_until(lambda: SignalTest.is_listening(port), "it listens")
        self.assertEqual(ask(port).status, 200)
        self.assertEqual(process.terminate(), 0)
        self.assertEqual(process.errors, [])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""The example service and client: what they answer, what they register, how they end."""

import datetime
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

import product

LABEL = "tornado_app"
LABEL_PATH = f"{product.REGISTRY}/{LABEL}"


def ask(address, method="GET", path="/info", connection=None):
    """One request. Returns the response, with its body in `.text`."""
    own = connection or http.client.HTTPConnection(address, timeout=product.DEADLINE_SECONDS)
    own.request(method, path)
    answer = own.getresponse()
    answer.text = answer.read()
    if connection is None:
        own.close()
    return answer


class ExamplesTest(product.SystemTest):
    @classmethod
    def setUpClass(cls):
        cls.zookeeper = product.ZooKeeper().start()
        cls.addClassCleanup(cls.zookeeper.close)

    def setUp(self):
        self.kazoo = self.connect(self.zookeeper)
        self.kazoo.ensure_path(LABEL_PATH)
        for name in self.kazoo.get_children(LABEL_PATH):
            self.kazoo.delete(f"{LABEL_PATH}/{name}")

    def start_service(self, *options, zookeeper=None, **keywords):
        """A service that listens; its address is in `.address`."""
        for _ in range(20):
            service = self.start("service", "--zookeeper", (zookeeper or self.zookeeper).servers,
                                 "--port", str(product.free_port()), *options, **keywords)
            product.wait_until(lambda: service.output or not service.is_running(), "the service listens")
            if service.output:
                service.address = service.output[0].removeprefix("listening on ")
                return service
        self.fail("no port for a service")

    def wait_for_nodes(self, *addresses):
        product.wait_until(lambda: sorted(self.kazoo.get_children(LABEL_PATH)) == sorted(addresses),
                           f"{LABEL_PATH} holds {addresses}")

    @staticmethod
    def count_sockets(process):
        folder = f"/proc/{process.pid}/fd"
        return sum(os.readlink(f"{folder}/{entry}").startswith("socket:") for entry in os.listdir(folder))

    def run_client(self, *options):
        return subprocess.run([product.binary("client"), "--zookeeper", self.zookeeper.servers, *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=product.DEADLINE_SECONDS)


class ServiceTest(ExamplesTest):
    def test_info_tells_of_this_machine(self):
        service = self.start_service(environment={"TZ": "IST-5:30"})
        answer = ask(service.address)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["X-Served-By"], service.address)
        info = json.loads(answer.text)
        self.assertEqual(set(info), {"cpu_info", "system_info", "localtime"})
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            processors = [line for line in lines if line.startswith("processor")]
        self.assertEqual(info["cpu_info"]["count"], len(processors))
        self.assertTrue(info["cpu_info"]["model"])
        names = os.uname()
        self.assertEqual([info["system_info"][key] for key in ("system", "host", "release", "version", "machine")],
                         list(names))
        self.assertEqual(len(info["system_info"]["load"]), 3)
        told = datetime.datetime.fromisoformat(info["localtime"])
        self.assertEqual(told.utcoffset(), datetime.timedelta(hours=5, minutes=30))
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - told), datetime.timedelta(seconds=60))

    def test_localtime_west_of_greenwich(self):
        service = self.start_service(environment={"TZ": "NST3:30"})
        self.assertRegex(json.loads(ask(service.address).text)["localtime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-03:30$")

    def test_other_paths_and_methods(self):
        service = self.start_service()
        self.assertEqual(ask(service.address, path="/").status, 404)
        self.assertEqual(ask(service.address, path="/info/more").status, 404)
        self.assertEqual(ask(service.address, path="/info?a=b").status, 200)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = ask(service.address, method)
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), method)
            self.assertEqual(answer.headers["X-Served-By"], service.address)

    def test_head_has_fields_and_no_body(self):
        service = self.start_service()
        connection = http.client.HTTPConnection(service.address, timeout=product.DEADLINE_SECONDS)
        self.addCleanup(connection.close)
        answer = ask(service.address, "HEAD", connection=connection)
        self.assertEqual(answer.status, 200)
        self.assertGreater(int(answer.headers["Content-Length"]), 100)
        # Were there a body, it would stand where the next answer is expected.
        self.assertEqual(json.loads(ask(service.address, connection=connection).text).keys(),
                         {"cpu_info", "system_info", "localtime"})

    def test_its_node_is_as_the_registry_wants_it(self):
        service = self.start_service()
        self.wait_for_nodes(service.address)
        data, stat = self.kazoo.get(f"{LABEL_PATH}/{service.address}")
        self.assertEqual(data, b"")
        self.assertNotEqual(stat.ephemeralOwner, 0)

    def test_another_label_and_a_port_from_the_kernel(self):
        service = self.start("service", "--zookeeper", self.zookeeper.servers, "--label", "other", "--port", "0")
        service.wait_for_output("listening on")
        address = service.output[0].removeprefix("listening on ")
        self.assertNotEqual(address, "127.0.0.1:0")
        product.wait_until(lambda: self.kazoo.exists(f"{product.REGISTRY}/other/{address}"), "its node is there")
        self.assertEqual(ask(address).headers["X-Served-By"], address)

    def test_ipv6(self):
        service = self.start_service("--address", "::1")
        self.assertRegex(service.address, r"^\[::1\]:\d+$")
        self.wait_for_nodes(service.address)
        self.assertEqual(ask(service.address).headers["X-Served-By"], service.address)

    def test_sigterm_deregisters_then_finishes_requests(self):
        service = self.start_service("--delay-ms", "3000")
        self.wait_for_nodes(service.address)
        sockets, answers = self.count_sockets(service), []
        asking = threading.Thread(target=lambda: answers.append((ask(service.address), time.monotonic())))
        asking.start()
        product.wait_until(lambda: self.count_sockets(service) > sockets, "the request is on its way")
        time.sleep(0.2)
        service.signal(signal.SIGTERM)
        self.wait_for_nodes()
        gone_at = time.monotonic()
        late = ask(service.address)  # by somebody whose list is a moment old
        asking.join()
        self.assertEqual(service.wait_for_exit(), 0)
        self.assertEqual((answers[0][0].status, late.status), (200, 200))
        self.assertEqual(late.headers["Connection"], "close")
        self.assertGreater(answers[0][1], gone_at, "the node went only after the request")
        with self.assertRaises(ConnectionRefusedError):
            ask(service.address)

    def test_a_second_signal_ends_it_at_once(self):
        service = self.start_service("--delay-ms", "50000")
        self.wait_for_nodes(service.address)
        sockets = self.count_sockets(service)
        with socket.create_connection(("127.0.0.1", int(service.address.split(":")[1]))) as connection:
            connection.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
            product.wait_until(lambda: self.count_sockets(service) > sockets, "the request is on its way")
            time.sleep(0.2)
            service.signal(signal.SIGTERM)
            service.wait_for_error("requests to finish: 1")
            service.signal(signal.SIGINT)
            self.assertEqual(service.wait_for_exit(), 1)

    def test_a_client_that_gives_up_before_a_delayed_answer(self):
        service = self.start_service("--delay-ms", "300")
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", int(service.address.split(":")[1]))) as connection:
                connection.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(ask(service.address).status, 200)
        self.assertEqual(service.terminate(), 0)

    def test_it_ends_without_zookeeper(self):
        zookeeper = self.start_zookeeper()
        service = self.start_service(zookeeper=zookeeper)
        kazoo = self.connect(zookeeper)
        product.wait_until(lambda: kazoo.exists(f"{LABEL_PATH}/{service.address}"), "its node is there")
        zookeeper.stop()
        self.assertEqual(ask(service.address).status, 200)
        self.assertEqual(service.terminate(), 0)

    def test_it_is_there_again_after_its_session_expired(self):
        service = self.start_service()
        self.wait_for_nodes(service.address)
        owner = self.kazoo.get(f"{LABEL_PATH}/{service.address}")[1].ephemeralOwner
        self.zookeeper.expire(owner)

        def is_there_again():
            stat = self.kazoo.exists(f"{LABEL_PATH}/{service.address}")
            return stat is not None and stat.ephemeralOwner != owner

        product.wait_until(is_there_again, "registered under a new session")
        self.assertEqual(service.terminate(), 0)

    def test_a_wrong_command_line(self):
        for options in (["--address", "0.0.0.0"], ["--address", "::"], ["--address", "somewhere"], ["--port", "65536"],
                        ["--port", "80x"], ["--port", "-1"], ["--delay-ms", ""], ["--session-timeout", "10"],
                        ["--session-timeout", "5000000s"], ["--what"], ["extra"]):
            service = self.start("service", *options)
            self.assertEqual(service.wait_for_exit(), 64, options)
            self.assertTrue(service.errors, options)

    def test_what_it_cannot_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            service = self.start("service", "--zookeeper", self.zookeeper.servers, "--port", str(port))
            self.assertEqual(service.wait_for_exit(), 71)
            self.assertIn(f"127.0.0.1:{port}: cannot listen: Address already in use", service.errors[-1])
        for options, word in ((["--label", "a/b"], "label"), (["--zookeeper", "nowhere"], "nowhere"),
                              (["--registry", "relative"], "relative")):
            service = self.start("service", *options)
            self.assertEqual(service.wait_for_exit(), 71, options)
            self.assertIn(word, service.errors[-1])


class AnyServiceTest(ExamplesTest):
    def test_it_comes_and_goes(self):
        port = product.free_port()
        address = f"127.0.0.1:{port}"
        process = self.start_program(
            str(product.PROJECT / "examples/register-any-service"), str(port), environment={
                "SRSD_ZOOKEEPER": self.zookeeper.servers,
                "PATH": f"{os.path.dirname(product.binary('srsd'))}:{os.environ['PATH']}"})
        process.wait_for_error(f"^srsd: held {product.REGISTRY}/files/{address}$")
        self.assertEqual(ask(address, path="/").status, 200)
        self.assertEqual(process.terminate(), 143, process.report())
        self.assertEqual(self.kazoo.get_children(f"{product.REGISTRY}/files"), [])


class ClientTest(ExamplesTest):
    def test_it_asks_a_registered_service(self):
        service = self.start_service()
        self.wait_for_nodes(service.address)
        done = self.run_client()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        url, body = done.stdout.splitlines()
        self.assertEqual(url, f"http://{service.address}/info")
        self.assertEqual(set(json.loads(body)), {"cpu_info", "system_info", "localtime"})

    def test_it_picks_at_random(self):
        services = [self.start_service() for _ in range(3)]
        self.wait_for_nodes(*(service.address for service in services))
        # Of three backends, 60 fair picks miss one with a probability below 1e-10.
        asked = {self.run_client().stdout.splitlines()[0] for _ in range(60)}
        self.assertEqual(asked, {f"http://{service.address}/info" for service in services})

    def test_it_goes_on_when_one_is_dead(self):
        service = self.start_service()
        self.wait_for_nodes(service.address)
        dead = f"127.0.0.1:{product.free_port()}"
        self.kazoo.create(f"{LABEL_PATH}/{dead}", b"", ephemeral=True)
        went_on = 0
        for _ in range(40):  # half of them begin with the dead one
            done = self.run_client()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(done.stdout.startswith(f"http://{service.address}/info\n"))
            went_on += f"no answer from http://{dead}/info" in done.stderr
        self.assertGreater(went_on, 0)

    def test_nothing_is_registered(self):
        done = self.run_client()
        self.assertEqual(done.returncode, 69)
        self.assertIn(f"nothing is registered below {LABEL_PATH}", done.stderr)

    def test_nothing_that_is_registered_answers(self):
        self.kazoo.create(f"{LABEL_PATH}/127.0.0.1:{product.free_port()}", b"", ephemeral=True)
        done = self.run_client()
        self.assertEqual(done.returncode, 69)
        self.assertIn("none of 1 registered services answered", done.stderr)

    def test_a_service_that_fails(self):
        class Failing(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_error(500)

            def log_message(self, *arguments):
                pass

        with http.server.HTTPServer(("127.0.0.1", product.free_port()), Failing) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"127.0.0.1:{server.server_port}"
            self.kazoo.create(f"{LABEL_PATH}/{address}", b"", ephemeral=True)
            done = self.run_client()
            server.shutdown()
        self.assertEqual(done.returncode, 76)
        self.assertIn(f"http://{address}/info answered with status 500", done.stderr)

    def test_no_zookeeper(self):
        done = self.run_client("--zookeeper", f"127.0.0.1:{product.free_port()}")
        self.assertEqual(done.returncode, 75)
        self.assertIn(f"cannot discover {LABEL}", done.stderr)

    def test_a_wrong_command_line(self):
        for options in (["--what"], ["extra"], ["--label", "a/b"], ["--zookeeper", "nowhere"], ["--registry", "x"]):
            done = self.run_client(*options)
            self.assertEqual(done.returncode, 64, options)
            self.assertTrue(done.stderr)


if __name__ == "__main__":
    unittest.main()

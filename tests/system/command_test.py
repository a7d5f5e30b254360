#!/usr/bin/python3
"""What the srsd command says to its user: help, version, and what is wrong with a command line. Needs no ZooKeeper."""

import re
import unittest

import product

COMMANDS = ("register", "discover", "watch", "check", "labels")


class CommandTest(product.SystemTest):
    def srsd(self, *arguments, environment=None):
        process = self.start("srsd", *arguments, environment=environment)
        process.status = process.wait_for_exit()
        return process

    def refuse(self, *arguments, saying, environment=None):
        """The command line is wrong: exit status 64, and one line that says why."""
        with self.subTest(arguments=arguments, environment=environment):
            process = self.srsd(*arguments, environment=environment)
            self.assertEqual(process.status, 64, process.report())
            self.assertEqual(process.output, [])
            self.assertEqual(len(process.errors), 1, process.report())
            self.assertRegex(process.errors[0], "^srsd: .*" + saying)

    def test_help(self):
        process = self.srsd("--help")
        self.assertEqual((process.status, process.errors), (0, []))
        text = "\n".join(process.output)
        for word in ("register LABEL ADDRESS", "discover LABEL", "watch LABEL", "check LABEL", "--zookeeper SERVERS", "Exit status:",
                     "SRSD_ZOOKEEPER", "srsd register tornado_app 192.0.2.1:8888"):
            self.assertIn(word, text)
        self.assertLessEqual(max(map(len, process.output)), 80, "lines fit a terminal")
        self.assertEqual(self.srsd("-h").output, process.output)
        self.assertEqual(self.srsd("help").output, process.output)

    def test_help_of_each_command(self):
        for command in COMMANDS:
            process = self.srsd(command, "--help")
            self.assertEqual((process.status, process.errors), (0, []))
            self.assertRegex(process.output[0], f"^usage: srsd {command}" + ("" if command == "labels" else " LABEL"))
            self.assertIn("Examples:", process.output)
            self.assertLessEqual(max(len(line) for line in process.output if "{" not in line), 80)
            self.assertEqual(self.srsd("--help", command).output, process.output)
            self.assertEqual(self.srsd("help", command).output, process.output)
        self.assertTrue(any("--one" in line for line in self.srsd("discover", "--help").output))
        self.assertFalse(any("--one" in line for line in self.srsd("watch", "--help").output))

    def test_help_does_not_mind_a_wrong_environment(self):
        self.assertEqual(self.srsd("--help", environment={"SRSD_ZOOKEEPER": "nonsense"}).status, 0)

    def test_manual_page_is_complete(self):
        page = (product.PROJECT / "docs/srsd.1").read_text()
        text = "\n".join(line for command in COMMANDS
                         for line in self.srsd(command, "--help").output)
        options = set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.M))
        self.assertGreaterEqual(len(options), 9)
        for option in options:
            self.assertRegex(page, rf"(?m)^\.It .*Fl -{option}\b", "an option is missing in docs/srsd.1")
        documented = set(re.findall(r"(?m)^\.It -?([a-z-]+|\d+)$", page))
        statuses = set(re.findall(r"^ +(\d+)  ", text, re.M))
        self.assertGreaterEqual(len(statuses), 7)
        self.assertEqual(statuses, {item for item in documented if item.isdigit()})

    def test_version(self):
        process = self.srsd("--version")
        self.assertEqual((process.status, process.errors), (0, []))
        self.assertRegex(process.output[0], r"^srsd \d+\.\d+\.\d+ \(ZooKeeper client \d+\.\d+\.\d+, libevent 2\.")
        self.assertEqual(self.srsd("-V").output, process.output)

    def test_commands(self):
        self.refuse(saying='a command is missing; "srsd --help"')
        self.refuse("regsiter", saying='unknown command "regsiter", did you mean "register"')
        self.refuse("xyzzy", saying='unknown command "xyzzy"; "srsd --help"')
        self.refuse("", saying='unknown command ""')
        self.refuse("register", saying='too few words; write "srsd register LABEL ADDRESS"')
        self.refuse("register", "shop", saying='too few words')
        self.refuse("register", "shop", "192.0.2.1:80", "more", saying='"more" is one word too many')
        self.refuse("discover", saying='write "srsd discover LABEL"')
        self.refuse("labels", "shop", saying='"shop" is one word too many; write "srsd labels"')
        self.refuse("watch", "shop", "--", "--json", saying='"--json" is one word too many')

    def test_options(self):
        self.refuse("watch", "shop", "--zookeper", "h:1", saying="unknown option --zookeper, did you mean --zookeeper")
        self.refuse("watch", "shop", "--sesion-timeout=5s", saying="did you mean --session-timeout")
        self.refuse("watch", "shop", "--frobnicate", saying='unknown option --frobnicate; "srsd --help"')
        self.refuse("watch", "shop", "--json", "-xv", saying="unknown option -x;")
        self.refuse("watch", "shop", "--json", "-vx", saying="unknown option -x;")
        self.refuse("watch", "shop", "-x", saying='unknown option -x; "srsd --help"')
        self.refuse("watch", "shop", "--zookeeper", saying="--zookeeper needs a value: --zookeeper SERVERS")
        self.refuse("watch", "shop", "--json=yes", saying="--json takes no value")
        self.refuse("watch", "shop", "--one", saying='--one does not go with watch; see "srsd watch --help"')
        self.refuse("--timeout", "5s", "register", "shop", "192.0.2.1:80", saying="--timeout does not go with register")

    def test_durations(self):
        for value, why in (("5", "has no unit"), ("", "does not start with a number"), ("5 s", "has an unknown unit"),
                           ("-5s", "does not start with a number"), ("0s", "is out of bounds"),
                           ("2h", "is out of bounds"), ("99999999999s", "is too long")):
            self.refuse("discover", "shop", "--timeout", value, saying=f"--timeout: .*{why}")
        for value in ("999ms", "11m"):
            self.refuse("watch", "shop", "--session-timeout", value, saying="--session-timeout: .* is out of bounds")

    def test_numbers(self):
        for value in ("", "0", "-1", "+1", "1.5", "x", "3x", " 3", "100001", "99999999999999999999999"):
            self.refuse("discover", "shop", "--wait", value, saying="--wait: .* write a number of 1 to 100000")

    def test_options_that_need_company(self):
        self.refuse("watch", "shop", "--port-name", "admin", saying="--port-name goes with --format serverset only")
        self.refuse("discover", "shop", "--port-name", "admin", "--format", "json", saying="--port-name goes with")
        self.refuse("discover", "shop", "--format", "xml", saying='--format: "xml" is unknown; write one of name')
        self.refuse("check", "shop", "--ignore", "forein", saying='unknown finding "forein", did you mean foreign')

    def test_labels(self):
        for command in set(COMMANDS) - {"labels"}:
            address = ["192.0.2.1:80"] if command == "register" else []
            for label in ("", "a/b", "/", ".", "..", "a\nb", "x" * 256):
                self.refuse(command, label, *address, saying="label \".*\": ")

    def test_addresses(self):
        for address in ("", "192.0.2.1", "192.0.2.1:", ":80", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:080",
                        "192.0.2.1:80 ", "192.0.2.1:+80", "192.0.2.256:80", "192.0.2:80", "192.0.02.1:80",
                        "2001:db8::1:80", "[2001:db8::1]", "[192.0.2.1]:80", "[fe80::1%eth0]:80", "a..b:80",
                        "a b:80", "a/b:80", "auto", "auto:", "auto:0", "auto:65536", "auto:080"):
            self.refuse("register", "shop", address, saying="address \".*\": .*; write HOST:PORT")

    def test_servers(self):
        for servers in ("", "nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", ":2181",
                        "127.0.0.1:2181,", ",127.0.0.1:2181", "127.0.0.1:2181,,127.0.0.1:2182",
                        "127.0.0.1:2181/a//b", "127.0.0.1:2181 127.0.0.2:2181"):
            self.refuse("watch", "shop", "--zookeeper", servers, saying="--zookeeper: .")
        self.refuse("watch", "shop", environment={"SRSD_ZOOKEEPER": "nonsense"}, saying="SRSD_ZOOKEEPER: .")

    def test_registry_paths(self):
        for registry in ("", "relative", "/trailing/", "//", "/a//b", "/a/../b"):
            self.refuse("watch", "shop", "--registry", registry, saying="--registry: .")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            process = self.start("srsd", "--help", stdout=full)
            self.assertEqual(process.wait_for_exit(), 74, process.report())
        self.assertRegex(process.errors[0], "^srsd: cannot write to standard output: No space left")

    def test_standard_output_closed_from_the_start(self):
        process = self.start_program("sh", "-c", 'exec "$0" --version >&-', product.binary("srsd"))
        self.assertEqual(process.wait_for_exit(), 74, process.report())
        self.assertRegex(process.errors[0], "^srsd: cannot write to standard output: Bad file descriptor")


if __name__ == "__main__":
    unittest.main()

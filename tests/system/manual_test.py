#!/usr/bin/python3
"""The manual pages: nothing is missing in them, their form is clean, the programs of srsd(3) compile and run; and what
is installed."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

import product

DOCS = product.PROJECT / "docs"
HEADER = (product.PROJECT / "srsd/srsd.h").read_text()
BUILD = os.environ.get("SRSD_BUILD", "")
SANITIZE = os.environ.get("SRSD_SANITIZE", "")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


class PageTest(unittest.TestCase):
    def test_every_call_of_the_library_is_in_its_manual(self):
        calls = set(re.findall(r"^SRSD_API[^;(]*?(\w+)\(", without_comments(HEADER), flags=re.MULTILINE))
        self.assertGreater(len(calls), 50)
        documented = set(re.findall(r"^\.(?:It )?Fn (\w+)", (DOCS / "srsd.3").read_text(), flags=re.MULTILINE))
        self.assertEqual(calls - documented, set(), "calls that docs/srsd.3 does not have")
        self.assertEqual(documented - calls, set(), "calls that docs/srsd.3 has and srsd.h does not")

    def test_arguments_are_those_of_the_header(self):
        declared = {name: [re.search(r"(\w+)(?:\[\w*\])?$", argument.strip())[1] for argument in arguments.split(",")]
                    for name, arguments in re.findall(r"^SRSD_API[^;(]*?(\w+)\(([^;]*)\);", without_comments(HEADER),
                                                      flags=re.MULTILINE)}
        for name, arguments in re.findall(r"^\.It Fn (\w+) ([\w ]+)$", (DOCS / "srsd.3").read_text(), flags=re.MULTILINE):
            self.assertEqual(arguments.split(), declared[name], name)

    def test_every_field_and_status_is_in_it(self):
        page = (DOCS / "srsd.3").read_text()
        for struct in ("srsd_config", "srsd_read_options", "srsd_register_options"):
            body = re.search(rf"^struct {struct} {{(.*?)^}};", without_comments(HEADER), re.DOTALL | re.MULTILINE)[1]
            fields = re.findall(r"(\w+);", body)
            self.assertGreaterEqual(len(fields), 3)
            for field in fields:
                self.assertRegex(page, rf"(?m)^\.It Fa {field}$", f"{struct}.{field} is missing in docs/srsd.3")
        for status in re.findall(r"\bSRSD_\w+", re.search(r"^enum srsd_status {(.*?)^};", without_comments(HEADER),
                                                           re.DOTALL | re.MULTILINE)[1]):
            self.assertRegex(page, rf"(?m)^\.It Dv {status}$", "a status is missing in docs/srsd.3")

    def test_every_finding_is_in_its_manual(self):
        table = (product.PROJECT / "srsd/command/doctor/diagnosis.h").read_text()
        words = re.findall(r'X\(\w+, "([a-z-]+)"', table)
        self.assertGreaterEqual(len(words), 10)
        for page in ("srsd.1", "operations.md"):
            text = (DOCS / page).read_text()
            for word in words:
                self.assertRegex(text, rf"(?m)^\.It Cm {word}$|^\|.*`{word}`", f"{word} is missing in docs/{page}")

    def test_the_help_of_the_proxy_has_what_its_manual_has(self):
        """Options, signals and exit codes: the same in --help, in srsd-proxy(8) and in docs/operations.md."""
        text = subprocess.run([product.binary("srsd-proxy"), "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
        page = (DOCS / "srsd-proxy.8").read_text()
        self.assertEqual(set(re.findall(r"(?m)^  +(?:-\w, )?--([a-z]+)", text)),
                         set(re.findall(r"(?m)^\.It Fl (?:\w , )?-([a-z]+)", page)))
        codes = re.findall(r"EXIT_CODE_\w+ = (\d+)", (product.PROJECT / "proxy/exit_code.h").read_text())
        self.assertGreaterEqual(len(codes), 8)
        operations = (DOCS / "operations.md").read_text()
        for code in codes:
            self.assertRegex(text, rf"[;:]\s{code} ", "an exit code is missing in --help")
            self.assertRegex(page, rf"(?m)^\.It {code}$", "an exit code is missing in docs/srsd-proxy.8")
            self.assertRegex(operations, rf"(?m)^\| {code} \|", "an exit code is missing in docs/operations.md")
        for number in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"):
            for where in (text, page, operations):
                self.assertIn(number, where)

    def test_form(self):
        """Neither groff nor its mdoc macros have a word to say."""
        for page in ("srsd.1", "srsd.3", "srsd-proxy.8"):
            done = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", "-z", DOCS / page], stderr=subprocess.PIPE, text=True,
                                  timeout=product.DEADLINE_SECONDS, check=True)
            self.assertEqual(done.stderr, "", page)


class InstalledTest(unittest.TestCase):
    def test_what_is_installed_finds_itself(self):
        folder = tempfile.mkdtemp(prefix="srsd_installed.")
        self.addCleanup(shutil.rmtree, folder)
        ExamplesTest.run_tool("cmake", "--install", BUILD, "--prefix", folder)
        for name in ("sbin/srsd-proxy", "bin/srsd", "etc/srsd-proxy/srsd-proxy.yaml", "share/man/man8/srsd-proxy.8",
                     "share/man/man1/srsd.1", "share/bash-completion/completions/srsd-proxy",
                     "share/bash-completion/completions/srsd", "share/doc/srsd-proxy/examples/srsd-proxy.logrotate"):
            self.assertTrue(os.path.isfile(f"{folder}/{name}"), name)
        # The paths in the units are those that the programs were built for.
        help_text = ExamplesTest.run_tool(f"{folder}/sbin/srsd-proxy", "--help")
        config = re.search(r"\(default (\S+)\)", help_text)[1]
        with open(f"{folder}/lib/systemd/system/srsd-proxy.service", encoding="utf-8") as unit:
            start = re.search(r"(?m)^ExecStart=(\S+)/sbin/srsd-proxy --config (\S+)$", unit.read())
        self.assertEqual(start[2], config)
        with open(f"{folder}/lib/systemd/system/srsd-register@.service", encoding="utf-8") as unit:
            self.assertIn(f"\nExecStart={start[1]}/bin/srsd register ", unit.read())


class ExamplesTest(product.ZooKeeperTest):
    """The programs of srsd(3), as a reader would build them: on the installed library."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="srsd_manual.")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.run_tool("cmake", "--install", BUILD, "--component", "libsrsd", "--prefix", f"{cls.folder}/prefix")
        package, = (os.path.join(base, name) for base, _, names in os.walk(cls.folder) for name in names
                    if name == "srsd.pc")
        cls.libraries = os.path.dirname(os.path.dirname(package))
        environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(package)}
        flags = cls.run_tool("pkg-config", "--cflags", "--libs", "srsd", "libevent_core", env=environment).split()
        sanitizers = [f"-fsanitize={SANITIZE}"] if SANITIZE else []
        page = (DOCS / "srsd.3").read_text()
        for number, text in enumerate(re.findall(r"^\.Bd -literal\n(.*?)^\.Ed$", page, re.DOTALL | re.MULTILINE)):
            source = f"{cls.folder}/{number}.c"
            with open(source, "w", encoding="utf-8") as file:
                file.write(text.replace(r"\e", "\\"))
            cls.run_tool(os.environ.get("CC", "cc"), "-std=c17", "-Wall", "-Wextra", "-Werror", *sanitizers, source,
                         "-o", f"{cls.folder}/{number}", *flags)

    @staticmethod
    def run_tool(*command, **options):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=4 * product.DEADLINE_SECONDS, check=False, **options)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}\n{done.stdout}")
        return done.stdout

    def start_example(self, number, *arguments):
        return self.start_program(f"{self.folder}/{number}", self.zookeeper.servers, self.label, *arguments,
                                  environment={"LD_LIBRARY_PATH": self.libraries})

    def test_evented(self):
        process = self.start_example(0, "192.0.2.1:80")
        seen = process.wait_for_output(r"^\+ 192\.0\.2\.1:80$")
        self.add("192.0.2.2:80")
        seen = process.wait_for_output(r"^\+ 192\.0\.2\.2:80$", after=seen)
        self.kazoo.delete(self.path("192.0.2.2:80"))
        process.wait_for_output(r"^- 192\.0\.2\.2:80$", after=seen)

    def test_evented_with_a_wrong_address(self):
        process = self.start_example(0, "nonsense")
        self.assertEqual(process.wait_for_exit(), 1, process.report())
        self.assertRegex(process.errors[-1], "the port is missing")

    def test_blocking(self):
        process = self.start_example(1)
        self.assertEqual(process.wait_for_exit(), 1, process.report())
        self.assertRegex(process.errors[-1], "nobody is registered")
        self.add("192.0.2.1:80")
        process = self.start_example(1)
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual(process.output, ["192.0.2.1 port 80"])


if __name__ == "__main__":
    unittest.main()

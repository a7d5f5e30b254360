#!/usr/bin/python3
"""What bash completes for srsd and srsd-proxy: all that the program's help names, labels of ZooKeeper, and nothing else."""

import os
import re
import shlex
import subprocess
import tempfile
import unittest

import product

SCRIPT = product.PROJECT / "packaging/completion/srsd"


class CompletionTest(product.SystemTest):
    def complete(self, *words, directory=None, program="srsd"):
        """What is offered for the last of the words behind the program."""
        words = [product.binary(program), *words]
        script = f"""
            source {shlex.quote(str(SCRIPT.with_name(program)))}
            COMP_LINE={shlex.quote(" ".join(words))}
            COMP_POINT=${{#COMP_LINE}}
            _{program.replace("-", "_")} {shlex.quote(words[0])}
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(["bash", "--norc", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=product.DEADLINE_SECONDS, check=False, cwd=directory)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def help_of(self, *words):
        process = self.start("srsd", *words, "--help")
        self.assertEqual(process.wait_for_exit(), 0)
        return process.output

    def options_of(self, *words):
        """{name: argument or ""}, by the help."""
        found = {}
        for line in self.help_of(*words):
            match = re.match(r" {2,6}(?:-\w, )?(--[a-z-]+)(?: (\S+))?(?: |$)", line)
            if match:
                found[match[1]] = match[2] or ""
        return found

    def test_the_proxy(self):
        def complete(*words, **options):
            return self.complete(*words, program="srsd-proxy", **options)

        self.assertEqual(complete("--"), ["--config", "--test", "--dump", "--set", "--version", "--help"])
        self.assertEqual(complete("-t", "--d"), ["--dump"])
        with tempfile.TemporaryDirectory() as directory:
            for name in ("proxy.yaml", "other"):
                open(os.path.join(directory, name), "w", encoding="utf-8").close()
            self.assertEqual(complete("-c", "pro", directory=directory), ["proxy.yaml"])
        shipped = str(product.PROJECT / "config/srsd-proxy.yaml")
        self.assertEqual(complete("-c", shipped, "--set", "zookeeper.s"),
                         [f"zookeeper.{key}=" for key in ("servers", "session_timeout", "state_dir", "state_wait")])
        self.assertEqual(complete("-c", shipped, "--set", "workers=2", "--set", "dr"), ["drain_timeout="])

    def test_commands(self):
        self.assertEqual(self.complete(""), ["register", "discover", "watch", "check", "labels", "help"])
        self.assertEqual(self.complete("dis"), ["discover"])
        self.assertEqual(self.complete("--json", "w"), ["watch"])
        self.assertEqual(self.complete("help", "c"), ["check"])
        self.assertEqual(self.complete("xyz"), [])

    def test_options_of_each_command(self):
        for command in self.complete("help", ""):
            options = self.options_of(command)
            self.assertGreaterEqual(len(options), 8, command)
            self.assertEqual(self.complete(command, "label", "--"), list(options))
            self.assertEqual(self.complete(command, "--json", "--zookeeper", "127.0.0.1:1", "--"), list(options))
            self.assertEqual(self.complete(command, "--zoo"), ["--zookeeper"])
        self.assertEqual(self.complete("--"), list(self.options_of()))
        self.assertNotIn("--one", self.complete("watch", "--"))

    def test_words_of_a_choice(self):
        choices = {option: argument.split("|") for command in ("register", "discover", "watch", "check")
                   for option, argument in self.options_of(command).items() if "|" in argument}
        self.assertIn("--format", choices)
        self.assertEqual(self.complete("discover", "--format", ""),
                         ["name", "json", "smartstack", "serverset", "curator"])
        self.assertEqual(self.complete("discover", "label", "--format", "s"), ["smartstack", "serverset"])
        self.assertEqual(self.complete("discover", "label", "--format="), choices["--format"])
        self.assertEqual(self.complete("discover", "label", "--format=c"), ["curator"])

    def test_findings(self):
        findings = self.complete("check", "label", "--ignore", "")
        self.assertGreaterEqual(len(findings), 10)
        self.assertEqual(self.complete("check", "--ignore", "for"), ["foreign"])
        self.assertEqual(self.complete("check", "--ignore", "foreign,per"), ["foreign,persistent"])
        process = self.start("srsd", "check", "label", "--ignore", ",".join(findings), "--help")
        self.assertEqual(process.wait_for_exit(), 0, process.report())

    def test_values_that_nobody_can_guess(self):
        for option in ("--zookeeper", "--timeout", "--registry"):
            self.assertEqual(self.complete("discover", option, ""), [])
        self.assertEqual(self.complete("discover", "label", ""), [])

    def test_files(self):
        if "--auth-file" not in self.options_of("discover"):
            self.skipTest("no option takes a file")
        self.assertEqual(self.complete("discover", "--auth-file", "CMakeL", directory=product.PROJECT),
                         ["CMakeLists.txt"])

    def test_the_program_that_is_run(self):
        self.assertIn("setpriv", self.complete("register", "label", "auto:80", "--", "setpri"))
        self.assertEqual(self.complete("register", "label", "auto:80", "--", "sh", "CMakeL", directory=product.PROJECT),
                         ["CMakeLists.txt"])
        self.assertEqual(self.complete("register", "label", "auto:80", "--", "sh", "--js"), [])

    def test_labels(self):
        zookeeper = self.start_zookeeper()
        kazoo = self.connect(zookeeper)
        for label in ("shop", "ship", "search", "a:80"):
            kazoo.ensure_path(f"{product.REGISTRY}/{label}")
        kazoo.ensure_path("/other/place")
        at = ("--zookeeper", zookeeper.servers)
        self.assertEqual(self.complete("watch", *at, ""), ["a:80", "search", "ship", "shop"])
        self.assertEqual(self.complete(*at, "discover", "--json", "--timeout", "5s", "sh"), ["ship", "shop"])
        self.assertEqual(self.complete("check", f"--zookeeper={zookeeper.servers}", "sea"), ["search"])
        self.assertEqual(self.complete("check", *at, "a:"), ["80"], "readline knows what stands before the colon")
        self.assertEqual(self.complete("check", *at, "--registry", "/other", ""), ["place"])
        self.assertEqual(self.complete("register", *at, "sho"), ["shop"])
        self.assertEqual(self.complete("register", *at, "shop", ""), [])
        self.assertEqual(self.complete("labels", *at, ""), [])
        self.assertEqual(self.complete("watch", "--zookeeper", f"127.0.0.1:{product.free_port()}", ""), [])

    def test_labels_are_anybodys_and_are_not_run(self):
        zookeeper = self.start_zookeeper()
        self.connect(zookeeper).ensure_path(f"{product.REGISTRY}/$(id>made)")
        with tempfile.TemporaryDirectory() as directory:
            at = ("--zookeeper", zookeeper.servers)
            self.assertEqual(self.complete("watch", *at, "", directory=directory), [r"\$\(id\>made\)"])
            self.assertEqual(self.complete("watch", *at, r"\$", directory=directory), [r"\$\(id\>made\)"])
            self.assertEqual(os.listdir(directory), [])

    def test_script_is_clean(self):
        subprocess.run(["shellcheck", "--severity=warning", SCRIPT], check=True, timeout=product.DEADLINE_SECONDS)


if __name__ == "__main__":
    unittest.main()

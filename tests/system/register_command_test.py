#!/usr/bin/python3
"""srsd register with a COMMAND: a service's life from its start to its end, on a real ZooKeeper."""

import json
import os
import re
import select
import signal
import time
import unittest

import product
import registering
from registering import MOODY, QUICK


def state_of(pid):
    """The letter that /proc has for a process, or None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_running(pid):
    return state_of(pid) not in (None, "Z", "X")


def children_of(pid):
    """The processes whose parent that is, with their states."""
    children = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if fields[1] == str(pid):
            children[int(entry)] = fields[0]
    return children


class ServiceTest(registering.RegisterTest):
    """A service that is run."""

    def wait_for_end(self, pid):
        product.wait_until(lambda: not is_running(pid), f"process {pid} ends")

    def test_from_start_to_end(self):
        process = self.register(*QUICK, "--", *self.moody("--ask", self.zookeeper.servers, self.path(self.address)))
        process.wait_for_error(f"^srsd: held {self.path(self.address)}$")
        self.assertTrue(self.is_there())
        times = {}
        self.kazoo.exists(self.path(self.address), watch=lambda _: times.setdefault("gone", time.monotonic()))
        self.assertEqual(process.terminate(), 0, process.report())
        self.assertRegex(process.output[-2], "^signal SIGTERM ")
        self.assertEqual(process.output[-1], "node is gone", "as the service sees it when it gets the signal")
        self.assertEqual([line.split()[0] for line in process.output], ["starting", "serving", "signal", "node"],
                         "standard output is the service's")
        drained = float(process.output[-2].split()[2]) - times["gone"]
        self.assertGreater(drained, 0.5, "it drains for a second by default")
        words = [line.split()[1] for line in process.errors]
        # Where it takes long to start it is called unhealthy first.
        self.assertEqual([word for word in words if word != "unhealthy"],
                         ["connected", "healthy", "held", "released", f'"{MOODY}"'])
        self.assertNotIn("unhealthy", words[words.index("healthy"):])

    def test_the_removal_comes_first_without_draining_too(self):
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            process = self.register(*QUICK, "--drain", "0s", "--",
                                    *self.moody("--ask", self.zookeeper.servers, self.path(self.address)))
            process.wait_for_error("^srsd: held")
            process.signal(number)
            self.assertEqual(process.wait_for_exit(), 0, process.report())
            self.assertRegex(process.output[-2], f"^signal {number.name} ")
            self.assertEqual(process.output[-1], "node is gone")

    def test_what_the_service_is_given(self):
        script = ('read line; echo "$line $SRSD_LABEL $SRSD_ADDRESS $PORT $MINE"; ls /proc/self/fd | tr "\\n" " ";'
                  'echo; echo "of its own" >&2')
        command = " ".join(f"'{word}'" for word in (
            product.binary("srsd"), "register", self.label, self.address, "--zookeeper", self.zookeeper.servers,
            "--", "sh", "-c", script))
        # One digit: the shell knows no descriptor above 9.
        process = self.start_program("sh", "-c", f"echo word | {command} 5<&0",
                                     environment={"MINE": "too", "SRSD_ADDRESS": "stale"})
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual(process.output[0], f"word {self.label} {self.address} {self.port} too")
        self.assertEqual(process.output[1].split(), ["0", "1", "2", "3", "5"],
                         "its own (of ls) and what was inherited")
        self.assertIn("of its own", process.errors)

    def test_its_signals_are_as_they_were(self):
        """As nohup leaves them, what is ignored stays so; what srsd makes of them does not reach the service."""
        process = self.start_program(
            "env", "--block-signal=USR1", "--ignore-signal=HUP", product.binary("srsd"), "register", self.label,
            self.address, "--zookeeper", self.zookeeper.servers, "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertEqual([line.split()[1] for line in process.output], ["0" * 16, "0" * 15 + "1"])

    def test_it_ends_and_is_stopped_though_signals_were_blocked(self):
        """As whoever starts us may have left them."""
        for command, status in ((["false"], 1), (["sleep", "infinity"], 143)):
            process = self.start_program(
                "env", "--block-signal", product.binary("srsd"), "register", self.label, self.address, "--check", "none",
                "--drain", "0s", "--zookeeper", self.zookeeper.servers, "--", *command)
            if status == 143:
                process.wait_for_error("^srsd: held")
                process.signal(signal.SIGTERM)
            self.assertEqual(process.wait_for_exit(), status, process.report())

    def test_a_port_that_is_set_stays(self):
        process = self.register("--", "sh", "-c", "echo $PORT $SRSD_ADDRESS", environment={"PORT": "7"})
        self.assertEqual(process.wait_for_exit(), 0)
        self.assertEqual(process.output, [f"7 {self.address}"])

    def test_its_exit_status_is_passed_on(self):
        for script, status in (("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -SEGV $$", 139),
                               ("kill -KILL $$", 137), ("kill -TERM $$", 143)):
            process = self.register("--", "sh", "-c", script)
            self.assertEqual(process.wait_for_exit(), status, process.report())
        folder = str(product.PROJECT)
        for words, status in ((["no-such-command"], 127), ([""], 127), ([f"{folder}/none"], 127), ([folder], 126),
                              ([f"{folder}/README.md"], 126)):
            process = self.register("--", *words)
            self.assertEqual(process.wait_for_exit(), status, process.report())
            self.assertRegex(process.errors[0], f'^srsd: cannot run "{words[0]}": .')
        self.assertFalse(self.kazoo.exists(self.path()), "nothing of it was ever registered")

    def test_its_words_are_its_own(self):
        process = self.register("--check", "none", "--", "echo", "--check", "tcp", "--", "--help", "-v", "word")
        self.assertEqual(process.wait_for_exit(), 0)
        self.assertEqual(process.output, ["--check tcp -- --help -v word"])

    def test_json_on_standard_error(self):
        process = self.register(*QUICK, "--json", "--", *self.moody())
        process.wait_for_error('^{"event":"held"')
        self.assertEqual(process.terminate(), 0)
        lines = [json.loads(line) for line in process.errors if line.startswith("{")]
        # A service that is slow to listen is told of first.
        events = [line["event"] for line in lines if line["event"] != "unhealthy"]
        self.assertEqual(events, ["healthy", "held", "released"])
        self.assertEqual({(line["address"], line["path"]) for line in lines}, {(self.address, self.path(self.address))})

    def test_one_that_crashes_is_gone_at_once(self):
        process = self.register(*QUICK, "--", *self.moody())
        process.wait_for_error("^srsd: held")
        os.kill(self.child_pid(process), signal.SIGKILL)
        self.assertEqual(process.wait_for_exit(), 137)
        self.assertFalse(self.is_there(), "at the moment of exit")
        self.assertRegex(process.errors[-2], "ended by signal 9")
        self.assertRegex(process.errors[-1], "^srsd: released")

    def test_it_dies_with_us(self):
        process = self.register(*QUICK, "--", *self.moody())
        pid = self.child_pid(process)
        process.kill()
        self.wait_for_end(pid)

    def test_other_signals_reach_it_at_once(self):
        process = self.register(*QUICK, "--", *self.moody())
        process.wait_for_error("^srsd: held")
        process.signal(signal.SIGUSR1)
        process.wait_for_output("^signal SIGUSR1$")
        self.assertTrue(self.is_there())

    def test_one_that_does_not_end(self):
        process = self.register(*QUICK, "--drain", "0s", "--kill-after", "200ms", "--", *self.moody("--stubborn"))
        process.wait_for_error("^srsd: held")
        self.assertEqual(process.terminate(), 137, process.report())
        self.assertRegex("\n".join(process.errors), "does not end: killing it")
        self.assertEqual(process.output[-1].split()[:2], ["signal", "SIGTERM"])

    def test_a_second_signal_kills_it(self):
        process = self.register(*QUICK, "--drain", "1h", "--kill-after", "0s", "--", *self.moody("--stubborn"))
        process.wait_for_error("^srsd: held")
        process.signal(signal.SIGTERM)
        process.wait_for_error("^srsd: released")
        self.assertEqual(process.terminate(), 137, process.report())

    def test_it_is_stopped_before_it_was_ever_healthy(self):
        process = self.register(*QUICK, "--drain", "1h", "--", *self.moody("--after", "60"))
        process.wait_for_output("^starting")
        process.wait_for_error("^srsd: unhealthy .*: Connection refused$")
        self.assertEqual(process.terminate(), 0, "there is nothing to drain")
        self.assertEqual(process.output[-1].split()[:2], ["signal", "SIGTERM"])


class FamilyTest(registering.RegisterTest):
    """Processes that the service starts."""

    def test_what_it_leaves_behind_ends_with_it(self):
        process = self.register("--", "sh", "-c", "sleep 1000 & echo starting $!; exit 5")
        self.assertEqual(process.wait_for_exit(), 5, process.report())
        self.assertFalse(is_running(self.child_pid(process)))

    def test_what_it_leaves_behind_and_does_not_end_is_killed(self):
        stubborn = f"{MOODY} {self.port} --stubborn & sleep 1; exit 6"
        process = self.register("--kill-after", "300ms", "--", "sh", "-c", stubborn)
        self.assertEqual(process.wait_for_exit(), 6, process.report())
        self.assertFalse(is_running(self.child_pid(process)))
        self.assertRegex("\n".join(process.errors), "left behind does not end: killing it")

    def test_orphans_are_reaped(self):
        script = "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep 0.1 & ); done; echo starting $$; exec sleep 1000"
        process = self.register("--", "sh", "-c", script)
        pid = self.child_pid(process)
        product.wait_until(lambda: len(children_of(process.pid)) == 1, "the orphans are gone")
        self.assertEqual(list(children_of(process.pid)), [pid])
        self.assertEqual(process.terminate(), 143)

    def test_as_the_first_process_of_a_container(self):
        process = self.start_program(
            *product.unshare("--pid", "--fork", "--kill-child", "--mount-proc"), product.binary("srsd"), "register",
            self.label, self.address, "--zookeeper", self.zookeeper.servers, *QUICK, "--", "sh", "-c",
            f"(setsid sleep 0.1 &); (setsid sleep 1000 &); exec {MOODY} {self.port}")
        process.wait_for_error("^srsd: held")
        (pid,) = children_of(process.pid)
        product.wait_until(lambda: len(children_of(pid)) == 2, "the first orphan is reaped")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(process.wait_for_exit(), 0, process.report())
        self.assertRegex(process.output[-1], "^signal SIGTERM")


class TerminalTest(registering.RegisterTest):
    """In a terminal, as a shell runs it."""

    def start_in_terminal(self, *words):
        """It leads the session of a new terminal. Returns its process id and the terminal."""
        pid, terminal = os.forkpty()
        if pid == 0:
            os.execvp("setpriv", ["setpriv", "--pdeathsig", "KILL", "--", product.binary("srsd"), "register", self.label,
                                  self.address, "--zookeeper", self.zookeeper.servers, *QUICK, "--", *words])
        self.addCleanup(os.close, terminal)
        self.addCleanup(self.end, pid)
        return pid, terminal

    @staticmethod
    def end(pid):
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    @staticmethod
    def read_until(terminal, pattern):
        text = ""
        while not re.search(pattern, text):
            if not select.select([terminal], [], [], product.DEADLINE_SECONDS)[0]:
                raise AssertionError(f"{pattern!r} never came: {text!r}")
            text += os.read(terminal, 4096).decode()
        return text

    def test_ctrl_c(self):
        pid, terminal = self.start_in_terminal(*self.moody("--ask", self.zookeeper.servers, self.path(self.address)))
        self.read_until(terminal, "srsd: held")
        os.write(terminal, b"\x03")
        self.read_until(terminal, "signal SIGINT (?s:.*)node is gone")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_ctrl_z_stops_both(self):
        pid, terminal = self.start_in_terminal(*self.moody())
        child = int(re.search(r"starting (\d+)", self.read_until(terminal, r"starting \d+\r")[0:])[1])
        self.read_until(terminal, "srsd: held")
        # A session's leader has nobody above it who would wake it: the kernel would not stop it for Ctrl-Z.
        os.kill(pid, signal.SIGTSTP)
        self.assertTrue(os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]))
        product.wait_until(lambda: state_of(child) == "T", "the service stops")
        os.kill(pid, signal.SIGCONT)
        product.wait_until(lambda: state_of(child) == "S", "the service goes on")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_one_that_reads_the_terminal_says_why_it_stopped(self):
        pid, terminal = self.start_in_terminal("cat")
        self.read_until(terminal, '"cat" was stopped by signal .*cannot use the terminal')
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 143)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""install_test - libsrsd as it is installed: a program is built on it with pkg-config, shared and static, and runs."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ["SRSD_BUILD"]
VERSION = os.environ["SRSD_VERSION"]
SANITIZE = os.environ.get("SRSD_SANITIZE", "")
CC = os.environ.get("CC", "cc")

# Port 1 is nobody's: the calls go through the whole library and end in a timeout.
PROGRAM = r"""
#include <srsd.h>
#include <stdio.h>

int main(void)
{
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct srsd_register_options options = SRSD_REGISTER_OPTIONS_DEFAULT;
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_hold *hold = NULL;
	struct srsd_error error;

	config.servers = "127.0.0.1:1";
	printf("%s\n", srsd_version());
	printf("%s\n", srsd_status_text(srsd_discover_wait(&config, "app", NULL, 200, &snapshot, &error)));
	printf("%s\n", srsd_status_text(srsd_register_hold(&config, "app", "192.0.2.1:80", &options, 200, &hold, &error)));
	return 0;
}
"""


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}")
    return done.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="srsd_install.")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = os.path.join(cls.folder, "prefix")
        run("cmake", "--install", BUILD, "--component", "libsrsd", "--prefix", cls.prefix)
        files = [os.path.join(base, name) for base, _, names in os.walk(cls.prefix) for name in names]
        cls.files = {os.path.relpath(path, cls.prefix): path for path in files}
        package = next(path for path in files if path.endswith("srsd.pc"))
        cls.library_folder = os.path.dirname(os.path.dirname(package))
        cls.environment = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(package))
        cls.source = os.path.join(cls.folder, "program.c")
        with open(cls.source, "w", encoding="utf-8") as source:
            source.write(PROGRAM)

    def pkg_config(self, *options):
        return run("pkg-config", *options, "srsd", env=self.environment).split()

    def compiler(self):
        return [CC, "-Wall", "-Wextra", "-Werror"] + ([f"-fsanitize={SANITIZE}"] if SANITIZE else [])

    def check_program(self, program, environment):
        said = run(program, env=environment).split("\n")
        self.assertEqual(said, [VERSION, "timeout", "timeout", ""])

    def test_installs_header_libraries_manual_and_package_file_and_no_more(self):
        names = sorted(os.path.basename(name) for name in self.files)
        self.assertEqual(names, ["libsrsd.a", "libsrsd.so", "libsrsd.so.0", f"libsrsd.so.{VERSION}", "srsd.3", "srsd.h", "srsd.pc"])

    def test_package_file_says_version_and_needs(self):
        self.assertEqual(self.pkg_config("--modversion"), [VERSION])
        self.assertNotIn("-lzookeeper_st", self.pkg_config("--libs"))
        self.assertIn("-lzookeeper_st", self.pkg_config("--static", "--libs"))
        self.assertIn("-levent_core", self.pkg_config("--static", "--libs"))
        with open(next(path for path in self.files.values() if path.endswith("srsd.pc")), encoding="utf-8") as package:
            self.assertNotIn(BUILD, package.read())

    def test_program_with_the_shared_library(self):
        program = os.path.join(self.folder, "shared")
        run(*self.compiler(), self.source, "-o", program, *self.pkg_config("--cflags", "--libs"))
        self.assertIn("libsrsd.so.0", run("readelf", "-d", program))
        self.check_program(program, dict(self.environment, LD_LIBRARY_PATH=self.library_folder))

    def test_program_with_the_static_library(self):
        program = os.path.join(self.folder, "static")
        flags = self.pkg_config("--static", "--cflags", "--libs")
        if SANITIZE:
            # Sanitizers need a dynamic C library: only ours is taken as an archive then.
            flags = ["-l:libsrsd.a" if flag == "-lsrsd" else flag for flag in flags]
        else:
            flags = ["-static", *flags]
        run(*self.compiler(), self.source, "-o", program, *flags)
        self.assertNotIn("libsrsd.so", run("readelf", "-d", program))
        self.check_program(program, self.environment)

    def test_shared_library_shows_what_the_header_declares(self):
        with open(self.files["include/srsd.h"], encoding="utf-8") as header:
            text = re.sub(r"/\*.*?\*/", "", header.read(), flags=re.DOTALL)
        declared = set(re.findall(r"^SRSD_API[^;(]*?(\w+)\(", text, flags=re.MULTILINE))
        shared = os.path.join(self.library_folder, "libsrsd.so")
        shown = {line.split()[-1] for line in run("nm", "-D", "--defined-only", shared).splitlines()}
        self.assertGreater(len(declared), 30)
        self.assertEqual(shown, declared)

    def test_archive_takes_no_name_but_its_own(self):
        archive = os.path.join(self.library_folder, "libsrsd.a")
        lines = run("nm", "-g", "--defined-only", archive).splitlines()
        names = {line.split()[-1] for line in lines if len(line.split()) == 3}
        self.assertGreater(len(names), 30)
        self.assertEqual({name for name in names if not name.startswith("srsd_")}, set())

    def test_header_is_good_for_strict_c_and_for_cxx(self):
        header = self.files["include/srsd.h"]
        run("cc", "-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", header)
        run("c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", header)
        # The same program: C++ is stricter about what the macros of defaults expand to.
        run("c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *self.pkg_config("--cflags"),
            "-x", "c++", self.source)


if __name__ == "__main__":
    unittest.main()

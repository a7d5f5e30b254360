#!/usr/bin/python3
"""No two of our sources need each other, and calls go down only: read off the built objects.

    SRSD_BUILD=build tests/structure/structure_test.py -v
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

import objects

PROJECT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("srsd", "config", "proxy")
INCLUDE_ROOTS = (".", "proxy", "srsd")

# libsrsd, from outside: its public header, and what stands behind it.
LIBRARY = ("srsd", "srsd/srsd", "srsd/common", "srsd/node", "srsd/session", "srsd/state", "srsd/registration")

# Which folders, or modules of a folder, the sources of one may use beside each other. What of proxy/ does not stand
# here is the top: it may use everything, and nothing that stands here may use it.
MAY_USE = {
    "srsd/srsd": (),
    "srsd/common": ("srsd/srsd",),
    "srsd/node": ("srsd/srsd", "srsd/common"),
    "srsd/session": ("srsd/srsd", "srsd/common"),
    "srsd/state": ("srsd/srsd", "srsd/common", "srsd/node", "srsd/session"),
    "srsd/registration": ("srsd/srsd", "srsd/common", "srsd/node", "srsd/session"),
    "srsd": LIBRARY,
    "srsd/command": LIBRARY,
    "config": (*LIBRARY, "proxy/base/network"),
    "proxy/base": (),
    # Networks in the configuration are checked by what will read them.
    "proxy/base/network": ("proxy/base",),
    "proxy/http": ("proxy/base",),
    "proxy/access": ("proxy/base", "proxy/http", "proxy/observe/counters", "proxy/exit_code"),
    "proxy/health": ("proxy/base", *LIBRARY),
    "proxy/balance": ("proxy/base", "proxy/health", *LIBRARY),
    "proxy/observe/counters": ("proxy/base", "proxy/http", "proxy/balance"),
    "proxy/downstream": ("proxy/base", "proxy/base/network", "proxy/http", "proxy/observe/counters"),
    "proxy/upstream": ("proxy/base", "proxy/http", "proxy/health", "proxy/balance", "proxy/observe/counters", *LIBRARY),
    "proxy/relay": ("proxy/base", "proxy/http"),
    "proxy/mailbox": ("proxy/base", "proxy/balance"),
    "proxy/evenness": ("proxy/base",),
    "proxy/observe/standing": (),
    # In a thread of its own; sends what it makes to the checker's mailbox.
    "proxy/registry": ("proxy/base", "proxy/base/network", "proxy/health", "proxy/balance", "proxy/mailbox",
                       "proxy/observe/standing", "config", *LIBRARY),
    # Between the registry and the workers, in a thread of its own.
    "proxy/checker": ("proxy/base", "proxy/http", "proxy/health", "proxy/balance", "proxy/mailbox", "config", *LIBRARY),
    "proxy/admission": ("proxy/base", "proxy/balance", "proxy/mailbox"),
    "proxy/lending": ("proxy/base", "proxy/http", "proxy/health", "proxy/balance", "proxy/observe/counters", "proxy/mailbox",
                      "proxy/upstream", *LIBRARY),
    "proxy/exchange": ("proxy/base", "proxy/base/network", "proxy/http", "proxy/health", "proxy/balance", "proxy/observe/counters",
                       "proxy/access", "proxy/downstream", "proxy/upstream", "proxy/relay", "proxy/service", "proxy/admission",
                       "proxy/mailbox"),
    "proxy/service": ("proxy/base", "proxy/http", "proxy/health", "proxy/balance", "proxy/observe/counters", "proxy/downstream",
                      "proxy/upstream", "proxy/mailbox", "proxy/admission"),
    "proxy/exit_code": (),
    "proxy/listener": ("proxy/base", "proxy/exit_code", "config", *LIBRARY),
    # Reads what the workers count, from the main thread; they do not know it.
    "proxy/observe": ("proxy/base", "proxy/http", "proxy/health", "proxy/balance",
                      "proxy/observe/counters", "proxy/observe/standing", "proxy/listener", "proxy/exit_code", "config", *LIBRARY),
}


class StructureTest(unittest.TestCase):
    """Of what is built."""

    @classmethod
    def setUpClass(cls):
        found = objects.find_objects(pathlib.Path(os.environ["SRSD_BUILD"]).resolve(), FOLDERS)
        # Sources that are not ours lie outside of the project; CMake gives them paths of their own.
        cls.sources = {source: paths for source, paths in found.items() if (PROJECT / source).is_file()}
        cls.uses, cls.doubles = objects.read_uses(cls.sources)

    def assert_none(self, complaints):
        if complaints:
            self.fail("\n" + "\n".join(complaints))

    def test_objects_of_each_folder_are_seen(self):
        for folder in FOLDERS:
            if any((PROJECT / folder).rglob("*.c")):
                self.assertTrue([source for source in self.sources if source.startswith(folder + "/")], folder)

    def test_a_symbol_has_one_home(self):
        self.assert_none(self.doubles)

    def test_no_cycle(self):
        self.assert_none([objects.describe_cycle(self.uses, cycle) for cycle in objects.find_cycles(self.uses)])

    def test_calls_go_down(self):
        self.assert_none(objects.wrong_directions(objects.symbol_edges(self.uses), MAY_USE))

    def test_includes_go_down(self):
        self.assert_none(objects.wrong_directions(objects.include_edges(PROJECT, FOLDERS, INCLUDE_ROOTS), MAY_USE))


class DetectorTest(unittest.TestCase):
    """Of the test above itself, on small made-up programs."""

    def compile(self, **sources):
        """Compile {name: text} below a build folder of CMake's shape, two folders deep: low_b -> low/b.c.
        Returns the graph of uses and the complaints."""
        build = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, text in sources.items():
            folder, stem = name.split("_")
            made = build / "made" / "CMakeFiles" / "target.dir" / folder
            made.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cc", "-x", "c", "-", "-c", "-o", str(made / f"{stem}.c.o")],
                           input=text, text=True, check=True)
        return objects.read_uses(objects.find_objects(build, ["made"]))

    def test_a_cycle_of_three_is_named(self):
        uses, _ = self.compile(
            low_a="void b(void); void a(void); void a(void) { b(); }",
            low_b="void c(void); void b(void); void b(void) { c(); }",
            low_c="void a(void); void c(void); void c(void) { a(); }",
            low_d="void a(void); void d(void); void d(void) { a(); }")
        cycles = objects.find_cycles(uses)
        self.assertEqual(cycles, [["made/low/a.c", "made/low/b.c", "made/low/c.c"]])
        self.assertEqual(objects.describe_cycle(uses, cycles[0]),
                         "made/low/a.c -(b)-> made/low/b.c -(c)-> made/low/c.c -(a)-> made/low/a.c")

    def test_a_cycle_by_an_address_taken_and_by_a_variable(self):
        uses, _ = self.compile(
            low_a="extern int count; void a(void); void a(void) { count++; }",
            low_b="void a(void); int count; void (*hook)(void) = a;")
        self.assertEqual(objects.find_cycles(uses), [["made/low/a.c", "made/low/b.c"]])

    def test_two_knots_are_two_cycles(self):
        uses, _ = self.compile(
            low_a="void b(void); void a(void); void a(void) { b(); }",
            low_b="void a(void); void b(void); void b(void) { a(); }",
            low_x="void y(void); void x(void); void x(void) { y(); }",
            low_y="void x(void); void a(void); void y(void); void y(void) { x(); a(); }")
        self.assertEqual(objects.find_cycles(uses),
                         [["made/low/a.c", "made/low/b.c"], ["made/low/x.c", "made/low/y.c"]])

    def test_a_diamond_is_no_cycle(self):
        uses, doubles = self.compile(
            low_a="void b(void), c(void); void a(void); void a(void) { b(); c(); }",
            low_b="void d(void); void b(void); static int same; void b(void) { same++; d(); }",
            low_c="void d(void); void c(void); static int same; void c(void) { same++; d(); }",
            low_d="void d(void); void d(void) {}")
        self.assertEqual(objects.find_cycles(uses), [])
        self.assertEqual(doubles, [])

    def test_a_symbol_with_two_homes_is_named(self):
        _, doubles = self.compile(low_a="int twice;", low_b="int twice;")
        self.assertEqual(doubles, ["twice is defined in made/low/a.c and in made/low/b.c"])

    def test_a_call_upwards_is_named(self):
        uses, _ = self.compile(
            low_a="void up(void); void a(void); void a(void) { up(); }",
            high_b="void up(void); void up(void) {}",
            low_c="void up(void); void c(void); void c(void) { up(); }",
            high_c="void a(void); void d(void); void d(void) { a(); }")
        may_use = {"made/low": (), "made/high": ("made/low",), "made/low/c": ("made/high",)}
        self.assertEqual(objects.wrong_directions(objects.symbol_edges(uses), may_use),
                         ["made/low/a.c uses made/high/b.c (up): made/low may use no other folder"])

    def test_an_include_upwards_is_named(self):
        project = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        (project / "low").mkdir()
        (project / "top.h").write_text("")
        (project / "low/a.h").write_text("")
        (project / "low/a.c").write_text('#include <stdio.h>\n#include "a.h"\n#include "top.h"\n')
        edges = objects.include_edges(project, ["low"], ["."])
        self.assertEqual(objects.wrong_directions(edges, {"low": ()}),
                         ['low/a.c uses top.h (#include "top.h"): low may use no other folder'])


if __name__ == "__main__":
    unittest.main()

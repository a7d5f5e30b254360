#!/usr/bin/python3
"""docs/http.md tells the truth about the tests: each one it names exists, and wire tests cite what they are about.

    tests/structure/http_document_test.py -v
"""

import pathlib
import re
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
WIRE = PROJECT / "tests/wire"
CITED = re.compile(r"# (RFC \d+ |docs/[a-z]+\.md)")


def named_tests(text):
    """The tests that a document names between backticks: a .vtc file below tests/wire, or a path below tests."""
    return sorted({name for name in re.findall(r"`([^`\n]+)`", text)
                   if name.endswith(".vtc") or re.match(r"tests/.*\.\w+$", name)})


def path_of(name):
    return PROJECT / name if name.startswith("tests/") else WIRE / name


class HttpDocumentTest(unittest.TestCase):
    def test_every_test_that_the_document_names_exists(self):
        names = named_tests((PROJECT / "docs/http.md").read_text())
        self.assertTrue(names, "docs/http.md names no test")
        self.assertEqual([name for name in names if not path_of(name).is_file()], [])

    def test_every_wire_test_cites_its_source_in_its_first_line(self):
        first_lines = {path.relative_to(WIRE): path.read_text().split("\n", 1)[0] for path in WIRE.rglob("*.vtc")}
        self.assertTrue(first_lines)
        self.assertEqual([str(path) for path, line in first_lines.items() if CITED.match(line) is None], [])

    def test_names_are_found_in_both_forms(self):
        self.assertEqual(named_tests("| a `x` | b | `requests/host/empty.vtc`, `tests/unit/http/target_test.c` `tests/wire` |"),
                         ["requests/host/empty.vtc", "tests/unit/http/target_test.c"])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/what-each-number-means.md has every number that the code tells, and none that it does not."""
import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("SONO_SOURCE_DIR", pathlib.Path(__file__).resolve().parent.parent.parent))
PAGE = (ROOT / "docs/what-each-number-means.md").read_text(encoding="utf-8")


def source(name):
    path = ROOT / "live" / name
    if not path.exists():
        raise unittest.SkipTest(f"live/{name} is not there")
    return path.read_text(encoding="utf-8")


def section(title):
    """The part of the page below a heading."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M).group(1)


def words(text):
    """What stands in backquotes in the first column of the tables."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


class NumbersTest(unittest.TestCase):
    def test_kpi(self):
        code = source("serve/snapshot.c")
        keys = set(re.findall(r'put_(?:string|count|integer|flag|number)\(&?t, "(\w+)"', code))
        keys |= set(re.findall(r'\\"(\w+)\\":[{\[1]', code))
        self.assertGreater(len(keys), 35)
        text = section("KPI text")
        for key in sorted(keys):
            self.assertIn(f"`{key}`", text)
        reasons = {text for _, text in re.findall(r'X\((\w+), "(\w+)"\)', source("session/session.h"))}
        self.assertLessEqual(reasons, set(words(text)))
        self.assertLessEqual(set(words(text)), keys | reasons)

    def test_metadata(self):
        code = source("serve/facts.c")
        keys = set(re.findall(r'add(?:_text|_float)?\(facts, "(\w+)"', code))
        self.assertGreater(len(keys), 12)
        self.assertEqual(set(words(section("With each mask"))), keys)

    def test_status(self):
        faults = re.findall(r'X\((\w+), (\d+), "(\w+)", "([^"]+)"\)', source("session/session.h"))
        self.assertGreater(len(faults), 5)
        rows = dict(re.findall(r"^\| (\d+) \| `(\w+)` \|", section("STATUS"), re.M))
        self.assertEqual(rows, {**{code: name for _, code, name, _ in faults}, "1": "OK"})

    def test_latency_log(self):
        code = source("serve/service_kpi.c")
        head = re.search(r"sono_service_latency_head\[\] =\s*((?:\"[^\"]*\"\s*)+);", code).group(1)
        columns = "".join(re.findall(r'"([^"]*)"', head)).split(",")
        self.assertEqual(words(section("Latency log")), columns)


if __name__ == "__main__":
    unittest.main()

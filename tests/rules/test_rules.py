#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/check_rules.py finds each planted violation, and nothing in code that keeps the rules."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def function(name, n_lines):
    return f"static int {name}(int x,\n    int y)\n{{\n" + "    x += y;\n" * (n_lines - 1) + "    return x;\n}\n"


class Rules(unittest.TestCase):
    def check(self, path, text, spdx=SPDX):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True)
            file.write_text(spdx + text)
            run = subprocess.run([sys.executable, ROOT / "scripts/check_rules.py", "--root", folder],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1 if run.stdout else 0, run.stderr)
        return run.stdout.splitlines()

    def assert_finds(self, path, text, *messages, spdx=SPDX):
        self.assertEqual(self.check(path, text, spdx), [f"{path}:{message}" for message in messages])

    def assert_clean(self, path, text, spdx=SPDX):
        self.assert_finds(path, text, spdx=spdx)

    def test_include_law(self):
        for path, target, text in [
                ("src/nets/sam/a.c", "nets/dfine/b.h", "nets/sam does not see nets/dfine"),
                ("src/nets/sam/encoders/a.c", "engine/b.h", "nets/sam does not see engine"),
                ("src/checkpoint/a.c", "nets/b.h", "checkpoint does not see nets"),
                ("src/io/images/a.c", "io/folder/b.h", "io/images does not see io/folder"),
                ("src/io/folder/a.c", "graph/b.h", "io/folder does not see graph"),
                ("src/base/a.c", "graph/b.h", "base does not see graph"),
                ("src/graph/a.c", "checkpoint/b.h", "graph does not see checkpoint"),
                ("src/engine/cpu/a.c", "engine/cuda/device/b.h", "engine/cpu does not see engine/cuda/device"),
                ("src/engine/cpu/kernels/a.c", "engine/cuda/kernels/b.h", "engine/cpu does not see engine/cuda"),
                ("src/pipeline/a.c", "engine/cuda/b.h", "pipeline does not see engine/cuda"),
                ("src/new_room/a.c", "graph/b.h", "new_room does not see graph"),
                ("live/igtl/a.c", "serve/b.h", "live/igtl does not see live/serve"),
                ("live/session/a.c", "record/b.h", "live/session does not see live/record"),
                ("live/serve/a.c", "pipeline/b.h", "live/serve does not see live/pipeline"),
                ("live/web/a.c", "serve/service.h", "live/web sees only serve/snapshot.h of live/serve"),
                ("bindings/python/src/a.c", "base/b.h", "bindings see only include/"),
                ("bindings/python/src/a.c", "serve/b.h", "bindings see only include/"),
                ("tools/sonoseg/a.c", "igtl/b.h", "tools see only include/ and live/record, live/replay, live/serve, live/web"),
                ("tools/sonoseg/a.c", "base/b.h", "tools see only include/ and live/record, live/replay, live/serve, live/web")]:
            self.assert_finds(path, f'#include "{target}"\n', f'2: include: "{target}": {text}')
        self.assert_finds("tools/sonoseg/a.c", '#include "../../src/base/b.h"\n',
                          '2: include: "../../src/base/b.h" climbs out of its folder')

    def test_unused_edges(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for room in ("pipeline", "engine/cuda"):
                (root / "src" / room).mkdir(parents=True)
            (root / "src/pipeline/a.c").write_text(f"{SPDX}#include \"engine/b.h\"\n", encoding="utf-8")
            run = subprocess.run([sys.executable, ROOT / "scripts/check_rules.py", "--root", folder],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("no file of pipeline includes from graph", run.stdout)
        self.assertNotIn("no file of pipeline includes from engine:", run.stdout)

    def test_include_law_allows(self):
        for path, target in [("src/nets/sam/a.c", "nets/b.h"), ("src/nets/dfine/a.c", "nets/b.h"),
                             ("src/nets/a.c", "checkpoint/b.h"), ("src/pipeline/a.c", "engine/b.h"),
                             ("src/engine/cuda/a.c", "engine/cuda/device/b.h"),
                             ("src/engine/cpu/kernels/a.c", "engine/cpu/b.h"),
                             ("src/base/a.c", "sonoseg/sonoseg.h"), ("tools/sonoseg/a.c", "args.h"),
                             ("bindings/python/src/a.c", "core.h"), ("bindings/python/src/a.c", "sonoseg/io.h"), ("tools/sonoseg/a.c", "serve/b.h"),
                             ("live/serve/a.c", "igtl/b.h"), ("live/igtl/a.c", "igtl/b.h"),
                             ("src/io/folder/a.c", "io/b.h"), ("tests/base/a.c", "base/b.h")]:
            self.assert_clean(path, f'#include "{target}"\n')

    def test_heap(self):
        self.assert_finds("src/pipeline/a.c", "p = malloc(4);\nfree(p);\n",
                          "2: banned: malloc(): heap memory comes from base/alloc.h",
                          "3: banned: free(): heap memory comes from base/alloc.h")
        self.assert_clean("src/base/alloc.c", "p = aligned_alloc(64, 4);\nfree(p);\n")
        self.assert_clean("src/pipeline/a.c", "sono_free(p);\nops->free(p);\n/* free(p) */\nf(\"free(p)\");\n")

    def test_printing(self):
        self.assert_finds("src/pipeline/a.c", 'printf("x");\nabort();\n',
                          "2: banned: printf(): the library never prints, exits or aborts",
                          "3: banned: abort(): the library never prints, exits or aborts")
        self.assert_finds("src/nets/a.c", 'fprintf(stderr, "x");\n', "2: banned: stderr: the library never prints")
        self.assert_finds("src/base/a.c", 'fprintf(f, "x");\n',
                          "2: banned: fprintf(): only graph, io, io/folder, nets, pipeline write to a caller's stream")
        self.assert_clean("src/graph/a.c", 'fprintf(stream, "x");\n')
        self.assert_clean("tools/sonoseg/a.c", 'fprintf(stderr, "x");\nexit(2);\n')

    def test_unbounded(self):
        self.assert_finds("tests/base/a.c", "strcpy(a, b);\n", "2: banned: strcpy() has no bound or no error")
        self.assert_finds("tools/sonoseg/a.c", "n = atoi(s);\n", "2: banned: atoi() has no bound or no error")

    def test_cuda_switch(self):
        self.assert_finds("src/io/a.c", "#ifdef SONO_HAVE_CUDA\n#endif\n",
                          "2: cuda: only pipeline chooses between backends")
        self.assert_clean("src/pipeline/a.c", "#ifdef SONO_HAVE_CUDA\n#endif\n")

    def test_length(self):
        self.assert_clean("src/pipeline/a.c", function("f", 80))
        self.assert_finds("src/pipeline/a.c", function("f", 81), "4: length: f() has 81 lines, more than 80")
        self.assert_clean("src/nets/dfine/a.c", function("record_decoder", 120))
        self.assert_finds("src/nets/dfine/a.c", function("record_decoder", 121),
                          "4: length: record_decoder() has 121 lines, more than 120")
        self.assert_finds("src/pipeline/a.c", function("record_decoder", 81),
                          "4: length: record_decoder() has 81 lines, more than 80")

    def test_text(self):
        self.assert_finds("src/base/a.h", "int x;\n", "1: spdx: the first line (after #!) must be the SPDX line", spdx="")
        self.assert_clean("scripts/a.sh", "", spdx="#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n")
        self.assert_finds("src/base/a.c", "\tint x;\n", "2: tab: spaces, not tabs")
        self.assert_finds("src/base/a.c", "int x; \n", "2: blank: blanks at the end of the line")
        self.assert_finds("src/base/BadName.c", "", "1: name: BadName.c: lower case, digits and underscores")

    def test_places(self):
        host = "packages.example.net"
        self.assert_finds("docs/a.md", f"see https://{host}/x\n",
                          f"2: host: {host} is not on the list of hosts that may be named")
        self.assert_clean("docs/a.md", "see https://github.com/a/b\n")
        path = "/" + "home/someone/models/x.pt"
        self.assert_finds("docs/a.md", f"read {path}\n", f"2: path: {path} belongs to one machine")

    def test_this_repository(self):
        run = subprocess.run([sys.executable, ROOT / "scripts/check_rules.py"], capture_output=True, text=True,
                             check=False)
        self.assertEqual(run.stdout, "")
        self.assertEqual(run.returncode, 0)


if __name__ == "__main__":
    unittest.main()

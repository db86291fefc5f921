#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The container recipes, which are not built here: their form by rules of our own, by hadolint too where there is one; and
their health check against a server that greets, one that is silent, and none."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

ROOT = pathlib.Path(os.environ.get("SONO_SOURCE_DIR", pathlib.Path(__file__).resolve().parent.parent.parent))
RECIPES = sorted((ROOT / "packaging/container").glob("Containerfile*"))
KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "ARG", "LABEL"}
SHELL_WORDS = re.compile(r"&&|\|\||;|\|")


def instructions(text):
    """(name, rest) of each instruction, continued lines joined."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").split("\n"):
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def faults(text):
    """What the rules find."""
    found = []
    all_of = list(instructions(text))
    stages = [i for i, (name, _) in enumerate(all_of) if name == "FROM"]
    last = all_of[stages[-1]:] if stages else []
    names = [name for name, _ in last]
    if len(stages) < 2:
        found.append("one stage: the compiler stays in the image")
    for name, rest in all_of:
        if name not in KNOWN:
            found.append(f"{name}: not an instruction that is used here")
        if name == "FROM":
            image = rest.split()[0]
            if ":" not in image or image.endswith(":latest"):
                found.append(f"{image}: no version")
            if "." in image.split("/")[0] and "/" in image:
                found.append(f"{image}: names a registry")
        if name == "RUN" and "apt-get install" in rest:
            if "-y" not in rest or "--no-install-recommends" not in rest:
                found.append("apt-get install without -y --no-install-recommends")
            if "apt-get update" not in rest or "rm -rf /var/lib/apt/lists/*" not in rest:
                found.append("apt-get install without an update before and a clean-up behind it, in one layer")
        if name == "RUN" and re.search(r"\b(sudo|curl|wget)\b", rest):
            found.append(f"RUN {rest.split()[0]}: fetches or elevates")
        if name == "WORKDIR" and not rest.startswith("/"):
            found.append("WORKDIR is relative")
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                if not (ROOT / source).exists():
                    found.append(f"COPY {source}: not in the source tree")
        if name in ("ENTRYPOINT", "HEALTHCHECK"):
            try:
                words = json.loads(rest[rest.index("["):])
                assert words and all(isinstance(word, str) for word in words)
            except (ValueError, AssertionError):
                found.append(f"{name} is not a list of words: a shell would take the signals")
    users = [rest for name, rest in last if name == "USER"]
    if not users or users[-1].split(":")[0] in ("0", "root"):
        found.append("runs as root")
    for needed in ("HEALTHCHECK", "ENTRYPOINT", "EXPOSE", "STOPSIGNAL"):
        if needed not in names:
            found.append(f"the last stage has no {needed}")
    return found


GOOD = """FROM debian:12-slim AS build
COPY README.md .
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends a && rm -rf /var/lib/apt/lists/*
USER 10001
EXPOSE 18945
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["true"]
ENTRYPOINT ["sonoseg"]
"""
BREAKS = [("debian:12-slim AS", "debian AS", "no version"),
          ("debian:12-slim\nRUN", "quay.example/debian:12\nRUN", "names a registry"),
          ("USER 10001", "USER root", "runs as root"),
          ("USER 10001\n", "", "runs as root"),
          (" --no-install-recommends", "", "without -y"),
          (" && rm -rf /var/lib/apt/lists/*", "", "clean-up"),
          ('["sonoseg"]', "sonoseg", "a shell would take"),
          ("HEALTHCHECK CMD [\"true\"]\n", "", "no HEALTHCHECK"),
          ("README.md", "README.txt", "not in the source tree"),
          ("EXPOSE", "EXPOES", "EXPOES"),
          ("FROM debian:12-slim AS build\n", "", "one stage")]


class RulesTest(unittest.TestCase):
    def test_rules_find_what_they_are_for(self):
        self.assertEqual(faults(GOOD), [])
        for old, new, word in BREAKS:
            self.assertIn(old, GOOD)
            self.assertTrue(any(word in fault for fault in faults(GOOD.replace(old, new, 1))), f"{word} is not found")

    def test_recipes(self):
        self.assertEqual([path.name for path in RECIPES], ["Containerfile", "Containerfile.cuda"])
        for path in RECIPES:
            self.assertEqual(faults(path.read_text(encoding="utf-8")), [], path.name)

    def test_entry_is_a_command_line(self):
        if "SONO_COMMAND" not in os.environ:
            self.skipTest("the command is not built")
        for path in RECIPES:
            entry = dict(instructions(path.read_text(encoding="utf-8")))["ENTRYPOINT"]
            words = json.loads(entry)
            self.assertEqual(words[0], "sonoseg")
            result = subprocess.run([os.environ["SONO_COMMAND"], *words[1:], "--print-config"], capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn('listen: "0.0.0.0:18945"', result.stdout)

    def test_hadolint(self):
        if not shutil.which("hadolint"):
            self.skipTest("there is no hadolint")
        result = subprocess.run(["hadolint", *map(str, RECIPES)], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout)


class HealthTest(unittest.TestCase):
    def check(self, port):
        """Exit status of the recipe's health check, against that port, and how long it took."""
        text = dict(instructions(RECIPES[0].read_text(encoding="utf-8")))["HEALTHCHECK"]
        words = [word.replace("18945", str(port)) for word in json.loads(text[text.index("["):])]
        began = time.monotonic()
        status = subprocess.run(words, capture_output=True, timeout=10).returncode
        return status, time.monotonic() - began

    def serve(self, greeting):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def answer():
            client, _ = server.accept()
            with client, contextlib.suppress(ConnectionError):
                client.sendall(greeting)
                client.recv(1)  # until the other side closes

        threading.Thread(target=answer, daemon=True).start()
        return server.getsockname()[1]

    def test_greets(self):
        header = b"\0\1STATUS".ljust(14, b"\0") + b"sonoseg".ljust(20, b"\0") + bytes(24)
        self.assertEqual(len(header), 58)
        self.assertEqual(self.check(self.serve(header + bytes(30)))[0], 0)

    def test_is_silent(self):
        status, took_s = self.check(self.serve(b""))
        self.assertNotEqual(status, 0)
        self.assertLess(took_s, 5)

    def test_is_not_there(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.assertNotEqual(self.check(port)[0], 0)


if __name__ == "__main__":
    unittest.main()

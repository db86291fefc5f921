#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the list of configuration keys in docs/sonoseg-serve.1 from what the command itself says of them.

    scripts/serve_manual.py [--command FILE] [--check]

The part of the page between the lines 'keys: begin' and 'keys: end' is replaced; --check changes nothing and fails where
it would. FILE is the built command (default build/release/bin/sonoseg).
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/sonoseg-serve.1"
PART = re.compile(r'(?<=\n\.\\" keys: begin\n).*?(?=\.\\" keys: end\n)', re.S)


def roff(text):
    """Text as roff takes it: no sign of its own meaning, and '-' as typed."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def entries(lines):
    section = None
    for line in lines:
        flag, alias, new_section, name, allowed, value, reload, text = line.split("\t")
        if new_section != section:
            section = new_section
            yield f".SS {roff(section)}"
        yield ".TP"
        flags = f"\\-\\-{roff(flag)}" + (f"\\fR, \\fB\\-\\-{roff(alias)}" if alias else "")
        yield f"\\fB{roff(section)}.{roff(name)}\\fR, \\fB{flags}\\fR"
        facts = [] if allowed == "text" else [allowed]
        facts.append(f"default {value}" if value else "empty by default")
        facts.append("taken at SIGHUP" if reload == "reload" else "needs a restart")
        yield f"{roff(text[0].upper() + text[1:])} ({roff('; '.join(facts))})."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(ROOT / "build/release/bin/sonoseg"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    said = subprocess.run([options.command, "serve", "--print-keys"], check=True, capture_output=True, text=True).stdout
    part = "".join(f"{line}\n" for line in entries(said.splitlines()))
    page = PAGE.read_text(encoding="utf-8")
    if not PART.search(page):
        sys.exit(f"{PAGE.name}: the lines 'keys: begin' and 'keys: end' are missing")
    fresh = PART.sub(lambda _: part, page)
    if options.check and fresh != page:
        sys.exit(f"{PAGE.name} is not what the command says: run scripts/serve_manual.py")
    if fresh != page:
        PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

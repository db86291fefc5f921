#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can hold: include law, banned calls, function lengths, SPDX lines, names, hosts.

    scripts/check_rules.py [--root FOLDER]

Prints `file:line: rule: text` for each violation; exit status 1 when there is one. docs/ARCHITECTURE.md gives the
reasons. Standard library only.
"""
import argparse
import pathlib
import re
import subprocess
import sys

FLOW = ["source", "frame", "detect", "segment", "weights", "state", "packet", "sink"]
SUPPORT = {"base": set(), "program": {"base"}, "model": {"base", "program"}, "monitor": {"base"}, "wire": {"base"},
           "gpu": {"base"}, "backend": {"base", "program"}, "backend/cpu": {"base", "program", "backend"},
           "backend/cuda": {"base", "program", "backend", "gpu"}}
WIRE_USERS = {"source", "sink"}

C_SUFFIXES = {".c", ".h", ".cu", ".cuh"}
COMMENTED = C_SUFFIXES | {".cpp", ".py", ".sh", ".cmake"}
COMMENTED_NAMES = {"CMakeLists.txt", "Makefile", "run"}
TEXT = COMMENTED | {".md", ".txt", ".json", ".in", ".1", ".svg", ".yml", ".supp"}
NAME = re.compile(r"^[a-z][a-z0-9_]*\.(c|h|cu|cuh)$")

HEAP = "malloc calloc realloc free strdup strndup aligned_alloc posix_memalign asprintf vasprintf".split()
PROCESS = "exit _exit abort assert quick_exit printf vprintf puts putchar perror".split()
STREAM = "fprintf vfprintf fputs fputc putc".split()
STREAM_ROOMS = {"model", "program", "pipeline", "sink"}
UNBOUNDED = "sprintf vsprintf strcpy strcat stpcpy gets atoi atol atoll atof strtok".split()

MAX_LINES = 80
MAX_LINES_RECORDER = 120
HOSTS = {"github.com", "git-lfs.github.com", "www.apache.org", "arxiv.org", "www.w3.org", "openigtlink.org",
         "pytorch.org"}
URL = re.compile(r"\bhttps?://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
MACHINE_PATH = re.compile(r"""(?:^|[\s"'=(:,`])(/(?:home|root|Users|mnt|media|work|workspace|scratch|srv)/\S*)""")


def room_of(path):
    """Room of a file under src/, e.g. 'detect' or 'backend/cpu'; None elsewhere."""
    parts = path.parts
    if len(parts) < 3 or parts[0] != "src":
        return None
    if parts[1] == "backend" and len(parts) > 3:
        return f"backend/{parts[2]}"
    return parts[1]


def visible_rooms(room):
    """Rooms that `room` may include from; None = all but gpu."""
    if room == "pipeline":
        return None
    if room in FLOW:
        seen = {"base", "program", "model", *FLOW[:FLOW.index(room)]}
        return seen | ({"wire"} if room in WIRE_USERS else set())
    return SUPPORT.get(room, {"base"})


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_only(text):
    """The text with comments, strings and character constants blanked, line by line as before."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text, flags=re.S)


def check_includes(path, lines):
    room = room_of(path)
    tool = path.parts[0] == "tools"
    if room is None and not tool:
        return
    seen = None if tool else visible_rooms(room)
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        parts = target.split("/")
        if ".." in parts:
            yield number, "include", f'"{target}" climbs out of its folder'
        elif parts[0] == "sonoseg" or len(parts) == 1:
            continue
        elif tool:
            yield number, "include", f'"{target}": tools see only include/'
        else:
            other = room_of(pathlib.PurePath("src", target))
            if other == room or (seen is None and other != "gpu") or (seen is not None and other in seen):
                continue
            yield number, "include", f'"{target}": {room} does not see {other}'


def banned(words, lines):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(words) + r")\s*\(")
    for number, line in enumerate(lines, 1):
        for match in pattern.finditer(line):
            yield number, match.group(1)


def check_calls(path, code):
    for number, word in banned(UNBOUNDED, code):
        yield number, "banned", f"{word}() has no bound or no error"
    room = room_of(path)
    if room is None:
        return
    if path.as_posix() not in ("src/base/alloc.c", "src/base/alloc.h"):
        for number, word in banned(HEAP, code):
            yield number, "banned", f"{word}(): heap memory comes from base/alloc.h"
    for number, word in banned(PROCESS, code):
        yield number, "banned", f"{word}(): the library never prints, exits or aborts"
    if room not in STREAM_ROOMS:
        for number, word in banned(STREAM, code):
            yield number, "banned", f"{word}(): only {', '.join(sorted(STREAM_ROOMS))} write to a caller's stream"
    for number, line in enumerate(code, 1):
        match = re.search(r"\b(stdout|stderr)\b", line)
        if match:
            yield number, "banned", f"{match.group(1)}: the library never prints"
        if room != "pipeline" and re.match(r"\s*#.*\bSONO_HAVE_CUDA\b", line):
            yield number, "cuda", "only pipeline chooses between backends"


def function_name(code, opening):
    """Name of the function whose body opens at index `opening`."""
    head = ""
    for line in reversed(code[:opening]):
        if not line.strip() or line[0] in "}#" or line.rstrip().endswith(";"):
            break
        head = line + " " + head
    match = re.search(r"(\w+)\s*\(", head)
    return match.group(1) if match else "?"


def check_lengths(path, code):
    opening = None
    for index, line in enumerate(code):
        if line.startswith("{"):
            opening = index
        elif line.startswith("}") and opening is not None:
            name = function_name(code, opening)
            recorder = room_of(path) in ("detect", "segment") and "record" in name
            limit = MAX_LINES_RECORDER if recorder else MAX_LINES
            n_lines = index - opening - 1
            if n_lines > limit:
                yield opening + 1, "length", f"{name}() has {n_lines} lines, more than {limit}"
            opening = None


def check_text(path, lines):
    if path.suffix in COMMENTED or path.name in COMMENTED_NAMES:
        first = lines[1] if lines and lines[0].startswith("#!") and len(lines) > 1 else (lines or [""])[0]
        if "SPDX-License-Identifier: Apache-2.0" not in first:
            yield 1, "spdx", "the first line (after #!) must be the SPDX line"
    if path.suffix in C_SUFFIXES and not NAME.match(path.name):
        yield 1, "name", f"{path.name}: lower case, digits and underscores"
    for number, line in enumerate(lines, 1):
        if "\t" in line and path.name != "Makefile":
            yield number, "tab", "spaces, not tabs"
        if line != line.rstrip():
            yield number, "blank", "blanks at the end of the line"
        for match in URL.finditer(line):
            if match.group(1).lower() not in HOSTS:
                yield number, "host", f"{match.group(1)} is not on the list of hosts that may be named"
        for match in MACHINE_PATH.finditer(line):
            yield number, "path", f"{match.group(1)} belongs to one machine"


def check_file(root, path):
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")
    yield from check_text(path, lines)
    if path.suffix in C_SUFFIXES:
        code = code_only(text).split("\n")
        yield from check_includes(path, lines)
        yield from check_calls(path, code)
        yield from check_lengths(path, code)


def files_of(root):
    """Tracked and new files of a checkout; every file of a folder that is none."""
    if (root / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        names = {name for name in listed.split("\0") if name}
    else:
        names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    for name in sorted(names):
        path = pathlib.PurePosixPath(name)
        if (root / path).is_file() and path.name != "LICENSE" and "corpus" not in path.parts and \
                (path.suffix in TEXT or path.name in COMMENTED_NAMES):
            yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    n_files = n_violations = 0
    for path in files_of(root):
        n_files += 1
        for number, rule, text in check_file(root, path):
            print(f"{path}:{number}: {rule}: {text}")
            n_violations += 1
    print(f"check_rules: {n_files} files, {n_violations} violations", file=sys.stderr)
    return 1 if n_violations else 0


if __name__ == "__main__":
    sys.exit(main())

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

# Each room of src/ and live/ and the rooms that it includes from: exactly the edges that there are. All of src/ sees base,
# all see the public headers; the two houses do not see each other.
EDGES = {
    "base": set(),
    "checkpoint": set(),
    "graph": set(),
    "telemetry": set(),
    "nets": {"checkpoint", "graph"},
    "nets/dfine": {"nets"},
    "nets/sam": {"nets"},
    "engine": {"graph"},
    "engine/cpu": {"engine", "graph"},
    "engine/cuda": {"engine", "engine/cuda/choice", "engine/cuda/device", "graph"},
    "engine/cuda/choice": {"engine", "graph"},
    "engine/cuda/device": {"telemetry"},
    "io": set(),
    "io/dicom": {"io", "io/images"},
    "io/export": {"io", "io/folder"},
    "io/folder": {"io"},
    "io/images": {"io"},
    "io/phantom": {"io"},
    "io/sequences": {"io"},
    "io/video": {"io"},
    "pipeline": {"engine", "graph", "nets", "telemetry"},
    "live/error": set(),
    "live/igtl": set(),
    "live/record": {"live/error"},
    "live/replay": {"live/error", "live/igtl"},
    "live/session": set(),
    "live/serve": {"live/error", "live/igtl", "live/record", "live/session", "live/web"},
    "live/web": {"live/error", "live/serve"},
}
# Files of a room that another one may include; of other rooms all.
PARTS = {("live/web", "live/serve"): {"serve/snapshot.h"}}
# The rooms of live/ that tools/ may include from.
TOOLS_SEE = {"live/record", "live/replay", "live/serve", "live/web"}

C_SUFFIXES = {".c", ".h", ".cu", ".cuh"}
COMMENTED = C_SUFFIXES | {".cpp", ".py", ".sh", ".cmake"}
COMMENTED_NAMES = {"CMakeLists.txt", "Containerfile", "Containerfile.cuda", "Makefile", "run"}
TEXT = COMMENTED | {".md", ".txt", ".json", ".in", ".1", ".svg", ".supp", ".xml", ".yml"}
NAME = re.compile(r"^[a-z][a-z0-9_]*\.(c|h|cu|cuh)$")

HEAP = "malloc calloc realloc free strdup strndup aligned_alloc posix_memalign asprintf vasprintf".split()
PROCESS = "exit _exit abort assert quick_exit printf vprintf puts putchar perror".split()
STREAM = "fprintf vfprintf fputs fputc putc".split()
STREAM_ROOMS = {"nets", "graph", "pipeline", "io", "io/folder"}
UNBOUNDED = "sprintf vsprintf strcpy strcat stpcpy gets atoi atol atoll atof strtok".split()

MAX_LINES = 80
MAX_LINES_RECORDER = 120
HOSTS = {"127.0.0.1", "github.com", "git-lfs.github.com", "www.apache.org", "arxiv.org", "www.w3.org", "openigtlink.org",
         "pytorch.org"}
URL = re.compile(r"\bhttps?://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
MACHINE_PATH = re.compile(r"""(?:^|[\s"'=(:,`])(/(?:home|root|Users|mnt|media|work|workspace|scratch|srv)/\S*)""")


def room_of(path):
    """The innermost room of EDGES that holds a file of src/ or live/, e.g. 'nets/dfine' or 'live/igtl'; the first folder
    where none does, None outside of both."""
    parts = path.parts
    if len(parts) >= 3 and parts[0] == "live":
        return "/".join(parts[:2])
    if len(parts) < 3 or parts[0] != "src":
        return None
    for depth in range(len(parts) - 1, 1, -1):
        room = "/".join(parts[1:depth])
        if room in EDGES:
            return room
    return parts[1]


def edges_of(path, lines):
    """(line number, target, its room) of each include of another room's file, for a file of src/ or live/."""
    room = room_of(path)
    house = "live" if path.parts[0] == "live" else "src"
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+/[^"]+)"', line)
        if room is None or not match or match.group(1).startswith("sonoseg/"):
            continue
        other = room_of(pathlib.PurePosixPath(house, match.group(1)))
        if other != room:
            yield number, match.group(1), other


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def code_only(text):
    """The text with comments, strings and character constants blanked, line by line as before."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text, flags=re.S)


def check_includes(path, lines):
    room = room_of(path)
    tool = path.parts[0] == "tools"
    binding = path.parts[0] == "bindings"
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not match or (room is None and not tool and not binding):
            continue
        parts = match.group(1).split("/")
        if ".." in parts:
            yield number, "include", f'"{match.group(1)}" climbs out of its folder'
        elif binding and parts[0] != "sonoseg" and len(parts) > 1:
            yield number, "include", f'"{match.group(1)}": bindings see only include/'
        elif tool and parts[0] != "sonoseg" and len(parts) > 1 and "live/" + parts[0] not in TOOLS_SEE:
            yield number, "include", f'"{match.group(1)}": tools see only include/ and {", ".join(sorted(TOOLS_SEE))}'
    for number, target, other in edges_of(path, lines):
        if ".." not in target and other != "base" and other not in EDGES.get(room, set()):
            yield number, "include", f'"{target}": {room} does not see {other}'
        elif target not in PARTS.get((room, other), {target}):
            yield number, "include", f'"{target}": {room} sees only {", ".join(sorted(PARTS[room, other]))} of {other}'


def banned(words, lines):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(words) + r")\s*\(")
    for number, line in enumerate(lines, 1):
        for match in pattern.finditer(line):
            yield number, match.group(1)


def check_calls(path, code):
    for number, word in banned(UNBOUNDED, code):
        yield number, "banned", f"{word}() has no bound or no error"
    room = room_of(path)
    if room is None or path.parts[0] == "live":
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
            recorder = (room_of(path) or "").startswith("nets/") and "record" in name
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
            if match.group(1).lower() not in HOSTS and not match.group(1).endswith(".example"): # nobody's, by RFC 2606
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


def unused_edges(root, used):
    """Edges of the law that no file uses, where the whole house is there."""
    if not (root / "src/pipeline").is_dir() or not (root / "src/engine/cuda").is_dir():
        return []
    return sorted((room, other) for room, others in EDGES.items() for other in others if (room, other) not in used)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root
    n_files = n_violations = 0
    used = set()
    for path in files_of(root):
        n_files += 1
        if path.suffix in C_SUFFIXES:
            lines = (root / path).read_text(encoding="utf-8", errors="replace").split("\n")
            used |= {(room_of(path), other) for _, _, other in edges_of(path, lines)}
        for number, rule, text in check_file(root, path):
            print(f"{path}:{number}: {rule}: {text}")
            n_violations += 1
    for room, other in unused_edges(root, used):
        print(f"scripts/check_rules.py: include: no file of {room} includes from {other}: take the edge out of the law")
        n_violations += 1
    print(f"check_rules: {n_files} files, {n_violations} violations", file=sys.stderr)
    return 1 if n_violations else 0


if __name__ == "__main__":
    sys.exit(main())

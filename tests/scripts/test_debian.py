#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What debian/ says twice, it says as the rest of the tree does: symbols, version, SONAME, what a build needs."""
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SONO_BUILD_DIR", ROOT / "build/release"))
LIBRARIES = {"libsonoseg1": "libsonoseg.so", "libsonoseg-io1": "libsonoseg-io.so"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def exported(library):
    """{"name@version", ...} of a shared library of this build."""
    listed = subprocess.run(["nm", "-D", "--defined-only", BUILD / "lib" / library], check=True, capture_output=True,
                            text=True).stdout
    return {line.split()[2].replace("@@", "@") for line in listed.splitlines() if "@" in line}


class Debian(unittest.TestCase):
    def test_symbols(self):
        for package, library in LIBRARIES.items():
            lines = read(f"debian/{package}.symbols").splitlines()
            self.assertRegex(lines[0], rf"^{re.escape(library)}\.\d+ {package} #MINVER#$")
            listed = {line.split()[0] for line in lines[2:]} - {"SONOSEG_1@SONOSEG_1"}
            there = {name for name in exported(library) if not name.startswith("SONOSEG_")}
            self.assertGreater(len(there), 20)
            self.assertEqual(sorted(there - listed), [],
                             f"debian/{package}.symbols lacks these: add ' NAME@SONOSEG_1 VERSION~' for each")
            self.assertEqual(sorted(listed - there), [], f"{library} lacks these, which is a break (docs/abi.md)")

    def test_soname(self):
        number = re.search(r"set\(SONO_SOVERSION (\d+)\)", read("cmake/SonoLibrary.cmake")).group(1)
        packages = set(re.findall(r"^Package: (lib\S+)$", read("debian/control"), re.M))
        self.assertEqual(packages, {f"libsonoseg{number}", f"libsonoseg-io{number}", "libsonoseg-dev"})

    def test_version(self):
        header = read("include/sonoseg/sonoseg.h")
        version = ".".join(re.search(rf"^#define SONO_VERSION_{part} (\d+)$", header, re.M).group(1)
                           for part in ("MAJOR", "MINOR", "PATCH"))
        package = re.match(r"sonoseg \(([^)]+)\)", read("debian/changelog")).group(1)
        self.assertEqual(package.split("~")[0], version, "the first entry of debian/changelog is of another release")

    def test_build_depends(self):
        control = read("debian/control")
        needed = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.M).group(1)
        names = set(re.findall(r"^ ([a-z0-9.+-]+)", needed, re.M)) - {"debhelper-compat"}
        groups = dict(re.findall(r'^(\w+)="([^"]*)"$', read("scripts/setup.sh"), re.M))
        installed = {name for group in ("build", "gstreamer", "deb") for name in groups[group].split()}
        self.assertEqual(sorted(names - installed), [],
                         "scripts/setup.sh deb does not install these")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What auditwheel does not look at: check_wheel.py WHEEL

The wheel is small, brings its licences and no library that is under the GPL, and is bound to nothing beside the C library.
Exit status 1 and a line for each fault.
"""
import pathlib
import sys
import zipfile

from elftools.elf.elffile import ELFFile

MAX_BYTES = 30_000_000
ALLOWED = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2",
           "ld-linux-aarch64.so.1"}
ALLOWED_WITH_CUDA = {"libstdc++.so.6", "libgcc_s.so.1"}
# Texts that only code of these libraries has: JBIG-KIT, the run times of Fortran and its 128-bit numbers, FFTW, GSL, readline.
GPL_MARKS = {b"JBIG-KIT": "JBIG-KIT", b"_gfortran_": "libgfortran", b"libquadmath": "libquadmath", b"fftw_": "FFTW",
             b"gsl_": "GSL", b"rl_readline": "readline"}


def read_elf(file):
    """The libraries that it needs, and the symbols that it hopes for: of no version, so of none of these libraries."""
    elf = ELFFile(file)
    needed = {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags() if tag.entry.d_tag == "DT_NEEDED"}
    symbols = elf.get_section_by_name(".dynsym")
    versions = elf.get_section_by_name(".gnu.version")
    hoped_for = set()
    for index, symbol in enumerate(symbols.iter_symbols()):
        is_open = symbol.entry.st_shndx == "SHN_UNDEF" and symbol.entry.st_info.bind == "STB_GLOBAL"
        if is_open and versions.get_symbol(index).entry.ndx in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL"):
            hoped_for.add(symbol.name)
    return needed, hoped_for


def faults_of(path):
    is_cuda = "cuda" in path.name.split("-")[2]
    allowed = ALLOWED | (ALLOWED_WITH_CUDA if is_cuda else set())
    if path.stat().st_size > MAX_BYTES and not is_cuda:
        yield f"{path.stat().st_size} bytes, more than {MAX_BYTES}"
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        for wanted in ("sonoseg/LICENSES.txt", "sonoseg/py.typed", "sonoseg/_core.abi3.so",
                       "sonoseg/libsonoseg-openblas.so.0"):
            if wanted not in names:
                yield f"{wanted} is missing"
        for name in names:
            if ".so" not in name:
                continue
            with wheel.open(name) as file:
                needed, hoped_for = read_elf(file)
            yield from (f"{name} needs {library}" for library in sorted(needed - allowed))
            yield from (f"{name} needs {symbol}(), which nobody has" for symbol in sorted(hoped_for)
                        if not symbol.startswith(("Py", "_Py")))
            data = wheel.read(name)
            yield from (f"{name} holds code of {what}" for mark, what in GPL_MARKS.items() if mark in data)


if __name__ == "__main__":
    faults = list(faults_of(pathlib.Path(sys.argv[1])))
    for fault in faults:
        print(f"{sys.argv[1]}: {fault}")
    sys.exit(1 if faults else 0)

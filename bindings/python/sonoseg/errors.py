# SPDX-License-Identifier: Apache-2.0
"""Errors of the library as exceptions, with its own text."""

from __future__ import annotations

import enum

from . import _core


class Status(enum.IntEnum):
    """What kind of error it is: `sono_status` of sonoseg.h."""

    OK = 0
    AGAIN = 1
    END = 2
    INVALID_ARGUMENT = 3
    OUT_OF_MEMORY = 4
    IO = 5
    FORMAT = 6
    UNSUPPORTED = 7
    MODEL_MISMATCH = 8
    LIMIT = 9
    NO_DEVICE = 10
    DEVICE = 11
    STATE = 12

    def __str__(self) -> str:
        return self.name


class Error(Exception):
    """Something that the library refused or that failed. `str()` is its text: one line that names file, place and reason.

    status: what kind it is; None for a kind that only a later library knows.
    where: the function or stage that found it.
    native_code: errno, or a device's error code; 0 = none.
    offset_bytes: the position in the file that the text names; -1 = none.
    """

    def __init__(self, text: str, status: Status | None = None, where: str = "", native_code: int = 0,
                 offset_bytes: int = -1) -> None:
        super().__init__(text)
        self.status = status
        self.where = where
        self.native_code = native_code
        self.offset_bytes = offset_bytes

    def __reduce__(self) -> tuple[type[Error], tuple[str, Status | None, str, int, int]]:
        return type(self), (str(self), self.status, self.where, self.native_code, self.offset_bytes)


class InvalidArgument(Error, ValueError):
    """A value that the library does not take: status INVALID_ARGUMENT or LIMIT."""


def make_error(status: int, text: str, where: str, native_code: int, offset_bytes: int) -> Error:
    """Called by the extension."""
    try:
        kind: Status | None = Status(status)
    except ValueError:
        kind = None
    of_value = kind in (Status.INVALID_ARGUMENT, Status.LIMIT)
    return (InvalidArgument if of_value else Error)(text, kind, where, native_code, offset_bytes)


_core.set_error(make_error)

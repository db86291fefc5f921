# SPDX-License-Identifier: Apache-2.0
"""What tests/support/live.py's OpenIGTLink leaves out: a stream in pieces to messages, heads of images, and checksums of bytes
that are sent again and again. Written from the protocol's documents (openigtlink.org) and not from live/igtl, so that a
mistake there does not check itself. Standard library only."""
import collections
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from live import EXTENDED, HEADER, crc64, pack  # noqa: E402, F401

IMAGE_HEAD_BYTES = 72


class Constant:
    """Bytes that are sent again and again: their part of a checksum costs 8 look-ups, however long they are. The checksum
    is linear: crc(state, data) = crc(state, zeros) ^ crc(0, data), and the first term is a sum over the state's bytes."""

    def __init__(self, data):
        self.data = bytes(data)
        self.crc = crc64(self.data)
        bits = [self._behind_zeros(1 << i, len(self.data)) for i in range(64)]
        self.tables = []
        for place in range(8):
            table = [0] * 256
            for value in range(1, 256):
                low = value & -value
                table[value] = table[value ^ low] ^ bits[8 * place + low.bit_length() - 1]
            self.tables.append(table)

    @staticmethod
    def _times_x8(columns, state):
        crc = 0
        for i in range(64):
            if state >> i & 1:
                crc ^= columns[i]
        return crc

    _powers = {}

    @classmethod
    def _behind_zeros(cls, state, n_bytes):
        """The state after n_bytes of zeros, by squaring the map of one byte."""
        if not cls._powers:
            cls._powers[0] = [crc64(b"\0", 1 << i) for i in range(64)]
        power = 0
        while n_bytes:
            if power not in cls._powers:
                half = cls._powers[power - 1]
                cls._powers[power] = [cls._times_x8(half, column) for column in half]
            if n_bytes & 1:
                state = cls._times_x8(cls._powers[power], state)
            n_bytes >>= 1
            power += 1
        return state

    def follow(self, state):
        """The checksum of what `state` is of, with these bytes behind."""
        crc = self.crc
        for place in range(8):
            crc ^= self.tables[place][state >> 8 * place & 255]
        return crc


def header(version, kind, device, timestamp, n_bytes, crc):
    return HEADER.pack(version, kind.encode(), device.encode(), timestamp, n_bytes, crc)


def body_parts(version, metadata, message_id):
    """What stands before and behind the content in a body: extended header and metadata; nothing in version 1."""
    if version == 1:
        return b"", b""
    index = struct.pack(">H", len(metadata))
    values = b""
    for key, value in metadata.items():
        key, value = key.encode(), value.encode()
        index += struct.pack(">HHI", len(key), 3, len(value))
        values += key + value
    return EXTENDED.pack(12, len(index), len(values), message_id), index + values


def image_head(width, height, matrix, n_components=1, scalar=3, coordinates=1):
    """matrix: 12 floats T, S, N, P."""
    return struct.pack(">HBBBB3H12f6H", 1, n_components, scalar, 2, coordinates, width, height, 1, *matrix, 0, 0, 0, width,
                       height, 1)


def status(code, name, text):
    return struct.pack(">Hq20s", code, 0, name.encode()) + text.encode() + b"\0"


def transform(matrix):
    return struct.pack(">12f", *matrix)


Message = collections.namedtuple("Message", "version kind device timestamp content metadata body_crc_ok received")


class Reader:
    """Bytes in pieces of any size to messages. Raises ValueError where the stream makes no sense: a sink under test must
    never send that."""

    def __init__(self, checks_crc=True, max_bytes=1 << 26):
        self.buffer = bytearray()
        self.checks_crc = checks_crc
        self.max_bytes = max_bytes

    def feed(self, data, now):
        self.buffer += data
        messages = []
        while len(self.buffer) >= HEADER.size:
            version, kind, device, timestamp, n_bytes, crc = HEADER.unpack_from(self.buffer)
            if version not in (1, 2) or n_bytes > self.max_bytes:
                raise ValueError(f"a header of version {version} that announces {n_bytes} bytes")
            if len(self.buffer) < HEADER.size + n_bytes:
                break
            body = bytes(self.buffer[HEADER.size:HEADER.size + n_bytes])
            del self.buffer[:HEADER.size + n_bytes]
            is_ok = not self.checks_crc or crc64(body) == crc
            content, metadata = self._split(version, body)
            messages.append(Message(version, kind.rstrip(b"\0").decode(), device.rstrip(b"\0").decode(), timestamp, content,
                                    metadata, is_ok, now))
        return messages

    @staticmethod
    def _split(version, body):
        if version == 1:
            return body, {}
        n_extended, n_index, n_values, _ = EXTENDED.unpack_from(body)
        content = body[n_extended:len(body) - n_index - n_values]
        index = body[len(body) - n_index - n_values:len(body) - n_values]
        values = body[len(body) - n_values:]
        metadata, at = {}, 0
        for i in range(struct.unpack_from(">H", index)[0] if index else 0):
            n_key, _, n_value = struct.unpack_from(">HHI", index, 2 + 8 * i)
            metadata[values[at:at + n_key].decode()] = values[at + n_key:at + n_key + n_value].decode()
            at += n_key + n_value
        return content, metadata

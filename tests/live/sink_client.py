# SPDX-License-Identifier: Apache-2.0
"""A client like 3D Slicer for tests: keeps every message with the time it came, and holds each mask against the image that it
claims to be of. The rule of the null engine: a pixel of 128 and above is marked. Standard library only."""
import collections
import json
import socket
import struct
import threading
import time

import igtl_wire
import live # igtl_wire has put its folder on the path
import plus_source

MARKS = [bytes(value if pixel >= 128 else 0 for pixel in range(256)) for value in range(256)]

# An IMAGE of the mask's device. sent: the source's record of its frame, None for an empty mask.
Mask = collections.namedtuple("Mask", "received timestamp sent message")


class SinkClient:
    """speaks_2: says so at once, so that metadata comes. bytes_per_s: 0 = reads as fast as it can."""

    def __init__(self, port, host="127.0.0.1", speaks_2=True, bytes_per_s=0, checks_crc=True, keeps=1000000):
        self.messages = collections.deque(maxlen=keeps)
        self.wrong = None # what broke the stream
        self.is_over = False
        self.bytes_per_s = bytes_per_s
        self.changed = threading.Condition()
        self.reader = igtl_wire.Reader(checks_crc)
        self.socket = socket.create_connection((host, port), 5)
        self.socket.settimeout(None)
        self.address = "{}:{}".format(*self.socket.getsockname()[:2])
        if speaks_2:
            self.socket.sendall(live.hello())
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while True:
                data = self.socket.recv(max(1, self.bytes_per_s // 10) if self.bytes_per_s else 1 << 18)
                if not data:
                    break
                messages = self.reader.feed(data, time.monotonic())
                with self.changed:
                    self.messages.extend(messages)
                    self.changed.notify_all()
                if self.bytes_per_s:
                    time.sleep(0.1)
        except OSError:
            pass
        except ValueError as error:
            self.wrong = str(error)
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.thread.join()

    def wait_for(self, is_wanted, timeout_s, since=0.0):
        """The first message from `since` (monotonic) on that is wanted; None where none comes in time."""
        deadline = time.monotonic() + timeout_s
        n_seen = 0
        with self.changed:
            while True:
                messages = list(self.messages)
                for message in messages[n_seen:]:
                    if message.received >= since and is_wanted(message):
                        return message
                n_seen = len(messages) if len(messages) < self.messages.maxlen else 0
                left = deadline - time.monotonic()
                if left <= 0 or self.is_over:
                    return None
                self.changed.wait(left)

    def copy(self):
        with self.changed:
            return list(self.messages)

    def statuses(self):
        """(received, code, name, text) of each STATUS."""
        return [(message.received, *status_of(message)) for message in self.copy() if message.kind == "STATUS"]

    def kpis(self):
        """(received, object) of each KPI STRING."""
        return [(message.received, json.loads(message.content[4:])) for message in self.copy() if message.kind == "STRING"]


def status_of(message):
    """(code, name, text)"""
    code, _, name = struct.unpack_from(">Hq20s", message.content)
    return code, name.rstrip(b"\0").decode(), message.content[30:].rstrip(b"\0").decode()


def is_mask(message, device="BoneMask"):
    return message.kind == "IMAGE" and message.device == device


def is_empty(message):
    return not any(message.content[igtl_wire.IMAGE_HEAD_BYTES:])


def geometry(head):
    """All of a head but components and scalar type."""
    return head[:2] + head[4:]


def check_mask(message, source, mask_value=1):
    """A Mask of a message, or AssertionError: it is the mask of one frame of the source, bit for bit, or empty with a time
    that no frame has."""
    head, pixels = message.content[:igtl_wire.IMAGE_HEAD_BYTES], message.content[igtl_wire.IMAGE_HEAD_BYTES:]
    sent = source.sent.get(message.timestamp)
    assert message.body_crc_ok, "a mask's checksum does not fit"
    if sent is None:
        assert is_empty(message), f"a mask with the time of no frame ({message.timestamp:016x}) is not empty"
        assert not message.metadata or message.metadata.get("State") == "LOST", message.metadata
        assert not message.metadata or message.metadata.get("Reason") not in (None, "OK"), message.metadata
        return Mask(message.received, message.timestamp, None, message)
    assert geometry(head) == geometry(sent.head), f"frame {sent.counter}: the mask has another geometry"
    assert head[2:4] == b"\1\3", f"frame {sent.counter}: components and scalar type {head[2:4]!r}"
    expected = plus_source.pixels_of(sent.counter, sent.width, sent.height).translate(MARKS[mask_value])
    assert pixels == expected, f"frame {sent.counter}: this is not its mask"
    assert sent.is_good, f"frame {sent.counter} was not fit to be analysed"
    return Mask(message.received, message.timestamp, sent, message)


def check_masks(messages, source, max_age_s, mask_value=1, device="BoneMask"):
    """Every mask among the messages: of its frame, in order, none twice, none older than max_age_s when it came. Returns
    them as Masks."""
    masks = [check_mask(message, source, mask_value) for message in messages if is_mask(message, device)]
    last = 0
    for mask in masks:
        if mask.sent:
            assert mask.sent.counter > last, f"frame {mask.sent.counter} after {last}: a stale mask"
            last = mask.sent.counter
            age_s = mask.received - mask.sent.sent
            assert age_s <= max_age_s, f"frame {mask.sent.counter} is {age_s:.3f} s old: a stale mask"
    return masks


def check_kpi(kpi):
    """received = processed + dropped + waiting + in the engine."""
    parts = kpi["processed"] + kpi["dropped"] + kpi["waiting"] + kpi["in_engine"]
    assert kpi["received"] == parts, f"{kpi['received']} received, {parts} accounted for: {kpi}"
    assert kpi["dropped"] == sum(kpi["drops"].values()), kpi

# SPDX-License-Identifier: Apache-2.0
"""The peers of the fault, soak and interop tests are no better than what they notice: each kind of wrong mask must be found, and
the proxy must do what it says. No service needed."""
import os
import pathlib
import random
import socket
import sys
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

import fault_proxy  # noqa: E402
import igtl_wire  # noqa: E402
import plus_source  # noqa: E402
import sink_client  # noqa: E402

WIDTH, HEIGHT = 40, 30


def test_checksums():
    assert igtl_wire.crc64(b"123456789") == 0x6C40DF5F0B497347
    for n_bytes in (0, 1, 7, 300, 70000):
        data = os.urandom(n_bytes)
        constant = igtl_wire.Constant(data)
        for state in (0, 1, 0x123456789ABCDEF0):
            assert constant.follow(state) == igtl_wire.crc64(data, state), n_bytes


def test_stream_in_pieces():
    """Any pieces give the same messages."""
    dice = random.Random(1)
    sent = [live.pack("STATUS", igtl_wire.status(1, f"S{i}", "x" * i), "d", 1 + i % 2, i, {"k": "v" * i}) for i in range(50)]
    stream, reader, messages = b"".join(sent), igtl_wire.Reader(), []
    while stream:
        n_bytes = dice.randrange(1, 90)
        messages += reader.feed(stream[:n_bytes], 0.0)
        stream = stream[n_bytes:]
    assert [message.timestamp for message in messages] == list(range(50))
    assert all(message.body_crc_ok for message in messages)
    assert [sink_client.status_of(message)[1] for message in messages] == [f"S{i}" for i in range(50)]
    assert messages[49].metadata == {"k": "v" * 49} and messages[48].metadata == {}


def frame(counter, sent=0.0):
    head = igtl_wire.image_head(WIDTH, HEIGHT, plus_source.MATRIX)
    return plus_source.Sent(counter, 1000 + counter, WIDTH, HEIGHT, head, sent, True)


def mask_of(sent, received=0.0, **changes):
    pixels = plus_source.pixels_of(sent.counter, WIDTH, HEIGHT).translate(sink_client.MARKS[1])
    fields = {"version": 2, "kind": "IMAGE", "device": "BoneMask", "timestamp": sent.timestamp, "content": sent.head + pixels,
              "metadata": {"State": "VISIBLE", "Reason": "OK"}, "body_crc_ok": True, "received": received}
    return igtl_wire.Message(**{**fields, **changes})


def empty_mask(received=0.0, **changes):
    head = igtl_wire.image_head(WIDTH, HEIGHT, plus_source.MATRIX)
    return mask_of(frame(0), received, timestamp=5, content=head + bytes(WIDTH * HEIGHT),
                   metadata={"State": "LOST", "Reason": "NO_SOURCE"}, **changes)


def complaint(*messages, n_frames=3, max_age_s=1.0):
    """What check_masks says, None where all is well."""
    source = types.SimpleNamespace(sent={1000 + i: frame(i) for i in range(1, n_frames + 1)})
    try:
        sink_client.check_masks(messages, source, max_age_s)
        return None
    except AssertionError as error:
        return str(error)


def test_good_masks_pass():
    assert complaint(mask_of(frame(1)), empty_mask(), mask_of(frame(3), 0.9)) is None


def test_wrong_masks_are_found():
    good = mask_of(frame(2))
    flipped = bytearray(good.content)
    flipped[-1] ^= 1
    moved = bytearray(good.content)
    moved[15] ^= 1 # of the matrix
    for text, messages in [
            ("after 2: a stale mask", [good, mask_of(frame(1))]),
            ("after 2: a stale mask", [good, empty_mask(), mask_of(frame(2))]),
            ("s old: a stale mask", [mask_of(frame(2), received=1.1)]),
            ("this is not its mask", [good._replace(content=bytes(flipped))]),
            ("this is not its mask", [good._replace(content=mask_of(frame(1)).content)]),
            ("another geometry", [good._replace(content=bytes(moved))]),
            ("the time of no frame", [good._replace(timestamp=77)]),
            ("checksum", [good._replace(body_crc_ok=False)]),
            ("OK", [empty_mask()._replace(metadata={"State": "LOST", "Reason": "OK"})])]:
        found = complaint(*messages)
        assert found and text in found, (text, found)


def test_kpi_that_does_not_add_up():
    kpi = {"received": 10, "processed": 5, "dropped": 3, "waiting": 1, "in_engine": 1, "drops": {"late": 3}}
    sink_client.check_kpi(kpi)
    for key in ("received", "processed", "dropped", "waiting", "in_engine"):
        try:
            sink_client.check_kpi({**kpi, key: kpi[key] + 1})
        except AssertionError:
            continue
        raise AssertionError(f"{key} + 1 is not noticed")


class Echo:
    """A server that the proxy stands before: sends what it is told, and keeps what it hears."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = fault_proxy.FaultProxy(self.listener.getsockname())
        self.client = socket.create_connection(("127.0.0.1", self.proxy.port))
        self.client.settimeout(0.3)
        self.server, _ = self.listener.accept()
        self.server.sendall(b"!") # behind it the proxy has both sides
        assert self.client.recv(1) == b"!"

    def heard(self):
        """What comes in 0.3 s; "cut" or "reset" at an end."""
        data = b""
        try:
            while True:
                piece = self.client.recv(65536)
                if not piece:
                    return data, "cut"
                data += piece
        except ConnectionResetError:
            return data, "reset"
        except TimeoutError:
            return data, ""

    def close(self):
        self.client.close()
        self.server.close()
        self.listener.close()
        self.proxy.close()


def proxied(test):
    def run():
        echo = Echo()
        try:
            test(echo)
        finally:
            echo.close()
    run.__name__ = test.__name__
    return run


@proxied
def test_proxy_forwards_and_cuts(echo):
    echo.server.sendall(b"abc")
    assert echo.heard() == (b"abc", "")
    echo.proxy.cut()
    assert echo.heard() == (b"", "cut")


@proxied
def test_proxy_resets(echo):
    echo.proxy.reset()
    assert echo.heard() == (b"", "reset")


@proxied
def test_proxy_is_silent(echo):
    echo.proxy.silence()
    echo.server.sendall(b"abc")
    assert echo.heard() == (b"", "")
    echo.proxy.speak()
    assert echo.heard() == (b"abc", "")
    echo.proxy.lose()
    echo.server.sendall(b"def")
    assert echo.heard() == (b"", "")


@proxied
def test_proxy_sends_half(echo):
    echo.proxy.half_then(4, "reset")
    echo.server.sendall(b"abc")
    assert echo.heard() == (b"abc", "")
    echo.server.sendall(b"def")
    assert echo.heard()[1] == "reset"


@proxied
def test_proxy_delays_and_garbles(echo):
    echo.proxy.delay(0.4)
    began = time.monotonic()
    echo.server.sendall(b"abc")
    assert echo.heard() == (b"", "")
    assert echo.heard() == (b"abc", "") and time.monotonic() - began >= 0.4
    echo.proxy.delay(0)
    echo.proxy.garbage(10)
    echo.server.sendall(b"def")
    data, _ = echo.heard()
    assert len(data) == 13 and data.endswith(b"def")
    echo.proxy.trickle(3)
    echo.server.sendall(b"ghijk")
    assert echo.heard()[0] == b"ghijk"


@proxied
def test_proxy_refuses(echo):
    echo.proxy.refuse()
    try:
        socket.create_connection(("127.0.0.1", echo.proxy.port), 0.3).close()
        raise AssertionError("it was taken")
    except OSError:
        pass
    echo.proxy.accept()
    socket.create_connection(("127.0.0.1", echo.proxy.port), 0.3).close()


if __name__ == "__main__":
    sys.exit(live.run_tests([value for name, value in list(globals().items()) if name.startswith("test_")]))

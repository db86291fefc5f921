# SPDX-License-Identifier: Apache-2.0
"""The live commands as processes, and a small OpenIGTLink of its own: what tests and measurements of `serve`, `replay` and
`record` share. Standard library only."""
import atexit
import collections
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SKIPPED = 77
ROOT = pathlib.Path(os.environ.get("SONO_SOURCE_DIR") or pathlib.Path(__file__).resolve().parents[2])


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(SKIPPED)


def command():
    """The built command; skips the test without it."""
    path = os.environ.get("SONO_COMMAND") or ROOT / "build/release/bin/sonoseg"
    if not os.access(path, os.X_OK):
        skip("no command (SONO_COMMAND)")
    return str(path)


def shared(name):
    """A folder of the reference material, or None."""
    path = pathlib.Path(os.environ.get("SONO_SHARED") or ROOT.parent / "shared") / name
    return path if path.is_dir() else None


def need_packages(*names):
    """Goes on in build/venv's Python when a package is missing here; skips where that has none either."""
    try:
        for name in names:
            __import__(name)
    except ImportError:
        python = ROOT / "build/venv/bin/python"
        if not python.exists() or os.environ.get("SONO_IN_VENV"):
            skip(f"no {', '.join(names)} (scripts/venv.sh)")
        os.environ["SONO_IN_VENV"] = "1"
        sys.stdout.flush()
        os.execv(python, [str(python), *sys.argv])


def folder():
    """A folder that goes away with the process."""
    holder = tempfile.TemporaryDirectory(prefix="sonoseg-live-")
    atexit.register(holder.cleanup)
    return pathlib.Path(holder.name)


# ---- processes ----------------------------------------------------------------------------------------------------------


class Process:
    """A command under way. Its lines are kept; what is still running at the end of the test is killed."""

    def __init__(self, *words, ready=None, timeout_s=60):
        self.words = [str(word) for word in words]
        self.process = subprocess.Popen([command(), *self.words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace")
        atexit.register(self.kill)
        self.lines = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port = int(self.wait_line(ready, timeout_s).group(1)) if ready else None

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()

    @property
    def pid(self):
        return self.process.pid

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_line(self, pattern, timeout_s=30):
        """The match of the first line that has the pattern."""
        deadline, at = time.monotonic() + timeout_s, 0
        with self.news:
            while True:
                for line in self.lines[at:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                at = len(self.lines)
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise AssertionError(f"{' '.join(self.words)} ended without '{pattern}':\n{self.text}")
                if time.monotonic() > deadline:
                    raise AssertionError(f"{' '.join(self.words)}: no '{pattern}' in {timeout_s} s:\n{self.text}")
                self.news.wait(0.1)

    def stop(self, number=signal.SIGTERM, timeout_s=30):
        """Signals it, waits and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s=60):
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{' '.join(self.words)} does not end:\n{self.text}") from None
        self.reader.join(5)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def replay(*words, timeout_s=120):
    return Process("replay", *words, "--listen", "127.0.0.1:0", ready=r"^listening on .*?:(\d+): ", timeout_s=timeout_s)


def serve(source_port, *words, listen="127.0.0.1:0"):
    return Process("serve", "--source-address", f"127.0.0.1:{source_port}", "--sink-listen", listen, *words,
                   ready=r"ready: listening on .*?:(\d+);")


def run(*words, timeout_s=60):
    return subprocess.run([command(), *[str(word) for word in words]], capture_output=True, text=True, errors="replace",
                          timeout=timeout_s, check=False)


# ---- the wire -----------------------------------------------------------------------------------------------------------

HEADER = struct.Struct(">H12s20sQQQ")
EXTENDED = struct.Struct(">HHII")
Message = collections.namedtuple("Message", "version type device timestamp content metadata crc body")


def _make_table():
    table = []
    for byte in range(256):
        value = byte << 56
        for _ in range(8):
            value = (value << 1) ^ (0x42F0E1EBA9EA3693 if value >> 63 else 0)
            value &= 0xFFFFFFFFFFFFFFFF
        table.append(value)
    return table


CRC_TABLE = _make_table()


def crc64(data, crc=0):
    for byte in data:
        crc = CRC_TABLE[(crc >> 56) ^ byte] ^ ((crc << 8) & 0xFFFFFFFFFFFFFFFF)
    return crc


def pack(kind, content, device="test", version=2, timestamp=0, metadata=None, message_id=1):
    body = content
    if version > 1:
        metadata = metadata or {}
        index = struct.pack(">H", len(metadata))
        values = b""
        for key, value in metadata.items():
            index += struct.pack(">HHI", len(key.encode()), 106, len(value.encode()))
            values += key.encode() + value.encode()
        body = EXTENDED.pack(12, len(index), len(values), message_id) + content + index + values
    return HEADER.pack(version, kind.encode(), device.encode(), timestamp, len(body), crc64(body)) + body


def hello():
    """A STATUS of header version 2, as 3D Slicer opens with."""
    return pack("STATUS", struct.pack(">Hq20s", 1, 0, b"") + b"\0", metadata={"dummy": "metadata"})


def _exactly(stream, n_bytes):
    data = stream.read(n_bytes)
    if len(data) < n_bytes:
        raise EOFError
    return data


def read_message(stream):
    """The next message of a binary stream; EOFError at its end."""
    version, kind, device, timestamp, n_bytes, crc = HEADER.unpack(_exactly(stream, HEADER.size))
    body = _exactly(stream, n_bytes)
    content, metadata = body, {}
    if version > 1:
        extended, index_bytes, metadata_bytes, _ = EXTENDED.unpack(body[:12])
        end = len(body) - index_bytes - metadata_bytes
        content = body[extended:end]
        index, at = body[end:end + index_bytes], end + index_bytes
        for entry in range(struct.unpack(">H", index[:2])[0]):
            n_key, _, n_value = struct.unpack(">HHI", index[2 + 8 * entry:10 + 8 * entry])
            metadata[body[at:at + n_key].decode()] = body[at + n_key:at + n_key + n_value].decode()
            at += n_key + n_value
    return Message(version, kind.rstrip(b"\0").decode(), device.rstrip(b"\0").decode(), timestamp, content, metadata, crc,
                   body)


class Client:
    """A client that reads what a server sends."""

    def __init__(self, port, speaks=True, timeout_s=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb", 1 << 20)
        if speaks:
            self.socket.sendall(hello())

    def next(self):
        return read_message(self.stream)

    def find(self, kind, device=None, version=None):
        while True:
            message = self.next()
            if message.type == kind and device in (None, message.device) and version in (None, message.version):
                return message

    def close(self):
        self.stream.close()
        self.socket.close()


# ---- tests --------------------------------------------------------------------------------------------------------------


def run_tests(tests):
    """Runs functions in their order, prints a line each; the exit status of the test."""
    failures = 0
    for test in tests:
        began = time.monotonic()
        try:
            test()
            print(f"ok      {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except AssertionError as error:
            failures += 1
            import traceback
            traceback.print_exc(file=sys.stdout)
            print(f"FAILED  {test.__name__}: {error}", flush=True)
    return 1 if failures else 0

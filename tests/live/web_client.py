# SPDX-License-Identifier: Apache-2.0
"""A page's side of the web service for tests: HTTP requests as they are typed, WebSockets, server-sent events. Standard library
only."""
import base64
import collections
import hashlib
import json
import os
import socket
import struct
import time

Answer = collections.namedtuple("Answer", "status headers body")
Picture = collections.namedtuple("Picture", "received head jpeg")

import live # the tests' folder is on the path: whoever imports this has it from plus_source

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HOST = "127.0.0.1"


def serve(source_port, *flags):
    """The service with a page, and the page's port; skips where this build has none."""
    try:
        service = live.serve(source_port, "--engine-kind", "null", "--web-listen", f"{HOST}:0", *flags)
    except AssertionError as error:
        if "this build has no web service" in str(error):
            live.skip("built without civetweb or libturbojpeg")
        raise
    return service, int(service.wait_line(r"page: http://127.0.0.1:(\d+)/").group(1))


def _head(data):
    lines = data.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(lines[0].split()[1]), headers


def raw(port, data, timeout_s=10, host=HOST):
    """Whatever comes back for these bytes, until the service closes the connection."""
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.sendall(data)
        parts = []
        try:
            while part := connection.recv(1 << 16):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def parse(data):
    head, _, body = data.partition(b"\r\n\r\n")
    status, headers = _head(head)
    return Answer(status, headers, body)


def request(port, path, method="GET", body=None, timeout_s=10, headers=None, host=None):
    """host: the Host header, "" = none."""
    lines = [f"{method} {path} HTTP/1.1"]
    fields = {"Host": f"{HOST}:{port}" if host is None else host}
    if body is not None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields.update({"Content-Type": "application/json", "Content-Length": str(len(body))})
    fields.update(headers or {})
    lines += [f"{name}: {value}" for name, value in fields.items() if value != ""]
    return parse(raw(port, "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""), timeout_s))


def get_json(port, path, **options):
    answer = request(port, path, **options)
    assert answer.headers["content-type"] == "application/json", answer
    return answer.status, json.loads(answer.body)


class Socket:
    """A WebSocket. receive() answers pings by itself."""

    def __init__(self, port, path, headers=None, buffer_bytes=0, timeout_s=10):
        self.connection = socket.socket()
        if buffer_bytes:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.connection.settimeout(timeout_s)
        self.connection.connect((HOST, port))
        self.kept = b""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {"Host": f"{HOST}:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                  "Sec-WebSocket-Version": "13"}
        fields.update(headers or {})
        self.connection.sendall((f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
                                 + "\r\n").encode())
        while b"\r\n\r\n" not in self.kept:
            part = self.connection.recv(1 << 16)
            if not part:
                break
            self.kept += part
        head, _, self.kept = self.kept.partition(b"\r\n\r\n")
        self.status, self.headers = _head(head)
        if self.status == 101:
            wanted = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            assert self.headers["sec-websocket-accept"] == wanted, "not the accept of our key"

    def _take(self, n_bytes):
        while len(self.kept) < n_bytes:
            part = self.connection.recv(1 << 18)
            if not part:
                raise ConnectionError("closed")
            self.kept += part
        taken, self.kept = self.kept[:n_bytes], self.kept[n_bytes:]
        return taken

    def frame(self):
        first, second = self._take(2)
        assert first & 0x80 and not second & 0x80, "a server's frames are whole and not masked"
        n_bytes = second & 127
        if n_bytes == 126:
            n_bytes, = struct.unpack(">H", self._take(2))
        elif n_bytes == 127:
            n_bytes, = struct.unpack(">Q", self._take(8))
        return first & 15, self._take(n_bytes)

    def send(self, opcode, payload=b"", is_masked=True, first=None):
        mask = os.urandom(4)
        head = bytes([first if first is not None else 0x80 | opcode])
        length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
        length = bytes([length[0] | (0x80 if is_masked else 0)]) + length[1:]
        body = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload)) if is_masked else payload
        self.connection.sendall(head + length + (mask if is_masked else b"") + body)

    def receive(self):
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.send(PONG, payload)
            else:
                return opcode, payload

    def receive_json(self, wanted=None, timeout_s=5):
        """The next message, or the next of this type."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            opcode, payload = self.receive()
            assert opcode == TEXT, (opcode, payload)
            message = json.loads(payload)
            if wanted is None or message["type"] == wanted:
                return message
        raise AssertionError(f"no message of type {wanted}")

    def receive_picture(self):
        opcode, payload = self.receive()
        assert opcode == BINARY and payload[:4] == b"SWF1", (opcode, payload[:20])
        n_head, n_jpeg = struct.unpack("<II", payload[4:12])
        assert len(payload) == 12 + n_head + n_jpeg
        return Picture(time.monotonic(), json.loads(payload[12:12 + n_head]), payload[12 + n_head:])

    def close(self):
        self.connection.close()


class Events:
    """Server-sent events."""

    def __init__(self, port, last=None, timeout_s=10):
        self.connection = socket.create_connection((HOST, port), timeout_s)
        self.connection.sendall((f"GET /api/events HTTP/1.1\r\nHost: {HOST}:{port}\r\n" +
                                 (f"Last-Event-ID: {last}\r\n" if last is not None else "") + "\r\n").encode())
        self.stream = self.connection.makefile("rb")
        self.status = int(self.stream.readline().split()[1])
        self.headers = {}
        while (line := self.stream.readline().strip()):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()

    def next(self):
        """(id, name, data) of the next event."""
        fields = {}
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError("closed")
            line = line.decode().rstrip("\n")
            if not line and "data" in fields:
                return int(fields["id"]), fields["event"], json.loads(fields["data"])
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value

    def close(self):
        self.connection.close()

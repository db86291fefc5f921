#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server like PlusServer for tests: IMAGEs at a rate whose pixels say which frame they are, exact timestamps, TRANSFORMs,
metadata, and every nuisance that a real one is known for. Speaks version 1 until a client has sent version 2. A client
that is slow loses the oldest of 100 queued messages, as with Plus.

    plus_source.py [--port 18944] [--rate 60] [--size 640x480]

As a module: PlusSource(...) runs in threads of its own until close(). Standard library only.
"""
import argparse
import collections
import socket
import struct
import threading
import time

import igtl_wire

QUEUE_MESSAGES = 100
KEEP_ALIVE_S = 0.25
COUNTER_BITS = 32 # of the first row: a pixel each, 0 or 255
FIRST_SECOND = 1700000000
MATRIX = (0.1, 0.02, 0.0, -0.02, 0.1, 0.0, 0.0, 0.0, 1.0, 12.5, -7.25, 33.0)
INVALID_MATRIX = (0.0,) * 12


def counter_pixels(counter):
    return bytes(255 if counter >> i & 1 else 0 for i in range(COUNTER_BITS))


def rest_pixels(width, height):
    """All but the counter: a bright ellipse on dark ground."""
    rows = []
    for y in range(height):
        dy = (2 * y + 1 - height) / height
        rows.append(bytes(200 if ((2 * x + 1 - width) / width) ** 2 + dy * dy < 0.36 else 40 for x in range(width)))
    return b"".join(rows)[COUNTER_BITS:]


_rests = {}


def rest_of(width, height):
    """(pixels, their Constant) of a size; made once."""
    if (width, height) not in _rests:
        pixels = rest_pixels(width, height)
        _rests[width, height] = igtl_wire.Constant(pixels)
    return _rests[width, height]


def pixels_of(counter, width, height):
    return counter_pixels(counter) + rest_of(width, height).data


# What was sent of a frame. timestamp: raw; sent: monotonic seconds; is_good: the service can use it.
Sent = collections.namedtuple("Sent", "counter timestamp width height head sent is_good")


class _Client:
    """One connection: a queue, a thread that writes and one that reads."""

    def __init__(self, source, connection):
        self.source = source
        self.connection = connection
        self.version = 1
        self.queue = collections.deque()
        self.ready = threading.Condition()
        self.is_over = False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._write, self._read)]
        for thread in self.threads:
            thread.start()

    def put(self, make):
        """make(version) gives the bytes; called when their turn comes."""
        with self.ready:
            if len(self.queue) >= QUEUE_MESSAGES:
                self.queue.popleft()
            self.queue.append(make)
            self.ready.notify()

    def _write(self):
        try:
            while True:
                with self.ready:
                    while not self.queue and not self.is_over:
                        self.ready.wait(1.0)
                    if self.is_over:
                        return
                    make = self.queue.popleft()
                self.connection.sendall(make(self.version))
        except OSError:
            self.close()

    def _read(self):
        reader = igtl_wire.Reader(checks_crc=True)
        try:
            while True:
                data = self.connection.recv(4096)
                if not data:
                    break
                for message in reader.feed(data, time.monotonic()):
                    self.source.heard.append(message)
                    if message.version == 2:
                        self.version = 2
        except (OSError, ValueError):
            pass
        self.close()

    def close(self, is_reset=False):
        with self.ready:
            if self.is_over:
                return
            self.is_over = True
            self.ready.notify()
        try:
            if is_reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.shutdown(socket.SHUT_RD) # wakes the reader, which holds the socket; the peer sees nothing
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()


class PlusSource:
    """sent: every IMAGE by its raw timestamp. heard: messages of clients."""

    def __init__(self, port=0, rate_hz=60.0, width=64, height=48, device="Image_Reference", metadata=True, n_transforms=1,
                 host="127.0.0.1"):
        self.host, self.rate_hz, self.device = host, rate_hz, device
        self.width, self.height = width, height
        self.metadata, self.n_transforms = metadata, n_transforms
        self.is_paused = False  # no images, keep-alive goes on
        self.is_silent = False  # nothing at all
        self.is_invalid = False # transforms
        self.n_bad_crc = 0      # of the next images
        self.jump_s = 0         # of the source's clock
        self.scalar = 3
        self.sent = {}
        self.heard = collections.deque(maxlen=1000)
        self.counter = 0
        self.clients = []
        self.lock = threading.RLock()
        self.is_over = False
        self.listener = None
        self.port = port
        self._listen()
        self.clock = threading.Thread(target=self._run, daemon=True)
        self.clock.start()

    # ---- connections ----

    def _listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(16)
        self.listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.clients = [client for client in self.clients if not client.is_over] + [_Client(self, connection)]

    def stop_listening(self, is_reset=False):
        """As a source that is shut down: connections are closed, new ones refused, until listen_again()."""
        with self.lock:
            try:
                self.listener.shutdown(socket.SHUT_RDWR) # wakes accept()
            except OSError:
                pass
            self.listener.close()
            for client in self.clients:
                client.close(is_reset)
            self.clients = []

    def listen_again(self):
        self._listen()

    def close(self):
        self.is_over = True
        self.stop_listening()
        self.clock.join()

    def put(self, make):
        with self.lock:
            for client in self.clients:
                client.put(make)

    # ---- messages ----

    def timestamp(self):
        """Raw, unlike all before: the counter is in its last 24 bits."""
        now = FIRST_SECOND + self.jump_s + time.time() % 1000000
        return int(now) << 32 | (int(now % 1 * (1 << 8)) & 255) << 24 | self.counter & 0xFFFFFF

    def _image(self, sent, crc_error):
        head = sent.head
        rest = rest_of(sent.width, sent.height)
        counter = counter_pixels(sent.counter)
        metadata = {"Counter": str(sent.counter), "ImageToReferenceTransform": " ".join(["1"] * 16),
                    "ImageToReferenceTransformStatus": "INVALID" if self.is_invalid else "OK"} if self.metadata else {}

        def make(version):
            before, behind = igtl_wire.body_parts(version, metadata, sent.counter & 0xFFFFFFFF)
            crc = igtl_wire.crc64(behind, rest.follow(igtl_wire.crc64(before + head + counter))) ^ crc_error
            n_bytes = len(before) + len(head) + len(counter) + len(rest.data) + len(behind)
            start = igtl_wire.header(version, "IMAGE", self.device, sent.timestamp, n_bytes, crc)
            return b"".join((start, before, head, counter, rest.data, behind))
        return make

    def send_image(self):
        """One IMAGE and its TRANSFORMs, now."""
        with self.lock:
            self.counter += 1
            crc_error = 1 if self.n_bad_crc > 0 else 0
            self.n_bad_crc -= crc_error
            head = igtl_wire.image_head(self.width, self.height, MATRIX, scalar=self.scalar)
            sent = Sent(self.counter, self.timestamp(), self.width, self.height, head, time.monotonic(),
                        not crc_error and self.scalar == 3)
            self.sent[sent.timestamp] = sent
            matrix = INVALID_MATRIX if self.is_invalid else MATRIX
            for i in range(self.n_transforms):
                name = "ImageToReference" if i == 0 else f"Tool{i}ToReference"
                self.put(lambda version, name=name: igtl_wire.pack("TRANSFORM", igtl_wire.transform(matrix), name, version,
                                                                   sent.timestamp))
            self.put(self._image(sent, crc_error))
            return sent

    def burst(self, n_images):
        return [self.send_image() for _ in range(n_images)]

    def send_unknown(self, n_bytes=100):
        self.put(lambda version: igtl_wire.pack("SONOTEST", b"\xa5" * n_bytes, "Unknown", version))

    def send_bytes(self, data):
        self.put(lambda version: data)

    def _run(self):
        due = time.monotonic()
        told = 0.0
        while not self.is_over:
            now = time.monotonic()
            if self.is_silent or self.is_paused or self.rate_hz <= 0:
                if not self.is_silent and now - told >= KEEP_ALIVE_S:
                    told = now
                    self.put(lambda version: igtl_wire.pack("STATUS", igtl_wire.status(1, "OK", ""), "Plus", version))
                time.sleep(0.01)
                due = time.monotonic()
                continue
            if now < due:
                time.sleep(due - now)
            self.send_image()
            due += 1.0 / self.rate_hz
            if time.monotonic() - due > 1.0: # the machine slept: no flood afterwards
                due = time.monotonic()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=18944)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--size", default="640x480")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    source = PlusSource(arguments.port, arguments.rate, width, height)
    print(f"plus_source: port {source.port}", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        source.close()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
# labels: slow serial timeout=180
"""What pages and strangers may cost: many streams, slow and dead ones, requests that do not end, far too many connections. Frames
flow on, nothing is lost for them, memory stays bounded, and the service answers as soon as there is room again."""
import contextlib
import os
import select
import socket
import time

import plus_source
import sink_client
import web_client

RATE_HZ = 25
WIDTH, HEIGHT = 320, 240
MAX_GROWTH_MB = 64


def resident_mb(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


class World:
    def __init__(self):
        self.source = plus_source.PlusSource(rate_hz=RATE_HZ, width=WIDTH, height=HEIGHT)
        self.service, self.port = web_client.serve(self.source.port)
        self.sink = sink_client.SinkClient(self.service.port, keeps=3000)
        self.began_mb = 0

    def latest(self):
        return web_client.get_json(self.port, "/api/metrics/latest")[1]

    def lost(self):
        drops = self.latest()["frames"]["drops"]
        return sum(drops.values()) - drops["no_engine"]

    def masks_s(self, since, until):
        """The longest pause between masks."""
        times = [message.received for message in self.sink.messages
                 if sink_client.is_mask(message) and since <= message.received <= until]
        assert len(times) > 2, "no masks"
        return max(after - before for before, after in zip(times, times[1:]))

    def close(self):
        assert self.service.stop() == 0, self.service.text
        self.sink.close()
        self.source.close()


def drain(streams, seconds):
    """Reads what comes on all of them; bytes by stream."""
    taken = {stream: 0 for stream in streams}
    by_fd = {stream.connection.fileno(): stream for stream in streams}
    poll = select.epoll()
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for fd, _ in poll.poll(left):
            data = os.read(fd, 1 << 20)
            taken[by_fd[fd]] += len(data)
            if not data:
                poll.unregister(fd)
    poll.close()
    return taken


def check_many_streams(world):
    """100 streams; 20 of them never read, 10 read little. All others get pictures, and no frame is lost."""
    streams = [web_client.Socket(world.port, "/ws/frames?max_hz=10") for _ in range(70)]
    dead = [web_client.Socket(world.port, "/ws/frames?max_hz=60", buffer_bytes=4096) for _ in range(20)]
    slow = [web_client.Socket(world.port, "/ws/frames?max_hz=60", buffer_bytes=4096) for _ in range(10)]
    assert all(stream.status == 101 for stream in streams + dead + slow)
    lost, began = world.lost(), time.monotonic()
    half = drain(streams, 3)
    for stream in slow:
        stream.connection.recv(1000)
    more = drain(streams, 3)
    assert all(more[stream] > 10000 and half[stream] > 10000 for stream in streams), (half, more)
    latest = world.latest()
    assert latest["web"]["sockets"] <= 128
    pause_s = world.masks_s(began, time.monotonic())
    assert world.lost() == lost, "frames were lost for pages"
    assert latest["latency"]["1m"]["end_to_end"]["p99"] < 20, latest["latency"]["1m"]["end_to_end"]
    assert pause_s < 0.25, pause_s
    deadline = time.monotonic() + 10 # who takes nothing is given up
    while world.latest()["web"]["sockets"] > 100 - 15 and time.monotonic() < deadline:
        drain(streams, 0.5)
    n_open = world.latest()["web"]["sockets"]
    assert n_open <= 85, f"{n_open} sockets: those that read nothing are still there"
    for stream in streams + dead + slow:
        stream.close()
    print(f"100 streams: longest pause between masks {1000 * pause_s:.0f} ms, end to end p99 "
          f"{latest['latency']['1m']['end_to_end']['p99']:.2f} ms")


def wait_sockets(world, most, timeout_s=15):
    deadline = time.monotonic() + timeout_s
    while (n := world.latest()["web"]["sockets"]) > most:
        assert time.monotonic() < deadline, f"{n} sockets are still there"
        time.sleep(0.1)


def check_limit(world):
    """More than max_sockets: 503, and ordinary requests are still answered with it, not left waiting."""
    wait_sockets(world, 3)
    streams = [web_client.Socket(world.port, "/ws/metrics") for _ in range(140)]
    statuses = [stream.status for stream in streams]
    n_open = statuses.count(101)
    assert 120 <= n_open <= 128 and statuses.count(503) == 140 - n_open, statuses
    answer = web_client.request(world.port, "/api/health")
    assert answer.status == 503 and b"busy" in answer.body and answer.headers["retry-after"] == "1"
    for stream in streams:
        stream.close()
    deadline = time.monotonic() + 10
    while web_client.request(world.port, "/api/health").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    wait_sockets(world, 3)


def check_slow_requests(world):
    """Heads and bodies that drip: given up after seconds, with others served meanwhile."""
    began = time.monotonic()
    connections = []
    for i in range(60):
        connection = socket.create_connection(("127.0.0.1", world.port), 5)
        connection.sendall(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " if i % 2 else
                           b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{")
        connections.append(connection)
    while time.monotonic() - began < 8:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(b"x")
        asked = time.monotonic()
        assert web_client.request(world.port, "/api/health").status == 200
        assert time.monotonic() - asked < 1, "held up by slow requests"
        time.sleep(0.5)
    n_ended = 0
    for connection in connections:
        connection.settimeout(8)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
            n_ended += 1
        connection.close()
    assert n_ended >= 55, f"only {n_ended} of 60 were given up"


def check_large_requests(world):
    for data, statuses in (
            (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100000 + b"\r\n\r\n", (b"413", b"431", b"400")),
            (b"GET /" + b"a" * 7000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", (b"404", b"414")),
            (b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n", (b"413",)),
            (b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", (b"400", b"413", b"411")),
            (b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", (b"413", b"400")),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (b"400", b"")), (b"GET\r\n\r\n", (b"400", b"")),
            (b"\0" * 4000 + b"\r\n\r\n", (b"400", b"", b"413"))):
        answer = web_client.raw(world.port, data, timeout_s=12)
        status = answer.split(b" ", 2)[1] if answer else b""
        assert status in statuses, (data[:60], answer[:200])
    assert web_client.request(world.port, "/api/health").status == 200


def check_many_connections(world):
    """10,000 connections, opened as fast as they are taken and left alone or reset: the service lives, and answers again."""
    began, n_made, kept = time.monotonic(), 0, []
    while n_made < 10000 and time.monotonic() - began < 20:
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", world.port))
        n_made += 1
        kept.append(connection)
        if len(kept) > 300:
            kept.pop(0).close()
    until = time.monotonic()
    for connection in kept:
        connection.close()
    assert n_made == 10000, n_made
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            if web_client.request(world.port, "/api/health", timeout_s=5).status == 200:
                break
        assert time.monotonic() < deadline, "no answer after 10,000 connections"
    pause_s = world.masks_s(began, until)
    assert pause_s < 0.5, pause_s
    print(f"10,000 connections: longest pause between masks {1000 * pause_s:.0f} ms, answering again after "
          f"{time.monotonic() - until:.1f} s")


def main():
    world = World()
    world.sink.wait_for(sink_client.is_mask, 10)
    time.sleep(1)
    web_client.request(world.port, "/api/frames/latest.jpg")
    world.began_mb = resident_mb(world.service.pid)
    for check in (check_many_streams, check_limit, check_slow_requests, check_large_requests, check_many_connections):
        began = time.monotonic()
        check(world)
        print(f"{check.__name__}: {time.monotonic() - began:.1f} s, {resident_mb(world.service.pid):.0f} MiB")
    grown_mb = resident_mb(world.service.pid) - world.began_mb
    assert grown_mb < MAX_GROWTH_MB, f"{grown_mb:.0f} MiB more than before"
    frames = world.latest()["frames"]
    assert world.lost() == frames["drops"]["superseded"] <= 10, frames # overtaken, while the machine was flooded
    world.close()
    print("load on the web service: passed")


if __name__ == "__main__":
    main()

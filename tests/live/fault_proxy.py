#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy between two peers that does to their link what networks do.

    fault_proxy.py --listen 19000 --target 127.0.0.1:18944 [--schedule FILE]

Commands come one a line from standard input, or from the file with seconds in front ("2.5 cut"):
    cut             both sides of every connection are closed (FIN)
    reset           the same with RST
    refuse, accept  new connections are refused, and taken again
    silence, speak  nothing is forwarded any more, sockets stay open; and on again (what came meanwhile is forwarded)
    lose            like silence, but what comes is thrown away: the link is dead until it is made anew
    delay SECONDS   every piece is forwarded so much later
    trickle N       the next N bytes to the client are sent one by one, each a segment of its own
    half N END      after N more bytes to the client: END = cut, reset or silence
    garbage N       N random bytes are put into the stream to the client
    slow N          at most N bytes a second to the client; 0 = no limit
As a module: FaultProxy(target) has the same as methods, callable from any thread. Standard library only.
"""
import argparse
import asyncio
import os
import socket
import struct
import sys
import threading
import time

PIECE_BYTES = 65536


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.is_over = False
        self.is_lost = False

    async def pump(self, reader, writer, is_to_client):
        proxy = self.proxy
        try:
            while not self.is_over:
                data = await reader.read(PIECE_BYTES)
                if not data:
                    break
                await proxy.speaking.wait()
                if self.is_lost:
                    continue
                if proxy.delay_s:
                    await asyncio.sleep(proxy.delay_s)
                if is_to_client:
                    await self.forward(data, writer)
                else:
                    writer.write(data)
                    await writer.drain()
        except (ConnectionError, OSError, asyncio.CancelledError):
            pass
        await self.end()

    async def forward(self, data, writer):
        proxy = self.proxy
        end = None
        if proxy.half is not None:
            n_left, how = proxy.half
            if n_left > len(data):
                proxy.half = (n_left - len(data), how)
            else:
                data, end, proxy.half = data[:n_left], how, None
        if proxy.n_garbage:
            data = os.urandom(proxy.n_garbage) + data
            proxy.n_garbage = 0
        while data and proxy.n_trickle > 0:
            writer.write(data[:1])
            await writer.drain()
            await asyncio.sleep(0) # the segment leaves before the next byte is written
            data = data[1:]
            proxy.n_trickle -= 1
        while data and proxy.slow_bytes:
            piece = max(1, proxy.slow_bytes // 20)
            writer.write(data[:piece])
            await writer.drain()
            data = data[piece:]
            await asyncio.sleep(0.05)
        if data:
            writer.write(data)
            await writer.drain()
        if end == "silence":
            proxy.speaking.clear()
        elif end:
            await self.end(end == "reset")

    async def end(self, is_reset=False):
        if self.is_over:
            return
        self.is_over = True
        self.proxy.links.discard(self)
        for writer in (self.client[1], self.server[1]):
            sock = writer.get_extra_info("socket")
            if is_reset and sock is not None:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
                writer.transport.abort()
            else:
                writer.close()


class FaultProxy:
    def __init__(self, target, port=0, host="127.0.0.1"):
        self.target, self.host, self.port = target, host, port
        self.n_accepted = 0
        self.delay_s = 0.0
        self.n_trickle = self.n_garbage = self.slow_bytes = 0
        self.half = None
        self.links = set()
        self.server = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self._call(self._begin())

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _begin(self):
        self.speaking = asyncio.Event()
        self.speaking.set()
        await self._listen()

    async def _listen(self):
        self.server = await asyncio.start_server(self._accept, self.host, self.port, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _accept(self, reader, writer):
        self.n_accepted += 1
        try:
            server = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        for side in (writer, server[1]):
            side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(self, (reader, writer), server)
        self.links.add(link)
        await asyncio.gather(link.pump(reader, server[1], False), link.pump(server[0], writer, True))

    # ---- commands ----

    async def _end_all(self, is_reset):
        for link in list(self.links):
            await link.end(is_reset)

    def cut(self):
        self._call(self._end_all(False))

    def reset(self):
        self._call(self._end_all(True))

    async def _refuse(self):
        self.server.close()

    def refuse(self):
        self._call(self._refuse())

    def accept(self):
        self._call(self._listen())

    async def _speak(self, is_speaking):
        if is_speaking:
            self.speaking.set()
        else:
            self.speaking.clear()

    def silence(self):
        self._call(self._speak(False))

    def speak(self):
        self._call(self._speak(True))

    async def _lose(self):
        for link in self.links:
            link.is_lost = True

    def lose(self):
        self._call(self._lose())

    def delay(self, seconds):
        self.delay_s = float(seconds)

    def trickle(self, n_bytes):
        self.n_trickle = int(n_bytes)

    def half_then(self, n_bytes, how):
        self.half = (int(n_bytes), how)

    def garbage(self, n_bytes):
        self.n_garbage = int(n_bytes)

    def slow(self, bytes_per_s):
        self.slow_bytes = int(bytes_per_s)

    def close(self):
        async def end():
            self.server.close()
            self.speaking.set()
            await self._end_all(False)
            await asyncio.sleep(0.05)
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
        self._call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def obey(self, line):
        """One command as text."""
        name, *values = line.split()
        actions = {"cut": self.cut, "reset": self.reset, "refuse": self.refuse, "accept": self.accept, "silence": self.silence,
                   "speak": self.speak, "lose": self.lose, "delay": self.delay, "trickle": self.trickle,
                   "half": self.half_then, "garbage": self.garbage, "slow": self.slow}
        if name not in actions:
            raise ValueError(f"'{name}' is no command: {', '.join(actions)}")
        actions[name](*values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", type=int, default=19000)
    parser.add_argument("--target", default="127.0.0.1:18944")
    parser.add_argument("--schedule", type=argparse.FileType())
    arguments = parser.parse_args()
    host, port = arguments.target.rsplit(":", 1)
    proxy = FaultProxy((host, int(port)), arguments.listen)
    print(f"fault_proxy: port {proxy.port}", flush=True)
    begun = time.monotonic()
    for line in arguments.schedule or sys.stdin:
        if not line.strip() or line.startswith("#"):
            continue
        if arguments.schedule:
            seconds, line = line.split(None, 1)
            time.sleep(max(0.0, begun + float(seconds) - time.monotonic()))
        print(f"{time.monotonic() - begun:.3f} {line.strip()}", flush=True)
        proxy.obey(line)
    proxy.close()


if __name__ == "__main__":
    main()

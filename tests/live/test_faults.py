# SPDX-License-Identifier: Apache-2.0
# labels: timeout=300 cost=45
"""Everything that networks, sources and clients do to the service, one after another to the same process: it stays alive, the
first mask comes within 1 s after the fault has ended, no mask is stale, frames are accounted for. With the null engine, whose
masks tell which frame they are of."""
import os
import random
import sys
import time

import fault_proxy
import plus_source
import sink_client

import live # sink_client has put its folder on the path

RATE_HZ = 60
LIMIT_S = 1.0      # from the end of a fault to the first mask
STALL_S = 0.3
READ_S = 1.0
AGE_S = 0.5        # of a mask when it comes, where nothing delays it
SEED = 20261130
FLAGS = ["--engine-kind", "null", "--source-backoff-min-ms", 50, "--source-backoff-max-ms", 300, "--source-connect-ms", 500,
         "--source-read-ms", int(READ_S * 1000), "--source-stall-ms", int(STALL_S * 1000), "--sink-keep-alive-ms", 250]


class World:
    """Source, proxy, service, client: as long as the test."""

    def __init__(self):
        self.source = plus_source.PlusSource(rate_hz=RATE_HZ)
        self.proxy = fault_proxy.FaultProxy(("127.0.0.1", self.source.port))
        self.service = live.serve(self.proxy.port, *FLAGS)
        self.sink = sink_client.SinkClient(self.service.port)
        self.random = random.Random(SEED)
        self.began = time.monotonic()
        self.slowest_s = 0.0

    def close(self):
        status = self.service.stop()
        self.sink.close()
        self.proxy.close()
        self.source.close()
        assert status == 0, f"exit status {status}:\n{self.service.text}"

    def begin(self):
        """The fault begins: what was sent from now on is looked at. All is well before."""
        self.wait_mask(time.monotonic())
        self.began = time.monotonic()
        return self.began

    def shows(self, message, sent_after):
        sent = self.source.sent.get(message.timestamp) if sink_client.is_mask(message) else None
        return sent is not None and sent.sent >= sent_after

    def wait_mask(self, ended, limit_s=LIMIT_S):
        """The first mask of a frame that was sent after the fault's end."""
        message = self.sink.wait_for(lambda message: self.shows(message, ended), limit_s + 5, ended)
        assert message, f"no mask in {limit_s + 5:.1f} s; the service says:\n{self.service.text[-2000:]}"
        took_s = message.received - ended
        self.slowest_s = max(self.slowest_s, took_s)
        assert took_s <= limit_s, f"the first mask came {took_s:.3f} s after the fault"
        return message

    def wait_empty(self, limit_s, reason=None):
        """An empty mask since the fault began."""
        message = self.sink.wait_for(
            lambda message: sink_client.is_mask(message) and message.timestamp not in self.source.sent
            and reason in (None, message.metadata.get("Reason")), limit_s, self.began)
        assert message, f"no empty mask ({reason}) in {limit_s:.1f} s"
        assert sink_client.is_empty(message)
        return message

    def wait_status(self, name, limit_s):
        message = self.sink.wait_for(
            lambda message: message.kind == "STATUS" and sink_client.status_of(message)[1] == name, limit_s, self.began)
        assert message, f"no STATUS {name} in {limit_s:.1f} s: {self.sink.statuses()[-5:]}"

    def check(self, max_age_s=AGE_S, is_cut=False):
        """What came since the fault began. is_cut: nothing of before is on its way any more, so nothing of it is shown once the
        mask was emptied."""
        assert self.service.process.poll() is None, f"the service ended:\n{self.service.text}"
        assert self.sink.wrong is None and not self.sink.is_over, self.sink.wrong
        messages = [message for message in self.sink.copy() if message.received >= self.began]
        masks = sink_client.check_masks(messages, self.source, max_age_s)
        is_emptied = False
        for mask in masks:
            assert not (is_cut and is_emptied and mask.sent and mask.sent.sent < self.began), \
                f"frame {mask.sent.counter} of before the cut is shown after the empty mask"
            is_emptied |= mask.sent is None
        for _, kpi in self.sink.kpis():
            sink_client.check_kpi(kpi)
        return masks

    def kpi(self):
        """The next that comes."""
        now = time.monotonic()
        assert self.sink.wait_for(lambda message: message.kind == "STRING", 5, now)
        return self.sink.kpis()[-1][1]


def test_cut():
    world.begin()
    world.proxy.refuse()
    world.proxy.cut()
    world.wait_empty(STALL_S + AGE_S, "NO_SOURCE")
    world.wait_status("NO_SOURCE", AGE_S)
    time.sleep(1.5)
    world.proxy.accept()
    world.wait_mask(time.monotonic())
    world.check(is_cut=True)


def test_cut_of_a_moment():
    world.begin()
    world.proxy.cut()
    world.wait_mask(time.monotonic())
    world.check(is_cut=True)


def test_reset():
    world.begin()
    world.proxy.reset()
    world.wait_mask(time.monotonic())
    world.wait_empty(AGE_S, "NO_SOURCE")
    world.check(is_cut=True)


def test_silent_cut_for_good():
    """The link is dead and nobody is told: the read deadline notices, another one is made."""
    began = world.begin()
    n_before = world.proxy.n_accepted
    world.proxy.lose()
    world.wait_empty(STALL_S + AGE_S, "SOURCE_STALLED")
    world.wait_status("NO_SOURCE", READ_S + AGE_S)
    world.wait_mask(began + READ_S)
    assert world.proxy.n_accepted == n_before + 1
    world.check(is_cut=True)


def test_silent_cut_of_everything():
    """New connections are as dead as the old one; then all goes on, with what lay in the buffers."""
    world.begin()
    world.proxy.silence()
    world.wait_empty(STALL_S + AGE_S, "SOURCE_STALLED")
    time.sleep(2.5)
    world.proxy.speak()
    world.wait_mask(time.monotonic())
    world.check(max_age_s=READ_S + AGE_S)


def test_delay():
    world.begin()
    world.proxy.delay(0.3)
    time.sleep(2)
    world.proxy.delay(0)
    world.wait_mask(time.monotonic())
    world.check(max_age_s=0.6 + AGE_S)


def test_half_messages():
    """Ends within headers, heads, pixels and metadata, by FIN, by RST and by silence."""
    for how in ["cut", "reset"] * 8:
        world.begin()
        world.proxy.half_then(world.random.randrange(1, 4000), how)
        time.sleep(0.1)
        world.wait_mask(time.monotonic())
        world.check(is_cut=True)
    for _ in range(2):
        world.begin()
        world.proxy.half_then(world.random.randrange(1, 4000), "silence")
        world.wait_empty(STALL_S + AGE_S, "SOURCE_STALLED")
        world.proxy.speak()
        world.wait_mask(time.monotonic())
        world.check(max_age_s=READ_S + AGE_S)


def test_segments_of_one_byte():
    world.begin()
    n_before = world.proxy.n_accepted
    world.source.rate_hz = 5
    world.proxy.trickle(30000)
    time.sleep(1.5)
    world.proxy.trickle(0)
    world.source.rate_hz = RATE_HZ
    world.wait_mask(time.monotonic())
    assert world.proxy.n_accepted == n_before, "the stream was lost"
    assert len(world.check(max_age_s=2 + AGE_S)) >= 3


def test_garbage():
    for n_bytes in (1, 58, 5000):
        world.begin()
        world.proxy.garbage(n_bytes)
        time.sleep(0.1)
        world.wait_mask(time.monotonic(), LIMIT_S if n_bytes > 57 else LIMIT_S + READ_S)
        world.check(max_age_s=READ_S + AGE_S)


def test_slow_reader():
    """A client that takes 1 kB a second of masks of 77 kB: the other one misses nothing for it."""
    world.begin()
    before = world.kpi()
    world.sink.reader.checks_crc = False # in Python, of 77 kB each
    world.source.rate_hz = 30
    world.source.width, world.source.height = 320, 240
    slow = sink_client.SinkClient(world.service.port, bytes_per_s=1000, checks_crc=False)
    time.sleep(3)
    world.source.width, world.source.height = 64, 48
    world.source.rate_hz = RATE_HZ
    world.wait_mask(time.monotonic())
    world.sink.reader.checks_crc = True
    n_masks = sum(1 for mask in world.check() if mask.sent and mask.sent.width == 320)
    n_sent = sum(1 for sent in list(world.source.sent.values()) if sent.width == 320)
    after = world.kpi()
    clients = {client["address"]: client for client in after["clients"]}
    n_superseded = after["drops"]["superseded"] - before["drops"]["superseded"] # Python sends in lumps
    n_lost = {which.address: clients[which.address]["dropped"] for which in (world.sink, slow)}
    slow.close()
    assert n_lost[slow.address] > 0, "the slow client lost nothing"
    assert n_lost[world.sink.address] == 0 and n_masks >= n_sent - n_superseded - 2, \
        f"{n_masks} masks of {n_sent} images, {n_superseded} superseded: {n_lost}"


def test_slow_network_to_the_service():
    world.begin()
    world.proxy.slow(20000) # a tenth of what the source sends
    time.sleep(2)
    world.proxy.slow(0)
    world.wait_mask(time.monotonic())
    world.check(max_age_s=60)


def test_200_reconnects():
    n_files = len(os.listdir(f"/proc/{world.service.pid}/fd"))
    memory_kb = resident_kb(world.service.pid)
    began = world.begin()
    for i in range(200):
        if i % 2:
            world.proxy.cut()
        else:
            world.proxy.reset()
        world.wait_mask(time.monotonic())
    world.began = began
    world.check(is_cut=False)
    assert world.kpi()["source"]["connections"] >= 200
    assert len(os.listdir(f"/proc/{world.service.pid}/fd")) <= n_files, "descriptors are left"
    grown_kb = resident_kb(world.service.pid) - memory_kb
    assert grown_kb <= 1024, f"{grown_kb} kB of memory are left"


def test_clock_jumps():
    """Of the source: its timestamps are kept, whatever they are."""
    world.begin()
    drops = world.kpi()["drops"]
    for jump_s in (86400, -86400, -1700000000 + 5, 2500000000 - 86400, 0):
        world.source.jump_s = jump_s
        time.sleep(0.2)
        world.wait_mask(time.monotonic())
    masks = world.check()
    assert not [mask for mask in masks if mask.sent is None], "a jump is no fault"
    later = world.kpi()["drops"]
    assert {key: later[key] - drops[key] for key in later if key != "superseded" and later[key] != drops[key]} == {}


def test_stall():
    world.begin()
    world.source.is_paused = True # keep-alive goes on
    world.wait_empty(STALL_S + AGE_S, "SOURCE_STALLED")
    time.sleep(2 * READ_S)
    assert not [mask for mask in world.check() if mask.sent and mask.received > world.began + STALL_S + AGE_S]
    world.source.is_paused = False
    world.wait_mask(time.monotonic())
    world.check()


def test_source_restarts():
    world.begin()
    world.source.stop_listening(is_reset=True)
    world.wait_empty(STALL_S + AGE_S, "NO_SOURCE")
    time.sleep(1)
    world.source.listen_again()
    world.wait_mask(time.monotonic())
    world.check(is_cut=True)


def test_burst():
    world.begin()
    newest = world.source.burst(100)[-1]
    message = world.sink.wait_for(lambda message: world.shows(message, newest.sent), LIMIT_S, world.began)
    assert message, "the newest of a burst is not answered"
    world.check()


def test_nuisances():
    """Broken checksums, unknown types, INVALID transforms, sizes and types that change."""
    world.begin()
    n_before = world.kpi()["drops"]["checksum"]
    world.source.n_bad_crc = 5
    for _ in range(20):
        world.source.send_unknown(world.random.randrange(5000))
    world.source.is_invalid = True
    time.sleep(0.3)
    world.source.width, world.source.height = 100, 37
    time.sleep(0.2)
    world.source.scalar = 2 # signed: refused without a window
    world.wait_empty(AGE_S + STALL_S, "IMAGE_REFUSED")
    world.source.scalar = 3
    world.source.is_invalid = False
    world.source.width, world.source.height = 64, 48
    world.wait_mask(time.monotonic())
    assert {mask.sent.width for mask in world.check() if mask.sent} == {64, 100}
    n_checksum = world.kpi()["drops"]["checksum"] - n_before
    assert n_checksum == 5, n_checksum


def test_hangs_while_opening():
    """Models that do not load in time: clients are told, and where it does not end either, so does the service, for systemd to start it anew."""
    service = live.serve(world.source.port, *FLAGS, "--engine-null-open-ms", 60000, "--engine-open-ms", 400, "--engine-close-ms", 600)
    sink = sink_client.SinkClient(service.port)
    told = sink.wait_for(lambda message: message.kind == "STATUS" and sink_client.status_of(message)[1] == "ENGINE_FAILED", 5, 0)
    assert told, service.text
    assert service.wait(10) == 1, service.text
    lines = [line.split(" ", 1)[1] for line in service.lines if "event=engine_hangs" in line or "fault=ENGINE" in line]
    assert [line.split(" text=")[0] for line in lines] == ["event=state fault=ENGINE_OPENING", "event=engine_hangs", "event=state fault=ENGINE_FAILED"], lines
    assert "engine.open_ms" in lines[1] and "did not close in time" in service.text, service.text
    sink.close()
    # One that opens late, but ends: it is closed and opened again, and again.
    service = live.serve(world.source.port, *FLAGS, "--engine-null-open-ms", 700, "--engine-open-ms", 400)
    for _ in range(2):
        service.wait_line("event=engine_down")
    deadline = time.monotonic() + 10
    while service.text.count("event=engine_hangs") < 2:
        assert time.monotonic() < deadline, service.text
        time.sleep(0.05)
    assert service.stop() == 0, service.text


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


TESTS = [test_cut, test_cut_of_a_moment, test_reset, test_silent_cut_for_good, test_silent_cut_of_everything, test_delay,
         test_half_messages, test_segments_of_one_byte, test_garbage, test_slow_reader, test_slow_network_to_the_service,
         test_200_reconnects, test_clock_jumps, test_stall, test_source_restarts, test_burst, test_nuisances, test_hangs_while_opening]

if __name__ == "__main__":
    chosen = [test for test in TESTS if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    world = World()
    result = live.run_tests(chosen)
    print(f"the slowest first mask came {world.slowest_s:.3f} s after its fault; random seed {SEED}")
    world.close()
    sys.exit(result)

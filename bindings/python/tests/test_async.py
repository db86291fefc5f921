# SPDX-License-Identifier: Apache-2.0
"""Waiting in an event loop."""
import asyncio
import time

import pytest

import sonoseg
from conftest import SMALL, frames_of
from sonoseg import Status


def test_frames_come_while_the_loop_goes_on(boxes):
    frames = frames_of(3)

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.002)

        ticking = asyncio.create_task(tick())
        ids = []
        for frame in frames:
            boxes.submit(frame)
            packet = await boxes.receive_async()
            ids.append(packet.frame_id)
            del packet
        assert await boxes.wait_async(0.1) == "timeout"
        ticking.cancel()
        return ids, ticks

    ids, ticks = asyncio.run(main())
    assert ids == [0, 1, 2] and ticks > 20


def test_async_for_ends_with_the_stream(boxes):
    async def feed():
        for frame in frames_of(3):
            boxes.submit(frame)
            await asyncio.sleep(0.01)
        boxes.shutdown()

    async def main():
        feeding = asyncio.create_task(feed())
        ids = []
        async for packet in boxes:
            ids.append(packet.frame_id)
            del packet
        await feeding
        with pytest.raises(sonoseg.Error) as caught:
            await boxes.receive_async()
        return ids, caught.value.status

    assert asyncio.run(main()) == ([0, 1, 2], Status.END)


def test_a_wait_may_be_cancelled_and_begun_again(boxes):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(boxes.receive_async(), 0.05)
        waiting = asyncio.create_task(boxes.receive_async())
        await asyncio.sleep(0.02)
        with pytest.raises(sonoseg.Error, match="only one"):
            await boxes.wait_async()
        boxes.submit(frames_of(1)[0])
        return (await waiting).frame_id

    assert asyncio.run(main()) == 0


def test_close_ends_the_wait():
    async def main():
        pipeline = sonoseg.Pipeline(segmenter=None, **SMALL)
        waiting = asyncio.create_task(pipeline.receive_async())
        await asyncio.sleep(0.05)
        begin = time.monotonic()
        pipeline.close()
        with pytest.raises(sonoseg.Error, match="closed"):
            await asyncio.wait_for(waiting, 5)
        return time.monotonic() - begin

    assert asyncio.run(main()) < 4

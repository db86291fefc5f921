# SPDX-License-Identifier: Apache-2.0
"""The inputs of each step, made a step ahead in a process of their own, on the same GPU.

Drawing and preparing frames is thousands of small kernels, and so is a step: two threads of one Python would wait for
each other at every launch (a step of 32 frames took 0.38 s that way on an H200, 0.20 s of it the step's own).
"""
import signal
from collections.abc import Callable
from typing import Any

import torch
from torch import multiprocessing

LIFE_CHECK_SECONDS = 5.0


class AheadError(Exception):
    """What ended the process that makes inputs."""


class Ahead:
    """take(share) gives what make(share) gave for the share of the call before, but for the first call.

    get_maker, which pickle must know, gives `make` in the other process. Tensors on a GPU are not copied: what take()
    gives must be held until the device has done all work on it.
    """

    def __init__(self, get_maker: Callable[[], Callable[[float], Any]]):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_make_on_request, args=(get_maker, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._is_asked = False

    def take(self, share: float) -> Any:
        if not self._is_asked:
            self._pipe.send(share)
        made = self._receive()
        self._pipe.send(share)
        self._is_asked = True
        return made

    def close(self) -> None:
        self._process.terminate()
        self._process.join()

    def _receive(self) -> Any:
        try:
            while not self._pipe.poll(LIFE_CHECK_SECONDS):
                if not self._process.is_alive():
                    raise EOFError
            made = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise AheadError("the process that makes the inputs has ended") from error
        if isinstance(made, Exception):
            raise made
        return made


def _make_on_request(get_maker: Callable[[], Callable[[float], Any]], pipe) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the training decides when to stop
    try:
        make = get_maker()
        while True:
            share = pipe.recv()
            with torch.no_grad():
                made = make(share)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            pipe.send(made)
            del made
    except (EOFError, ConnectionError):
        pass  # the training has ended
    except Exception as error:  # whatever it is, the training should end with it
        pipe.send(error)

# SPDX-License-Identifier: Apache-2.0
"""Several processes that train one network, each on frames of its own: gradients are averaged after every step.

On a CPU two processes of one thread each do more than one process of two threads; with GPUs each process has one.
Process 0 leads: it decides when to stop, measures, and writes files.
"""
import os
import tempfile
from collections.abc import Callable

import torch
from torch import distributed, multiprocessing


class Team:
    """The processes of a training, or the only one."""

    def __init__(self, rank: int = 0, n_processes: int = 1):
        self.rank, self.n_processes = rank, n_processes

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average(self, values: list[torch.Tensor]) -> None:
        """Replaces float tensors by their means over the processes."""
        if self.n_processes == 1:
            return
        joined = torch.cat([value.reshape(-1) for value in values])
        distributed.all_reduce(joined)
        joined /= self.n_processes
        for value, mean in zip(values, joined.split([value.numel() for value in values])):
            value.copy_(mean.view(value.shape))

    def from_leader(self, *values: float) -> list[float]:
        """The leader's numbers, for all."""
        if self.n_processes == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return shared.tolist()


def run_team(n_processes: int, work: Callable[[Team], int]) -> int:
    """work(team), which pickle must know, in every process, this one leading; the leader's result."""
    if n_processes == 1:
        return work(Team())
    with tempfile.TemporaryDirectory() as folder:
        meeting = "file://" + os.path.join(folder, "meeting")
        others = [multiprocessing.get_context("spawn").Process(target=_join, args=(rank, n_processes, meeting, work))
                  for rank in range(1, n_processes)]
        for process in others:
            process.start()
        try:
            return _join(0, n_processes, meeting, work)
        except BaseException:
            for process in others:
                process.terminate()
            raise
        finally:
            for process in others:
                process.join()


def _join(rank: int, n_processes: int, meeting: str, work: Callable[[Team], int]) -> int:
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=n_processes)
    try:
        return work(Team(rank, n_processes))
    finally:
        distributed.destroy_process_group()

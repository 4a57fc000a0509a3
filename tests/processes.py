"""Several processes of one script that know each other, started as torchrun starts them."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch.distributed as dist

SECONDS = 240

needs_gloo = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()),
    reason="this torch has no gloo",
)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    output: str


def started(
    script: Path, *arguments: str | Path, processes: int = 2
) -> list[subprocess.Popen[str]]:
    """The processes, by rank. Unlike torchrun, nobody ends the others when one fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "TORCHELASTIC_RUN_ID": "test",
        "OMP_NUM_THREADS": "1",
    }
    return [
        subprocess.Popen(
            [sys.executable, script, *arguments],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[Ended]:
    """Wait for all of them.

    Raises:
        subprocess.TimeoutExpired: one hangs; all are killed.
    """
    try:
        outputs = [process.communicate(timeout=SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [
        Ended(process.returncode, output)
        for process, output in zip(processes, outputs, strict=True)
    ]

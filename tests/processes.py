"""Several processes of one script that know each other, started as torchrun starts them."""

import os
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


# Where the processes of a group find each other, as long as the tests last.
_meeting_points: list[dist.TCPStore] = []


def started(
    script: Path, *arguments: str | Path, processes: int = 2
) -> list[subprocess.Popen[str]]:
    """The processes, by rank. Unlike torchrun, nobody ends the others when one fails."""
    # Bound before they start: a port that is only known to be free may be another's by then.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    _meeting_points.append(store)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
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
    """Wait for all of them; if one hangs, all are killed, and the test fails with their output."""
    try:
        outputs = [process.communicate(timeout=SECONDS)[0] for process in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            process.kill()
        pytest.fail("\n".join(process.communicate()[0] for process in processes))
    return [
        Ended(process.returncode, output)
        for process, output in zip(processes, outputs, strict=True)
    ]

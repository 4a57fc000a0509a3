"""Sweeps on Ray: workers and drivers that are killed, clusters that are not there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest
from swept_studies import Place, tables
from tiny_runs import said, vqlso

pytest.importorskip("ray", reason="Ray is not installed")

from ray import exceptions

from pipeline.studies.ray_workers import Machines, _why_lost, require_cluster
from vqlso.errors import StudyError

COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]
PATIENCE = 120.0


def test_a_killed_worker_is_replaced_and_loses_nothing(
    place: Callable[..., Place], swept: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = place(survives=False)
    monkeypatch.chdir(fresh.path)
    result = vqlso("sweep", "deaths.yaml", "--workers", "2")
    assert result.exit_code == 0, result.output
    assert "Its worker was killed" in result.stderr
    assert "It is tried again" in result.stderr
    assert tables(fresh.study) == tables(swept.study)


def test_a_killed_driver_loses_only_what_was_unfinished(
    place: Callable[..., Place], swept: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = place()
    shutil.copytree(swept.study / "preparations", fresh.study / "preparations")  # takes long
    monkeypatch.chdir(fresh.path)
    driver = subprocess.Popen(
        [*COMMAND, "sweep", "deaths.yaml", "--workers", "2", "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = monotonic() + PATIENCE
    while not any(b'"query"' in journal for journal in fresh.runs.values()):
        assert driver.poll() is None, driver.communicate()[1]
        assert monotonic() < give_up
        sleep(0.02)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    assert len(list(fresh.study.glob("runs/*/summary.json"))) < 4
    result = vqlso("sweep", "deaths.yaml", "--workers", "0")
    assert result.exit_code == 0, result.output
    assert tables(fresh.study) == tables(swept.study)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", ["127.0.0.1:1", "Connection refused", "ray start --head"]),
        ("somewhere", ["somewhere", "HOST:PORT"]),
        ("ray://127.0.0.1:1", ["HOST:PORT"]),
    ],
)
def test_a_cluster_that_is_not_there(address: str, words: list[str], tmp_path: Path) -> None:
    result = vqlso("sweep", "tiny", "--address", address, "--out", tmp_path, "--quiet")
    assert result.exit_code == StudyError.exit_code
    said(result, *words)
    assert not (tmp_path / "runs").exists()


def test_something_else_answers_at_the_address() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(StudyError, match="no Ray within 2 s"):
            require_cluster(f"127.0.0.1:{silent.getsockname()[1]}", seconds=2.0)


@pytest.mark.parametrize(
    ("machines", "workers", "share"),
    [
        (Machines(2, 2, 0), 2, (1, 0.0)),
        (Machines(2, 2, 0), 1, (2, 0.0)),
        (Machines(2, 2, 0), 5, (1, 0.0)),
        (Machines(64, 64, 0), 4, (4, 0.0)),  # more threads than that help nobody
        (Machines(6, 2, 0), 1, (2, 0.0)),  # a run cannot be on two machines
        (Machines(64, 8, 8), 8, (4, 1.0)),
        (Machines(64, 8, 8), 20, (3, 1 / 3)),
    ],
)
def test_workers_share_what_there_is(
    machines: Machines, workers: int, share: tuple[int, float]
) -> None:
    assert machines.share(workers) == pytest.approx(share)


def test_the_reason_of_a_loss_is_told() -> None:
    assert "Out of memory" in _why_lost(exceptions.OutOfMemoryError("x"))
    assert "was killed" in _why_lost(exceptions.WorkerCrashedError())
    assert "machine" in _why_lost(exceptions.NodeDiedError("x"))

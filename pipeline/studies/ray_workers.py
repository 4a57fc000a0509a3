"""Workers on Ray: processes of this machine, or of a cluster. The only file that imports Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a sweep tells nobody that it runs
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # leaves GPUs as they are

import ray
from ray import exceptions

from pipeline.studies.contracts import Watch
from pipeline.studies.jobs import Job, Outcome, perform
from pipeline.threads import MOST_THREADS, pools_of
from vqlso.errors import StudyError
from vqlso.hardware import available_cores

ATTEMPTS = 3
POLL_SECONDS = 0.5
ANSWER_SECONDS = 30.0
OBJECT_STORE_BYTES = 100 * 2**20  # jobs and outcomes are small
_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
# Ray tries for minutes, and then ends the process, if nobody answers: another process tries first.
_PROBE = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='error')"
_LOST = (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError)


@dataclass(frozen=True)
class Machines:
    """What there is to work with.

    Attributes:
        cores: of all machines.
        cores_each: of the smallest one.
        gpus: of all machines.
    """

    cores: int
    cores_each: int
    gpus: int

    def share(self, workers: int) -> tuple[int, float]:
        """Threads and GPUs of each of so many workers, such that none gets in another's way."""
        threads = max(1, min(self.cores // workers, self.cores_each, MOST_THREADS))
        return threads, 1 / ceil(workers / self.gpus) if self.gpus else 0.0


class RayWorkers:
    """Does jobs as Ray tasks. A worker that dies is replaced, and its job tried again.

    A context: Ray is reached with the first job, and left at the context's end.

    Args:
        count: jobs at once; None takes one a GPU, or one a core without GPUs.
        address: HOST:PORT of a cluster's head, or "auto" for the one on this machine; None
            starts workers here.
    """

    def __init__(self, count: int | None, address: str | None = None) -> None:
        self._count = count
        self._address = address
        self._machines: Machines | None = None

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        ray.shutdown()

    def work(self, jobs: Sequence[Job], watch: Watch, at_once: int | None = None) -> None:
        """Do all jobs, at most so many at once.

        Raises:
            StudyError: the cluster does not answer, or was lost.
        """
        if not jobs:
            return
        self._machines = machines = self._machines or self._connected()
        wanted = at_once or self._count or machines.gpus or machines.cores
        workers = min(wanted, len(jobs))
        threads, gpus = machines.share(workers)
        given = max(job.config.threads or 0 for job in jobs)
        threads = min(given or threads, machines.cores_each)
        try:
            # Ray prints a page about each worker that dies; what matters of it is told by `watch`.
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
                _Tasks(workers, threads, gpus, watch).run(jobs)
        except (exceptions.RaySystemError, exceptions.LocalRayletDiedError, OSError) as error:
            raise StudyError(
                f"The connection to Ray was lost ({_first_line(error)}). Finished runs are kept; "
                "the same command continues the study."
            ) from error

    def _connected(self) -> Machines:
        if self._address is None:
            cores = available_cores()
            ray.init(
                address="local",  # not a cluster that RAY_ADDRESS may name
                num_cpus=max(cores, self._count or 1),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **_SILENT,
            )
        else:
            require_cluster(self._address)
            ray.init(address=self._address, **_SILENT)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cores_of = [int(node.get("CPU", 0)) for node in nodes]
        if self._address is None:
            cores_of = [available_cores()]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        return Machines(sum(cores_of), min(each for each in cores_of if each), gpus)


class _Tasks:
    """Jobs as tasks of one size."""

    def __init__(self, workers: int, threads: int, gpus: float, watch: Watch) -> None:
        self._workers = workers
        self._watch = watch
        kept = {key: os.environ[key] for key in ("VQLSO_CACHE",) if key in os.environ}
        self._remote = ray.remote(
            num_cpus=threads,
            num_gpus=gpus,
            max_retries=0,  # counted here, so that each loss is told
            runtime_env={"env_vars": pools_of(threads) | kept},
        )(_perform)
        self._running: dict[Any, tuple[Job, int]] = {}

    def run(self, jobs: Sequence[Job]) -> None:
        waiting = deque((job, 1) for job in jobs)
        while waiting or self._running:
            while waiting and len(self._running) < self._workers:
                job, attempt = waiting.popleft()
                self._running[self._remote.remote(job, os.getcwd())] = (job, attempt)
                self._watch.began(job)
            done, _ = ray.wait(list(self._running), timeout=POLL_SECONDS)
            for reference in done:
                job, attempt = self._running.pop(reference)
                if not self._ended(reference, job, attempt):
                    waiting.appendleft((job, attempt + 1))
            self._watch.tick()

    def _ended(self, reference: Any, job: Job, attempt: int) -> bool:
        """Whether a job is over; False if its worker was lost and it may be tried again."""
        try:
            outcome: Outcome = ray.get(reference)
        except _LOST as error:
            reason = _why_lost(error)
            if attempt < ATTEMPTS:
                self._watch.lost(job, reason)
                return False
            outcome = Outcome(f"{reason} It was tried {ATTEMPTS} times.")
        except exceptions.RayError as error:
            outcome = Outcome(f"Ray could not run it: {_first_line(error)}")
        self._watch.ended(job, outcome)
        return True


def _perform(job: Job, folder: str) -> Outcome:
    """In a worker: relative paths, and modules of one's own, are those of the driver."""
    try:
        os.chdir(folder)
    except OSError:
        return Outcome(
            f"{socket.gethostname()} has no folder {folder}: the machines of a cluster must share "
            "the folder that a sweep is started in, and the study's."
        )
    return perform(job)


def require_cluster(address: str, seconds: float = ANSWER_SECONDS) -> None:
    """Make sure that a cluster answers, in bounded time.

    Raises:
        StudyError: it does not.
    """
    host, colon, port = address.rpartition(":")
    known = address == "auto" or (colon and port.isdecimal() and "/" not in host)
    if not known:
        raise StudyError(f"--address {address} is neither HOST:PORT of a Ray head nor auto.")
    try:
        if address != "auto":
            socket.create_connection((host, int(port)), seconds).close()
        command = [sys.executable, "-c", _PROBE, address]
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
    except subprocess.TimeoutExpired:
        why = f"no Ray within {seconds:g} s"
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        why = lines[-1].strip() if lines else f"exit code {error.returncode}"
        if "AuthToken" in error.stderr:
            why = "it asks for a token: set RAY_AUTH_MODE=token, as Ray's documentation says"
    else:
        return
    raise StudyError(
        f"No Ray cluster answers at {address} ({why}). Start one with `ray start --head`, correct "
        "--address, or leave it out for workers on this machine."
    )


def _why_lost(error: Exception) -> str:
    if isinstance(error, exceptions.NodeDiedError):
        return "The machine that its worker ran on is gone."
    why = "Out of memory: Ray ended its worker."
    if not isinstance(error, exceptions.OutOfMemoryError):
        why = "Its worker was killed, from outside or because the machine ran out of memory."
    return f"{why} Fewer --workers need less."


def _first_line(error: Exception) -> str:
    with suppress(IndexError):
        return str(error).strip().splitlines()[0]
    return type(error).__name__

"""The page's server in forks of a process that has imported everything: begun, killed, begun anew.

To import Gradio and torch takes longer than a small session; a fork has them already. Nothing is
computed in the parent, so that its forks find the threads of no library.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from time import monotonic, sleep

import torch

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

from pipeline.evolution.page import launch
from pipeline.evolution.page import server as _imported_for_the_forks  # noqa: F401
from pipeline.evolution.settings import EvolutionSettings
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.generators.stylegan2.network import StyleGAN2Network
from vqlso.generators.stylegan2.settings import StyleGAN2Settings

HOST = "127.0.0.1"
POPULATION = 8
READY = "Choose images at"
HANGS = 120.0  # seconds: a server that is not there by then does not come


class Server:
    """`vqlso evolve` at one address, which can be killed at any moment.

    Args:
        place: holds the runs folder, the log and an untrained generator of 16 pixels.
    """

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.runs = place / "runs"
        self._log = place / "server.log"
        self._generator = _untrained(place / "untrained.safetensors")
        with socket.create_server((HOST, 0)) as free:
            self._port: int = free.getsockname()[1]
        self._process: int | None = None

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self._port}"

    @property
    def generator(self) -> str:
        """The name by which the page offers it."""
        return str(self._generator)

    def start(self) -> None:
        """Serve, and return when the page answers.

        Raises:
            RuntimeError: the server ended by itself, or does not answer.
        """
        self._log.write_text("", encoding="utf-8")
        process = os.fork()
        if not process:
            self._serve()
        self._process = process
        give_up = monotonic() + HANGS
        while READY not in (told := self._log.read_text(encoding="utf-8")):
            if monotonic() > give_up or os.waitpid(process, os.WNOHANG)[0]:
                raise RuntimeError(f"The page is not served:\n{told[-2000:]}")
            sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would, if it is there."""
        if self._process is not None:
            process, self._process = self._process, None
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)

    @contextmanager
    def killed_after(self, seconds: float) -> Iterator[None]:
        """Kill it so long after the block has begun, however long the block takes."""
        timer = Timer(seconds, self.kill)
        timer.start()
        try:
            yield
        finally:
            timer.join()

    def _serve(self) -> None:
        """Within the fork, which never returns."""
        try:
            with self._log.open("a", encoding="utf-8") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            defaults = EvolutionSettings(
                generator=self.generator, population=POPULATION, picks=POPULATION // 2
            )
            launch(self.runs, host=HOST, port=self._port, browser=False, defaults=defaults)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)


def _untrained(path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        StyleGAN2(StyleGAN2Network(StyleGAN2Settings(16, 4, 4, 0, 1, 64, 8))).save(path)
    return path

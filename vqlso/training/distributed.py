"""Training on all processes that torchrun started: the first runs the program, the others help.

`lead_or_follow(program)` is the way in. The first process runs the program as if it were alone;
only `fit` knows of the others, announces what is to be fitted, and hands every process its portion
of each batch. Between fits they wait.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from vqlso.errors import TrainingError, VqlsoError
from vqlso.hardware import available_cores
from vqlso.portions import Portion

# A process that hangs within a fit is noticed after this time; one that has died, at once.
PATIENCE = timedelta(minutes=10)
# Between fits nothing is amiss: queries take as long as they take.
UNTIL_THE_NEXT_FIT = timedelta(days=365)
# How gloo says that the process at the other end has ended.
GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")


class Fitting(Protocol):
    """A fit as it is announced: pickled, so its functions are known to modules by name."""

    def take_part(self, team: Team) -> None:
        """Do as the first process does, with other rows."""


class Team:
    """The processes that a fit runs on: this one alone."""

    @property
    def leads(self) -> bool:
        """Whether this process runs the program."""
        return True

    def fabric(self, precision: str) -> Fabric:
        """For one device."""
        _quiet()
        return Fabric(accelerator="auto", devices=1, precision=precision)  # type: ignore[arg-type]

    @contextmanager
    def helping(self, announced: Callable[[], Fitting]) -> Iterator[None]:  # noqa: ARG002
        """Have the others take part in a fit; the block is the first process's part.

        Raises:
            TrainingError: another process failed in it.
        """
        yield

    def portion(self, whole: int) -> Portion:
        """This process's part of a batch of so many rows."""
        return Portion(0, whole, whole)

    def divided(
        self,
        images: NDArray[np.uint8] | None,
        shape: Sequence[int],  # noqa: ARG002
        device: torch.device,
    ) -> Tensor:
        """This process's images of a batch.

        Args:
            images: the whole batch in the first process, None in the others.
            shape: of the whole batch, for those.
            device: of the fit.
        """
        return torch.from_numpy(np.ascontiguousarray(images)).to(device)

    def require_agreement(self, network: nn.Module) -> None:
        """Make sure that all processes have come to the same network, to the last bit.

        Raises:
            TrainingError: they have not.
        """


@dataclass(frozen=True)
class TorchrunTeam(Team):
    """All processes that torchrun started, as one of them sees them.

    Attributes:
        rank: its own number; the first, 0, runs the program.
        processes: how many there are, itself included.
        on_this_machine: how many of them share its cores.
        waiting: the group over which fits are announced.
    """

    rank: int
    processes: int
    on_this_machine: int
    waiting: dist.ProcessGroup

    @property
    def leads(self) -> bool:
        """See `Team`."""
        return self.rank == 0

    def fabric(self, precision: str) -> Fabric:
        """For a device a process; gradients are averaged over all of them."""
        _quiet()
        fabric = Fabric(
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            devices=self.on_this_machine,
            num_nodes=self.processes // self.on_this_machine,
            strategy="ddp",
            precision=precision,  # type: ignore[arg-type]
        )
        fabric.launch()
        return fabric

    @contextmanager
    def helping(self, announced: Callable[[], Fitting]) -> Iterator[None]:
        """See `Team`."""
        threads = torch.get_num_threads()
        try:
            dist.broadcast_object_list([(announced(), threads)], src=0, group=self.waiting)
            self._limit_threads(threads)
            yield
        except RuntimeError as error:
            _leave()
            reason = "another one ended, and its own message stands above"
            raise TrainingError(
                f"The training on {self.processes} processes failed: "
                f"{reason if _is_gone(error) else _first_line(error)}. What was saved is kept: "
                "resume the run."
            ) from error
        except BaseException:
            # Whatever the others were doing, they would wait for a process that does not come.
            _leave()
            raise
        finally:
            torch.set_num_threads(threads)

    def follow(self) -> None:
        """Take part in every fit that is announced, until the first process dismisses this one.

        Raises:
            SystemExit: the first process failed or died.
        """
        announced: list[Any] = [None]
        try:
            while True:
                dist.broadcast_object_list(announced, src=0, group=self.waiting)
                if announced[0] is None:
                    return
                fitting, threads = announced[0]
                self._limit_threads(threads)
                fitting.take_part(self)
        except VqlsoError as error:
            raise SystemExit(0) from error  # the first process meets it too, and tells
        except RuntimeError as error:
            if _is_gone(error):
                raise SystemExit(0) from error
            raise

    def portion(self, whole: int) -> Portion:
        """See `Team`."""
        return Portion.of(whole, self.rank, self.processes)

    def divided(
        self, images: NDArray[np.uint8] | None, shape: Sequence[int], device: torch.device
    ) -> Tensor:
        """See `Team`."""
        whole, *image = shape if images is None else images.shape
        # A scatter wants equal sizes, and portions differ by one image.
        most = -(-whole // self.processes)
        received = torch.empty(most, *image, dtype=torch.uint8, device=device)
        parts = None
        if images is not None:
            batch = torch.from_numpy(np.ascontiguousarray(images)).to(device)
            parts = [self._part(batch, rank, most) for rank in range(self.processes)]
        dist.scatter(received, parts, src=0)
        return received[: len(self.portion(whole))]

    def require_agreement(self, network: nn.Module) -> None:
        """See `Team`."""
        digest = hashlib.sha256()
        for tensor in network.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        own = torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)
        own = own.to(next(network.parameters()).device)
        digests = [torch.empty_like(own) for _ in range(self.processes)]
        dist.all_gather(digests, own)
        if any(not torch.equal(other, own) for other in digests):
            raise TrainingError(
                "The processes that trained together came to different weights, as devices of "
                "different kinds may. Use devices of one kind, or one process."
            )

    def _part(self, whole: Tensor, rank: int, most: int) -> Tensor:
        part = whole[Portion.of(len(whole), rank, self.processes).own]
        return torch.cat([part, part.new_zeros(most - len(part), *part.shape[1:])])

    def _limit_threads(self, threads: int) -> None:
        fair = max(1, available_cores() // self.on_this_machine)
        torch.set_num_threads(min(threads, fair))


_team = Team()


def current_team() -> Team:
    """The processes that this one's fits run on."""
    return _team


def lead_or_follow(program: Callable[[], None]) -> NoReturn:
    """Run the program in the first of torchrun's processes; the others help it with its fits.

    Ends every process when the program has ended: the first as the program did, the others in
    silence. Ctrl-C reaches all of them, but only the first heeds it, and only once, because
    torchrun repeats it.
    """
    team = _joined()
    if team.leads:
        _lead(team, program)
    _follow(team)


def _lead(team: TorchrunTeam, program: Callable[[], None]) -> NoReturn:
    global _team
    signal.signal(signal.SIGINT, _interrupt_once)
    _team = team
    ending: BaseException = SystemExit(0)
    try:
        program()
    except BaseException as error:
        ending = error
    if _team is not team:
        _end(ending)
    dist.broadcast_object_list([None], src=0, group=team.waiting)
    _leave()
    raise ending


def _follow(team: TorchrunTeam) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        team.follow()
    except BaseException as error:
        _end(error)
    dist.destroy_process_group()
    _end(SystemExit(0))


def _end(ending: BaseException) -> NoReturn:
    """End as Python would, but without waiting for what was begun with other processes.

    Nor is the interpreter taken down: a thread of gloo that still lets go of a tensor would abort
    the process.
    """
    code = 1
    if isinstance(ending, SystemExit) and not isinstance(ending.code, str):
        code = ending.code or 0
    else:
        sys.excepthook(type(ending), ending, ending.__traceback__)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _joined() -> TorchrunTeam:
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", timeout=PATIENCE, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    return TorchrunTeam(
        dist.get_rank(),
        dist.get_world_size(),
        int(os.environ["LOCAL_WORLD_SIZE"]),
        dist.new_group(backend="gloo", timeout=UNTIL_THE_NEXT_FIT),
    )


def _leave() -> None:
    """End the connections, so that nobody waits for this process; it goes on alone."""
    global _team
    _team = Team()
    _left.append(dist.group.WORLD)
    dist.destroy_process_group()


# Who drops the last reference to a gloo group waits for its thread, and holds Python's lock, for
# which that thread may wait to let go of a tensor: forever (torch 2.13). After a failed fit that
# would be the network's reducer, so that groups outlive it here.
_left: list[Any] = []


def _quiet() -> None:
    # Fabric announces its precision at every start, which a loop of retrainings would repeat.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def _interrupt_once(signal_: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _is_gone(error: RuntimeError) -> bool:
    return any(words in str(error) for words in GONE)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

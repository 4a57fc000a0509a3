"""One person's session in one run folder: what is shown, what was picked, and the way there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from pipeline.evolution.folders import Opened, begun, received, reopened
from pipeline.evolution.packing import packed
from pipeline.evolution.photos import png_of
from pipeline.evolution.settings import EvolutionSettings
from pipeline.runs.folder import RunFolder
from solvers.preference.evolution import Picked
from vqlso.errors import DataError, RunFolderError
from vqlso.problems.preference import Preference, answered

__all__ = ["EvolutionSession", "EvolutionSettings", "Step"]


@dataclass(frozen=True)
class Step:
    """A generation that was picked from.

    Attributes:
        number: from 0.
        rows: (k,) where the picked images stood in it, ascending.
        counts: (k,) how often each was picked.
        thumbnails: (k, 3, H, W) uint8, the picked images.
        mutation: the size that the generation was made with; the first random one has none, and
            this is the size that the rule begins from.
    """

    number: int
    rows: tuple[int, ...]
    counts: tuple[int, ...]
    thumbnails: NDArray[np.uint8]
    mutation: float


class EvolutionSession:
    """A `Preference` problem before a person, journalled pick by pick.

    Everything that a person did is on the disk when the call returns: the session is opened again
    from its folder, whatever became of the process. Make it by `create`, `open` or `from_zip`.

    Args:
        folder: of the session.
        opened: what was read from it, or written to it.

    Attributes:
        settings: what it was begun with.
        images: (population, 3, H, W) uint8, the generation on show.
    """

    def __init__(self, folder: RunFolder, opened: Opened) -> None:
        self.folder = folder
        self.settings = opened.settings
        self._loop = opened.loop
        self._written = opened.journal_bytes
        self._busy = Lock()
        self._show()

    @classmethod
    def create(cls, folder: RunFolder, settings: EvolutionSettings) -> EvolutionSession:
        """Begin a session.

        Args:
            folder: an empty one.
            settings: a photo in them is cut to its central square, and inverted.

        Raises:
            RunFolderError: the folder holds a run or cannot be written.
            ConfigError: no such generator, or one that does not suit such a session.
            CheckpointError: the generator's file is damaged.
            DataError: photo or target are no pictures.
        """
        return cls(folder, begun(folder, settings))

    @classmethod
    def open(cls, folder: RunFolder) -> EvolutionSession:
        """Go on with a session where it stands, by replaying its journal.

        Raises:
            RunFolderError: there is no session in the folder, or its files are damaged.
        """
        return cls(folder, reopened(folder))

    @classmethod
    def from_zip(cls, data: bytes, folder: RunFolder) -> EvolutionSession:
        """Go on, in a folder of its own, with a session that `archive_zip` made.

        Args:
            data: the file's content, which may be a stranger's.
            folder: an empty one beside other sessions, among which a generator that is not
                packaged is looked for. It is removed where the file is refused.

        Raises:
            DataError: it is no session, was tampered with, or its generator is not here.
            RunFolderError: the folder holds a run or cannot be written.
        """
        return received(data, folder, partial(cls, folder))

    @property
    def step(self) -> int:
        """Of the generation on show, from 0."""
        return len(self._loop.evolution.line)

    @property
    def mutation(self) -> float:
        """The size that the automatic rule has arrived at, in (0, 1].

        The generation on show was made by half to double of it, ascending from its first to its
        last image; the next one will be made by the geometric mean of those that are picked.
        """
        return self._loop.evolution.mutation

    @property
    def favourite(self) -> int | None:
        """The row that was picked most in the last step; None before the first pick."""
        last = self._last
        return None if last is None else int(last.rows[last.favourite])

    @property
    def favourite_image(self) -> NDArray[np.uint8] | None:
        """(3, H, W) uint8, the favourite."""
        last = self._last
        return None if last is None else self._archived(last.parents[[last.favourite]])[0]

    @property
    def favourite_latent(self) -> bytes | None:
        """The favourite's latent, as `latent`."""
        last = self._last
        return None if last is None else self._as_file(last.z[last.favourite])

    @property
    def history(self) -> list[Step]:
        """The steps that the generation on show descends from."""
        evolution = self._loop.evolution
        sizes = [evolution.first_mutation, *(each.mutation for each in evolution.line)]
        return [
            Step(
                number=number,
                rows=tuple(each.rows.tolist()),
                counts=tuple(each.counts.astype(int).tolist()),
                thumbnails=self._archived(each.parents),
                mutation=sizes[number],
            )
            for number, each in enumerate(evolution.line)
        ]

    def pick(self, counts: Sequence[int], mutation: float | None = None) -> None:
        """Take the picks and make the next generation.

        Args:
            counts: (population,) how often each image was picked; at least one of them.
            mutation: size of the next generation, in (0, 1]; None leaves it to the automatic rule.

        Raises:
            DataError: picks that are none, or something is still being computed.
            SolverError: a size outside its range.
            RunFolderError: the folder cannot be written, or the session has gone on elsewhere.
        """
        with self._alone():
            scores = answered(self._proposal, self.images, counts)
            thought = perf_counter() - self._shown_at
            self._loop.answer(self._proposal, scores, mutation, thought)
            self._show()

    def back(self, step: int) -> None:
        """Show an earlier step again, as it was; the journal keeps what is left by this.

        Raises:
            SolverError: it is no earlier step.
            DataError: something is still being computed.
            RunFolderError: the folder cannot be written, or the session has gone on elsewhere.
        """
        with self._alone():
            self._loop.back_to(step)
            self._show()

    def image_png(self, row: int) -> bytes:
        """An image of the generation on show, as a PNG file's content.

        Raises:
            DataError: there is no such row.
        """
        return png_of(self.images[self._row(row)])

    def latent(self, row: int) -> bytes:
        """Its latent as a safetensors file's content: "z", (1, *space.shape), and a header.

        Raises:
            DataError: there is no such row.
        """
        return self._as_file(self._proposal.z[self._row(row)])

    def archive_zip(self) -> bytes:
        """The whole session as a zip file's content, for `from_zip`. Weights stay here.

        Raises:
            RunFolderError: a file of the session is damaged.
            DataError: something is still being computed.
        """
        with self._alone():
            return packed(self.folder, self.settings)

    @property
    def _last(self) -> Picked | None:
        line = self._loop.evolution.line
        return line[-1] if line else None

    def _archived(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._loop.archive.images(rows)

    def _as_file(self, z: NDArray[Any]) -> bytes:
        header = {
            "space": self._proposal.space,
            "generator": self._proposal.version,
            "session": self.folder.path.name,
        }
        return save({"z": torch.from_numpy(np.ascontiguousarray(z[None]))}, header)

    def _row(self, row: int) -> int:
        if not 0 <= row < len(self.images):
            raise DataError(f"There is no image {row}: {len(self.images)} are shown, from 0.")
        return row

    def _show(self) -> None:
        self._proposal = self._loop.propose()
        problem = self._loop.problem
        assert isinstance(problem, Preference)
        self.images = problem.shown(self._proposal)
        self._shown_at = perf_counter()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the session, and nobody has since it was shown here."""
        if not self._busy.acquire(blocking=False):
            raise DataError("The next generation is still being made: wait a moment.")
        try:
            with self.folder.locked():
                if self._loop.journal_bytes != self._written:
                    raise RunFolderError(
                        "This session has gone on elsewhere, such as in another window: open it "
                        "again to see where it stands."
                    )
                yield
                # Not after a failure: what is shown may then be behind the journal.
                self._written = self._loop.journal_bytes
        finally:
            self._busy.release()

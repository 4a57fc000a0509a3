"""An evolution strategy whose selection is a person (paper 001, sections III-D2 and V-D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from solvers.preference.variation import Variation
from vqlso.archive import Archive
from vqlso.errors import SolverError
from vqlso.randomness import stream
from vqlso.records import Proposal, Scores

# The children of one generation differ from its size by up to this factor: with six generations
# at hand, a rule that could not halve or double a size in one of them would come too late.
SPREAD = 2.0
SMALLEST = 0.02


@dataclass(frozen=True)
class Picked:
    """What was picked of one generation.

    Attributes:
        first_id: lowest id of the generation.
        rows: (k,) int64, where the picked ones stood in it, ascending.
        parents: (k,) int64, their rows of the archive.
        z: (k, *shape) their latents.
        counts: (k,) float64 above 0, how often each was picked.
        mutation: size of the generation that follows.
    """

    first_id: int
    rows: NDArray[np.int64]
    parents: NDArray[np.int64]
    z: NDArray[Any]
    counts: NDArray[np.float64]
    mutation: float

    @property
    def favourite(self) -> int:
        """Which of the k was picked most; the first of equals."""
        return int(self.counts.argmax())


class PreferenceEvolution:
    """Recombines what was picked, and mutates by a size that the picks themselves set.

    A told proposal is a generation, and a score how often its image was picked: scores of different
    proposals are never compared. A child recombines what was picked last, where an image that was
    picked twice counts double, and is then mutated. The first of a generation is the last favourite
    itself, so that nothing that was liked is lost.

    The automatic rule is mutative self-adaptation (Schwefel 1987; Beyer and Schwefel 2002, section
    4.2): the children of a generation are mutated by half to double its size, ascending from the
    first to the last, and the next generation's size is the geometric mean of those that were
    picked.

    The first generation is drawn from the variation, or varies `first` where that is given.

    Args:
        variation: how latents of this space are drawn, recombined and mutated.
        mutation: the first size, in (0, 1]; 1 keeps next to nothing of the parents. None takes the
            variation's own.
        adapts: whether the size follows the picks; else it stays.
        first: (*space.shape,) where to begin; None draws the first generation.
        seed: of everything drawn.

    Raises:
        SolverError: a size outside its range.
        LatentSpaceError: `first` is no latent of the space.
    """

    def __init__(
        self,
        variation: Variation,
        *,
        mutation: float | None = None,
        adapts: bool = True,
        first: NDArray[Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.variation = variation
        self.first_mutation = _required_size(
            variation.first_mutation if mutation is None else mutation
        )
        self.adapts = adapts
        self.seed = seed
        self._first = None if first is None else variation.space.validate(first[None])
        self._history = History(variation.space)
        self._line: list[Picked] = []
        self._chosen: float | None = None

    @property
    def line(self) -> tuple[Picked, ...]:
        """The answered generations that the one asked for next descends from."""
        return tuple(self._line)

    @property
    def mutation(self) -> float:
        """Size of the generation that is asked for next; the rule goes on from there."""
        return self._line[-1].mutation if self._line else self.first_mutation

    def choose(self, mutation: float | None) -> None:
        """Give the generation behind the next answer this size; None leaves it to the rule.

        Raises:
            SolverError: a size outside its range.
        """
        self._chosen = None if mutation is None else _required_size(mutation)

    def back_to(self, generation: int) -> None:
        """Forget what was picked of this generation and of all after it.

        It is asked for next, and looks as it did.

        Args:
            generation: of the line, from 0.

        Raises:
            SolverError: it was not answered yet.
        """
        self.require_answered(generation)
        del self._line[generation:]
        self._chosen = None

    def require_answered(self, generation: int) -> None:
        """Raise SolverError where there is no way back to this generation of the line."""
        if not 0 <= generation < len(self._line):
            raise SolverError(
                f"There is no way back to generation {generation}: of the line, "
                f"{len(self._line)} were answered."
            )

    def rebase(self, archive: Archive) -> None:
        """Begin again: what was picked are latents of another generator."""
        self._history.rebase(archive)
        self._line, self._chosen = [], None

    def tell(self, proposal: Proposal, scores: Scores) -> None:
        """Take the picks of one generation; one without any changes nothing.

        Raises:
            SolverError: as `History.tell`.
        """
        known = len(self._history)
        rows = self._history.tell(proposal, scores)
        counts, z = self._history.y[known:], self._history.z[known:]
        picked = np.flatnonzero(counts > 0)
        if not len(picked):
            return
        mutation = self._chosen or self._adapted(rows[picked], counts[picked], len(proposal))
        self._line.append(
            Picked(
                first_id=int(proposal.ids.min()),
                rows=rows[picked],
                parents=known + picked,
                z=z[picked],
                counts=counts[picked],
                mutation=mutation,
            )
        )
        self._chosen = None

    def ask(self, n: int) -> Proposal:
        """The n >= 1 latents of the next generation, the last favourite first.

        Raises:
            SolverError: nothing is asked for, or before `rebase`.
        """
        ids = self._history.new_ids(n)
        last = self._line[-1] if self._line else None
        # Not by id: a generation that a person goes back to looks as it did.
        rng = stream(self.seed, "generation", last.first_id + 1 if last else 0)
        parents = np.full(n, -1, dtype=np.int64)
        if last is not None:
            children = self.variation.recombined(last.z, last.counts, n, rng)
            z = self._varied(children, last.z[last.favourite], rng)
            parents[:] = last.parents[last.favourite]
        elif self._first is not None:
            z = self._varied(np.repeat(self._first, n, axis=0), self._first[0], rng)
        else:
            z = self.variation.sample(n, rng)
        details = {"generation": len(self._line), "mutation": self.mutation}
        return self._history.proposal(ids, z, parents=parents, details=details)

    def _varied(
        self, z: NDArray[Any], kept: NDArray[Any], rng: np.random.Generator
    ) -> NDArray[Any]:
        """Mutated latents behind the one that is kept; one alone has no room for it."""
        varied = self.variation.mutated(z, _sizes(self.mutation, len(z)), rng)
        if len(varied) > 1:
            varied[0] = kept
        return varied

    def _adapted(self, rows: NDArray[np.int64], counts: NDArray[np.float64], n: int) -> float:
        """Size of the next generation by what was picked of n."""
        mutated = bool(self._line) or self._first is not None
        if not (self.adapts and mutated):
            return self.mutation
        logarithms = np.log(_sizes(self.mutation, n)[rows])
        return float(np.exp(np.average(logarithms, weights=counts)))


def _sizes(mutation: float, n: int) -> NDArray[np.float64]:
    """(n,) sizes of the children of one generation."""
    factors = SPREAD ** np.linspace(-1, 1, n) if n > 1 else np.ones(1)
    return np.clip(mutation * factors, SMALLEST, 1.0)


def _required_size(mutation: float) -> float:
    if not 0 < mutation <= 1:
        raise SolverError(f"A mutation's size lies above 0 and is at most 1; got {mutation}.")
    return float(mutation)

"""Which parts go together: all combinations that a configuration can name and run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.parts import GENERATORS, RETRAINERS, SOLVERS, SURROGATES, misfit


@dataclass(frozen=True)
class Combination:
    """One choice of parts that go together.

    Attributes:
        generator, solver, retrainer: their names.
        surrogate: its name; empty for a solver without one.
    """

    generator: str
    solver: str
    surrogate: str
    retrainer: str

    @property
    def overrides(self) -> list[str]:
        """What `vqlso run` is told to get it."""
        guided = [f"surrogate={self.surrogate}"] if self.surrogate else []
        return [
            f"generator={self.generator}",
            f"solver={self.solver}",
            *guided,
            f"retrainer={self.retrainer}",
        ]


def together(generator: str, solver: str) -> str:
    """What a solver can be guided by over a generator's latents, or a dash where it cannot search.

    Returns:
        Names of surrogates; "yes" for a solver without one.
    """
    latents = GENERATORS[generator].latents
    if SOLVERS[solver].surrogate is None:
        return "–" if misfit(solver, "", latents) else "yes"
    fitting = [each for each in SURROGATES if not misfit(solver, each, latents)]
    return ", ".join(fitting) or "–"


def combinations() -> Iterator[Combination]:
    """All that run; made from the tables of parts, so that a new part takes its place by itself."""
    for generator, part in GENERATORS.items():
        for solver, search in SOLVERS.items():
            for surrogate in SURROGATES if search.surrogate else [""]:
                if misfit(solver, surrogate, part.latents):
                    continue
                for retrainer, change in RETRAINERS.items():
                    if part.encodes or not change.retrains:
                        yield Combination(generator, solver, surrogate, retrainer)

"""What a plug-in is: built from a configuration, described in a line, sometimes an extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pipeline.configuration.composition import nearest
from pipeline.configuration.settings import ExperimentConfig
from vqlso.contracts import LatentSpace, Retrainer, Solver, Surrogate
from vqlso.errors import ConfigError
from vqlso.progress import Progress
from vqlso.spaces import CodeGrid

B = TypeVar("B", bound=Callable[..., Any])
P = TypeVar("P")

Latents = Literal["codes", "vectors"]
SurrogateKind = Literal["trees", "probabilistic"]
EITHER: tuple[Latents, ...] = ("codes", "vectors")


@dataclass(frozen=True)
class Part(Generic[B]):
    """Something that a configuration can name.

    Attributes:
        line: what it is, in one line.
        build: makes it.
        needs: package that it imports beyond the core, if any.
        extra: the extra that installs that package.
    """

    line: str
    build: B
    needs: str = ""
    extra: str = ""

    @property
    def installed(self) -> bool:
        """Whether what it needs can be imported."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


@dataclass(frozen=True)
class SurrogatePart(Part[Callable[[ExperimentConfig, LatentSpace, int], Surrogate]]):
    """A surrogate.

    Attributes:
        kind: what a solver can do with it: maximise its trees exactly, or weigh its uncertainty.
    """

    kind: SurrogateKind = "trees"


@dataclass(frozen=True)
class SolverPart(Part[Callable[[ExperimentConfig, LatentSpace, int], Solver]]):
    """A solver.

    Attributes:
        latents: what it can search over.
        surrogate: the kind of surrogate that it is guided by; None for none.
    """

    latents: tuple[Latents, ...] = EITHER
    surrogate: SurrogateKind | None = None


@dataclass(frozen=True)
class RetrainerPart(Part[Callable[[ExperimentConfig, Progress], Retrainer]]):
    """A retrainer.

    Attributes:
        retrains: whether it changes the generator, which must then encode images.
    """

    retrains: bool = True


def part(role: str, parts: Mapping[str, P], kind: str) -> P:
    """The part that a configuration names.

    Raises:
        ConfigError: an unknown kind, with the nearest known one.
    """
    if kind not in parts:
        raise ConfigError(f"There is no {role}.kind '{kind}'{nearest(kind, list(parts))}")
    return parts[kind]


def latents_of(space: LatentSpace) -> Latents:
    """What a solver sees of a space."""
    return "codes" if isinstance(space, CodeGrid) else "vectors"

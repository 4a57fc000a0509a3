"""Plain records that travel through the loop: what is proposed, and what the black box said."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import ObjectiveError, SolverError


class SolveStatus(StrEnum):
    """What is known about a proposal as a maximiser of the acquisition."""

    OPTIMAL = "optimal"  # proven: no feasible latent has a higher acquisition
    FEASIBLE = "feasible"  # the best found within a limit, with a valid bound
    UNPROVEN = "unproven"  # a heuristic's answer; nothing is claimed


class ScoreStatus(StrEnum):
    """Whether the black box answered."""

    OK = "ok"
    FAIL = "fail"


def _mismatch(ids: NDArray[np.int64], fields: Mapping[str, Sized]) -> str:
    """What keeps one entry of each field from belonging to one id; empty if nothing does."""
    wrong = {name: len(values) for name, values in fields.items() if len(values) != len(ids)}
    if wrong:
        return f"{len(ids)} ids, but fields of other lengths: {wrong}"
    if len(set(ids.tolist())) != len(ids):
        return f"ids repeat: {ids.tolist()}"
    return ""


@dataclass(frozen=True)
class Proposal:
    """n latents to be scored, each with an id that its score is told back by.

    Attributes:
        ids: (n,) int64, unique within a run, counted from 0.
        z: (n, *space.shape) latents.
        space: name of the latent space.
        version: version of the generator that the latents belong to.
        parents: (n,) int64, archive rows that the latents were derived from; -1 for none.
        predicted: (n,) float64, the surrogate's prediction at z; NaN without a surrogate.
        acquisition: (n,) float64, what the inner optimizer maximised, at z.
        bound: (n,) float64, proven upper bound of the acquisition; NaN without one.
        status: n statuses of the inner optimisation.
        controls: latents of the same shape as z that are scored beside it for comparison, by
            name ("reference", "random_codes"). They are neither told nor archived, nor do they
            count against the budget.
        details: further facts for the journal, by name; JSON values.

    Raises:
        SolverError: fields of other lengths than the ids, or an id twice.
    """

    ids: NDArray[np.int64]
    z: NDArray[Any]
    space: str
    version: str
    parents: NDArray[np.int64]
    predicted: NDArray[np.float64]
    acquisition: NDArray[np.float64]
    bound: NDArray[np.float64]
    status: tuple[SolveStatus, ...]
    controls: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields: dict[str, Sized] = {
            "z": self.z,
            "parents": self.parents,
            "predicted": self.predicted,
            "acquisition": self.acquisition,
            "bound": self.bound,
            "status": self.status,
        }
        fields |= {f"controls[{name!r}]": z for name, z in self.controls.items()}
        fault = _mismatch(self.ids, fields)
        if fault:
            raise SolverError(f"A proposal cannot be told back by id: {fault}.")

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def unproven(
        cls, z: NDArray[Any], *, space: str, version: str, ids: NDArray[np.int64] | None = None
    ) -> Self:
        """Latents of which nothing is predicted or proven, and that derive from nothing.

        Args:
            z: (n, *space.shape) latents.
            space: name of the latent space.
            version: of the generator.
            ids: (n,) int64; counted from 0 by default.
        """
        unknown = np.full(len(z), np.nan)
        return cls(
            ids=np.arange(len(z)) if ids is None else ids,
            z=z,
            space=space,
            version=version,
            parents=np.full(len(z), -1),
            predicted=unknown,
            acquisition=unknown,
            bound=unknown,
            status=(SolveStatus.UNPROVEN,) * len(z),
        )


@dataclass(frozen=True)
class Scores:
    """The black box's answers, matched to a proposal by id, in any order.

    Attributes:
        ids: (n,) int64.
        values: (n,) float64; NaN where the status is FAIL.
        status: n statuses.
        reason: n strings, empty where the status is OK.
        images: (n, 3, H, W) uint8, the images that were scored.
        control_values: (n,) float64 by name, the scores of the proposal's controls.
        control_images: (n, 3, H, W) uint8 by name.

    Raises:
        ObjectiveError: fields of other lengths than the ids, or an id twice.
    """

    ids: NDArray[np.int64]
    values: NDArray[np.float64]
    status: tuple[ScoreStatus, ...]
    reason: tuple[str, ...]
    images: NDArray[np.uint8]
    control_values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    control_images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields: dict[str, Sized] = {
            "values": self.values,
            "status": self.status,
            "reason": self.reason,
            "images": self.images,
        }
        fields |= {f"control_values[{name!r}]": x for name, x in self.control_values.items()}
        fields |= {f"control_images[{name!r}]": x for name, x in self.control_images.items()}
        fault = _mismatch(self.ids, fields)
        if fault:
            raise ObjectiveError(f"Scores cannot be matched by id: {fault}.")

    @property
    def ok(self) -> NDArray[np.bool_]:
        """(n,) True where the black box answered."""
        return np.array([status is ScoreStatus.OK for status in self.status], dtype=bool)


@dataclass(frozen=True)
class Context:
    """Where in the run an evaluation happens, for problems whose scoring is stochastic.

    Attributes:
        seed: the run's seed.
        round: number of retrainings so far.
    """

    seed: int
    round: int


@dataclass(frozen=True)
class FitReport:
    """What a fit did.

    Attributes:
        seconds: wall-clock time.
        rows: number of training samples it saw.
        measures: figures by name, such as losses or the codebook's perplexity.
    """

    seconds: float
    rows: int
    measures: Mapping[str, float] = field(default_factory=dict)

"""Edit directions as a problem: the vector d that changes one attribute of any image most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import Generator, LatentSpace
from vqlso.errors import ConfigError, DataError, LatentSpaceError
from vqlso.images import to_bytes
from vqlso.metrics.intervals import mean_interval
from vqlso.objectives.failures import reason_of
from vqlso.problems.image_score import require_latents_of
from vqlso.randomness import stream
from vqlso.records import Context, Proposal, Scores, ScoreStatus
from vqlso.spaces import RealVectors

# Shortening a vector to L leaves a length that is off by rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class EditVectors(RealVectors):
    """Vectors that are added to latents, no longer than L (Meißner et al. 2022, algorithm 1).

    Attributes:
        longest: L > 0, the largest Euclidean length over all entries. A vector of "w" that is
            repeated in each of k layers of "w+" is sqrt(k) times as long there.

    Raises:
        LatentSpaceError: L is no positive number.
    """

    longest: float = field(kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.longest < np.inf:
            raise LatentSpaceError(
                f"The largest length of an edit vector is a positive number; got {self.longest}."
            )

    def sample(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(n, *shape) float64 of any direction, with lengths that are uniform in [0, L]."""
        d = rng.standard_normal((n, *self.shape))
        wanted = self.longest * rng.random(n)
        return d * _per_row(wanted / lengths(d), d)

    def within(self, d: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, *shape) vectors, those longer than L shortened to L."""
        return d * _per_row(np.minimum(1, self.longest / np.maximum(lengths(d), self.longest)), d)

    def validate(self, z: NDArray[np.generic]) -> NDArray[np.float64]:
        """`z` as float64 of shape (n, *shape).

        Raises:
            LatentSpaceError: as `RealVectors`, or a vector is longer than L.
        """
        d = super().validate(z)
        if len(d) and lengths(d).max() > self.longest * (1 + ROUNDING):
            raise LatentSpaceError(
                f"Edit vectors of '{self.name}' are at most {self.longest} long; got one of "
                f"{lengths(d).max():.6g}. Shorten it, or raise the largest length."
            )
        return d


@dataclass(frozen=True)
class Conditions:
    """What all candidates of one proposal are scored under: common random numbers.

    Attributes:
        anchors: (a, *shape) latents that candidates are added to.
        sign: +1 where the attribute is to rise, -1 where it is to fall.
    """

    anchors: NDArray[np.float64]
    sign: int


@dataclass(frozen=True)
class Effect:
    """What an edit vector does to fixed anchors.

    Attributes:
        raised: mean change of the attribute by +d.
        lowered: mean change by -d, which should be negative.
        half_width: of the 95 % interval of `change`.
    """

    raised: float
    lowered: float
    half_width: float

    @property
    def change(self) -> float:
        """The mean change in the wanted direction; NaN where the objective failed."""
        return (self.raised - self.lowered) / 2


@dataclass(frozen=True)
class Direction:
    """The change of an attribute by an edit vector, over fresh anchors, up or down.

    The candidate is d. All candidates of one proposal are scored under the same conditions: the
    anchors w and one sign s, which derive from the run's seed and the proposal's smallest id. The
    value is the mean over anchors of s (R(G(w + s d)) - R(G(w))). So candidates of one proposal
    can be compared, and those of two proposals cannot; `effect` gives a value that can.

    Images are scored as the generator makes them, without rounding to 8 bits, which would hide
    what a small step changes.

    Attributes:
        generator: decodes latents; its samples are the anchors, truncated as it is set to.
        objective: measures the attribute; any function, differentiable or not.
        space_name: the space that is edited: "w", "w+", "s" or "z"; None for the generator's own.
        longest: L, the largest length of an edit vector; 0.8 in the paper, section 4.
        anchors: a >= 1, how many latents a value is averaged over.
        baseline: also score the anchors themselves. Without them a third of the images is saved,
            for the value is then the mean of s R(G(w + s d)): as good within a proposal, but no
            longer a change.
        batch_size: images that are decoded and scored at once.

    Raises:
        ConfigError: no anchors, or no images at once.
    """

    generator: Generator
    objective: Callable[[Tensor], NDArray[np.float64]]
    space_name: str | None = None
    longest: float = 0.8
    anchors: int = 1
    baseline: bool = True
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.anchors < 1 or self.batch_size < 1:
            raise ConfigError(
                "A direction is scored over at least one anchor, and at least one image at once; "
                f"got {self.anchors} and {self.batch_size}."
            )

    @property
    def edited_space(self) -> LatentSpace:
        """Where the anchors live."""
        if self.space_name is None:
            return self.generator.space
        return self.generator.spaces[self.space_name]

    @property
    def space(self) -> EditVectors:
        """Where the candidates live, such as "edits of w"."""
        edited = self.edited_space
        return EditVectors(f"edits of {edited.name}", edited.shape, longest=self.longest)

    def moved_to(self, generator: Generator) -> Direction:
        """The same attribute of a retrained generator."""
        return replace(self, generator=generator)

    def images_of(self, n: int) -> int:
        """Images that are scored for a proposal of n candidates."""
        return (n + self.baseline) * self.anchors

    def conditions(self, seed: int, id_: int) -> Conditions:
        """Of the proposal whose smallest id is `id_`."""
        return Conditions(
            self.edited_space.sample(self.anchors, stream(seed, "anchors", id_)),
            1 if stream(seed, "sign", id_).random() < 0.5 else -1,
        )

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:
        """Values of the candidates and of controls; a candidate fails with any of its anchors.

        The images are those of the first anchor.

        Raises:
            LatentSpaceError: the candidates belong to another generator version or space.
            DataError: the objective takes images of another size than the generator's.
        """
        require_latents_of(proposal, self.space, self.generator)
        shared = self.conditions(context.seed, int(proposal.ids.min()))
        asked = {"": proposal.z, **proposal.controls}
        d = np.concatenate([self.space.validate(z) for z in asked.values()])
        origin = np.zeros_like(d[:1]) if self.baseline else d[:0]
        levels, reasons, images = self._mean_levels(shared, np.concatenate([origin, d]))
        if self.baseline:
            levels = levels[1:] - levels[0]
            reasons = [reasons[0] or reason for reason in reasons[1:]]
        values = np.split(shared.sign * levels, len(asked))
        shown = np.split(images[len(origin) :], len(asked))
        reasons = reasons[: len(proposal)]
        return Scores(
            ids=proposal.ids,
            values=values[0],
            status=tuple(ScoreStatus.FAIL if each else ScoreStatus.OK for each in reasons),
            reason=tuple(reasons),
            images=shown[0],
            control_values=dict(zip(proposal.controls, values[1:], strict=True)),
            control_images=dict(zip(proposal.controls, shown[1:], strict=True)),
        )

    def effect(self, d: NDArray[np.float64], *, anchors: int = 500, seed: int = 0) -> Effect:
        """What d does to anchors that depend on `seed` alone: comparable wherever d comes from.

        Args:
            d: (*shape), of any length.
            anchors: how many, >= 2; thrice as many images are scored.
            seed: of the anchors.
        """
        fixed = self.edited_space.sample(anchors, stream(seed, "fixed anchors"))
        origin, up, down = (self.levels(fixed + step * d) for step in (0, 1, -1))
        change, half_width = mean_interval((up - down) / 2)
        return Effect(
            raised=float((up - origin).mean()),
            lowered=float((down - origin).mean()),
            half_width=half_width if np.isfinite(change) else np.nan,
        )

    def samples(
        self, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n, *shape) latents and their (n,) levels, NaN where the objective has none."""
        latents = self.edited_space.sample(n, rng)
        return latents, self.levels(latents)

    def levels(self, latents: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, *shape) latents -> (n,) levels of the attribute, NaN where the objective has none.

        Raises:
            DataError: the objective does not return one number for each image.
        """
        return np.concatenate([self._answered(images)[0] for images in self._decoded(latents)])

    def _mean_levels(
        self, shared: Conditions, d: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[str], NDArray[np.uint8]]:
        """(m, *shape) candidates -> (m,) mean levels, why there is none, and first images."""
        edited = shared.anchors[None] + shared.sign * d[:, None]
        levels, reasons, shown = [], [], []
        for images in self._decoded(edited.reshape(-1, *d.shape[1:])):
            found, faults = self._answered(images)
            levels.append(found)
            reasons += faults
            shown.append(to_bytes(images))
        first_fault = [
            next(filter(None, reasons[row : row + self.anchors]), "")
            for row in range(0, len(reasons), self.anchors)
        ]
        return (
            np.concatenate(levels).reshape(len(d), self.anchors).mean(1),
            first_fault,
            np.concatenate(shown)[:: self.anchors],
        )

    def _answered(self, images: Tensor) -> tuple[NDArray[np.float64], list[str]]:
        """Levels, NaN where there is none, and why; a bad image takes no other with it."""
        try:
            found = self._scored(images)
        except DataError:
            raise  # it would come back every time: a mistake of the set-up, not data
        except (Exception, SystemExit) as error:
            if len(images) == 1:
                return np.array([np.nan]), [reason_of(error)]
            parts = [self._answered(image) for image in torch.split(images, 1)]
            return np.concatenate([each for each, _ in parts]), [why for _, (why,) in parts]
        finite = np.isfinite(found)
        faults = [
            "" if fine else f"the objective returned {value}"
            for fine, value in zip(finite, found, strict=True)
        ]
        return np.where(finite, found, np.nan), faults

    def _scored(self, images: Tensor) -> NDArray[np.float64]:
        found = np.asarray(self.objective(images), dtype=np.float64)
        if found.shape != (len(images),):
            raise DataError(
                f"The objective returned shape {found.shape} for {len(images)} images: it must "
                "return one number for each."
            )
        return found

    def _decoded(self, latents: NDArray[np.float64]) -> Iterator[Tensor]:
        for start in range(0, len(latents), self.batch_size):
            part = latents[start : start + self.batch_size]
            yield self.generator.decode(part, self.edited_space.name)


def lengths(d: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, *shape) vectors -> (n,) Euclidean lengths over all entries."""
    return np.asarray(np.linalg.norm(d.reshape(len(d), -1), axis=1))


def _per_row(factors: NDArray[np.float64], d: NDArray[np.float64]) -> NDArray[np.float64]:
    return factors.reshape(-1, *(1,) * (d.ndim - 1))

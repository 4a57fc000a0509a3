"""The methods of the editing benchmark, and every configuration that was tried for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

from benchmarks.editing_parts import Faces, realism
from solvers.directions import (
    DirectionCMAES,
    DirectionFromSamples,
    DirectionSearch,
    EnjoyEditing,
    FindsDirection,
    FoundDirection,
    LinearFit,
    MeanDifference,
    SvmNormal,
    find_direction,
)
from solvers.directions.enjoy_editing import EditingLoss
from solvers.directions.from_samples import LearnsNormal
from vqlso.objectives.feature_networks import RandomTaps
from vqlso.problems.direction import Direction

Make = Callable[[Direction, int], FindsDirection]

# Scored between two fits of a rule that learns from samples.
SAMPLES = 100


@dataclass(frozen=True)
class Method:
    """A configured solver.

    Attributes:
        name: for tables.
        make: of a problem and a seed.
        anchors: that each value is averaged over: the paper's batch size.
        candidates: of a proposal.
    """

    name: str
    make: Make
    anchors: int = 1
    candidates: int = 1

    def find(self, faces: Faces, attribute: str, images: int, seed: int) -> FoundDirection:
        """Search with a budget of images."""
        problem = faces.problem(attribute, self.anchors)
        return find_direction(
            problem, self.make(problem, seed), images=images, batch=self.candidates, seed=seed
        )

    def images_in(self, faces: Faces, attribute: str, seconds: float) -> int:
        """Images that it scores in so many seconds of one core, its own arithmetic included."""
        images, taken = 200, 0.0
        while taken < 0.5:
            images *= 2
            began = process_time()
            scored = self.find(faces, attribute, images, seed=0).images
            taken = process_time() - began
        return round(seconds * scored / taken)


def local_search(radius: float, batch: int) -> Method:
    """The paper's algorithm 1."""
    return Method(
        f"local search, batch {batch}, r {radius}",
        lambda problem, seed: DirectionSearch(problem, radius=radius, seed=seed),
        anchors=batch,
        candidates=2,
    )


def one_fifth(radius: float, batch: int, candidates: int = 2) -> Method:
    """Local search whose steps adapt."""
    return Method(
        f"1/5th rule, batch {batch}, r {radius}, {candidates - 1} steps a proposal",
        lambda problem, seed: DirectionSearch(problem, radius=radius, adapts=True, seed=seed),
        anchors=batch,
        candidates=candidates,
    )


def cma_es(radius: float, batch: int, population: int) -> Method:
    """A generation a proposal."""
    return Method(
        f"CMA-ES, batch {batch}, sigma {radius}, population {population}",
        lambda problem, seed: DirectionCMAES(
            problem, radius=radius, population=population, seed=seed
        ),
        anchors=batch,
        candidates=population,
    )


def enjoy(learning_rate: float, batch: int, terms: bool = True) -> Method:
    """Enjoy Your Editing with clamped cross-entropy, from the null vector as in the paper.

    Content is compared in untrained features: VGG's are no part of the package.
    """

    def make(problem: Direction, seed: int) -> EnjoyEditing:
        loss = EditingLoss(content=RandomTaps(), realism=realism()) if terms else EditingLoss()
        return EnjoyEditing(
            problem, loss=loss, learning_rate=learning_rate, batch=batch, steps=10, seed=seed
        )

    which = "all terms" if terms else "regressor alone"
    return Method(f"Enjoy Your Editing, batch {batch}, rate {learning_rate}, {which}", make)


def from_samples(name: str, learn: LearnsNormal) -> Method:
    """What is learnt from scored samples."""
    return Method(
        name,
        lambda problem, seed: DirectionFromSamples(problem, learn, samples=SAMPLES, seed=seed),
    )


def svm(share: float) -> Method:
    """InterFaceGAN."""
    return from_samples(f"InterFaceGAN, {share:.0%} at each end", SvmNormal(share))


def means(share: float) -> Method:
    """The difference of means."""
    return from_samples(f"difference of means, {share:.0%} at each end", MeanDifference(share))


def fit(penalty: float) -> Method:
    """Ridge regression."""
    return from_samples(f"linear fit, penalty {penalty}", LinearFit(penalty))


REFERENCE = "local search, batch 1"
# Measured on fresh seeds; chosen by `make bench-editing ARGS='--develop'`.
CHOSEN: dict[str, Method] = {
    "Shen": svm(0.02),
    "Zhuang": enjoy(0.03, 1),
    "difference of means": means(0.1),
    REFERENCE: local_search(0.02, 1),
    "local search, batch 8": local_search(0.02, 8),
    "1/5th rule": one_fifth(0.1, 4),
    "CMA-ES": cma_es(0.3, 1, 16),
    "linear fit": fit(0.01),
}
RADII = (0.02, 0.05, 0.1)
TRIED = [
    *(svm(share) for share in (0.02, 0.1)),
    *(enjoy(0.03, batch) for batch in (1, 4)),
    *(enjoy(rate, 4, terms=False) for rate in (0.01, 0.03)),
    *(means(share) for share in (0.1, 0.3)),
    *(local_search(radius, 1) for radius in RADII),
    *(local_search(radius, 8) for radius in RADII),
    *(one_fifth(0.1, 4, candidates) for candidates in (2, 4)),
    *(cma_es(radius, batch, 16) for radius, batch in ((0.1, 1), (0.3, 1), (0.3, 2))),
    *(fit(penalty) for penalty in (0.01, 0.1)),
]

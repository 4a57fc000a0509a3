"""Which methods of a study are ahead of its first on both axes: the degree, and the distance from
real images.

    vqlso sweep beyond && python -m benchmarks.dominance studies/beyond --features FILE

Differences are paired by seed, with 95 % intervals (Student). A method dominates where its queries
score higher by the queried scorer and by the judge, and are nearer to unseen target images in all
feature networks, every interval clear of zero. Distances are of one run's queries: Frechet's in
untrained and the judge's features, and with `--features` the kernel distance, which is unbiased
where there are fewer images than features, in MobileNetV2's (torchvision's ImageNet weights).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import figure, markdown
from pipeline.comparison.methods import Arm, compared
from pipeline.comparison.pooled import scored_images, target_of
from pipeline.comparison.results import Result, results_of
from vqlso.metrics.frechet import features
from vqlso.metrics.kernel_distance import kernel_distance
from vqlso.metrics.mobilenet import MobileNetFeatures
from vqlso.metrics.paired import PairedDifference, paired_difference


class Axis(NamedTuple):
    """Something that a run reaches: better where it is higher (sign 1) or lower (sign -1)."""

    name: str
    sign: int
    value: Callable[[Result], float]


def _frechet(network: int) -> Callable[[Result], float]:
    def value(result: Result) -> float:
        entry = result.summary["distances"][network]
        return float(entry["images"]["queries"]["frechet"][0])

    return value


AXES = (
    Axis("degree", 1, lambda result: float(result.summary["query_mean"])),
    Axis("degree, judge", 1, lambda result: float(result.summary["judge"]["query_mean"])),
    Axis("distance, untrained features", -1, _frechet(0)),
    Axis("distance, judge's features", -1, _frechet(1)),
)


def in_mobilenet(weights: Path, results: Sequence[Result]) -> Axis:
    """The kernel distance of a run's queries from the unseen images, in MobileNetV2's features."""
    network = MobileNetFeatures(weights)
    target = features(network, target_of(results).images)

    def value(result: Result) -> float:
        return kernel_distance(features(network, scored_images(result.folder)), target)

    return Axis("kernel distance, MobileNetV2", -1, value)


def reached(arm: Arm, axes: Sequence[Axis]) -> dict[int, NDArray[np.float64]]:
    """(axes,) for each seed."""
    return {
        seed: np.array([axis.value(result) for axis in axes])
        for seed, result in arm.results.items()
    }


def differences(
    ours: dict[int, NDArray[np.float64]], theirs: dict[int, NDArray[np.float64]]
) -> list[PairedDifference]:
    """On each axis, over the seeds that both have."""
    seeds = sorted(set(ours) & set(theirs))
    pairs = zip(
        np.stack([ours[s] for s in seeds], axis=1),
        np.stack([theirs[s] for s in seeds], axis=1),
        strict=True,
    )
    return [paired_difference(first, second) for first, second in pairs]


def dominates(found: Sequence[PairedDifference], axes: Sequence[Axis]) -> bool:
    """Whether every axis is ahead, its interval clear of zero."""
    return all(
        each.clear_of_zero and each.mean * axis.sign > 0
        for each, axis in zip(found, axes, strict=True)
    )


def tables(arms: Sequence[Arm], axes: Sequence[Axis]) -> str:
    """Markdown: what methods reached, as means over their seeds, and by how much they differ."""
    figures = [reached(arm, axes) for arm in arms]
    names = [axis.name for axis in axes]
    rows = [
        [arm.label, str(len(own)), *map(figure, np.mean(list(own.values()), axis=0).tolist())]
        for arm, own in zip(arms, figures, strict=True)
    ]
    others = []
    for arm, own in zip(arms[1:], figures[1:], strict=True):
        found = differences(own, figures[0])
        told = [f"{each.mean:+.3g} ± {each.half_width:.2g}" for each in found]
        others.append(
            [arm.label, str(found[0].n), *told, "yes" if dominates(found, axes) else "no"]
        )
    first = f"minus {arms[0].label}"
    return "\n\n".join(
        (
            markdown(["", "seeds", *names], rows),
            markdown([first, "seeds", *names, "dominates"], others),
        )
    )


def main() -> None:
    """Print the tables of a study's folder, or of several run folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--features", type=Path, help="MobileNetV2's weights")
    options = parser.parse_args()
    found = results_of(options.folders)
    axes = [*AXES, *([in_mobilenet(options.features, found.results)] if options.features else [])]
    print(tables(compared(found).arms, axes))


if __name__ == "__main__":
    main()

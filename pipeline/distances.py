"""How far a run's images are from the unseen target images, beside what such distances can mean.

A distance alone says little: the generator's own blur and the number of images are in it. So the
same figures stand beside it for the references, for real images of the target set, and for the
generator's reconstructions of these: no query can be expected below them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import EncodingGenerator, Generator
from vqlso.data.image_set import ImageSet
from vqlso.images import to_bytes, to_unit
from vqlso.metrics.frechet import (
    FeatureNetwork,
    features,
    frechet_by_degree,
    frechet_result,
    rows_by_degree,
)
from vqlso.metrics.kernel_distance import kernel_result
from vqlso.metrics.precision_recall import precision_recall
from vqlso.metrics.resampling import drawn
from vqlso.objectives.degree import on_degree_scale
from vqlso.randomness import stream

RESAMPLES = 100
NEIGHBOURS = 3  # Kynkaanniemi et al. 2019
FEWEST = 8
REAL = "real target images"
RECONSTRUCTED = "reconstructed target images"

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Target:
    """Unseen images, half of them to compare with and half to be compared.

    Attributes:
        images: (m, 3, H, W) uint8 that all others are compared with.
        degrees: (m,) their labels.
        others: (k, 3, H, W) uint8, as real: what a perfect generator would be at.
    """

    images: Images
    degrees: NDArray[np.float64]
    others: Images

    @classmethod
    def of(cls, data: ImageSet, rows: NDArray[np.int64], most: int, seed: int) -> Target:
        """At most so many images of these rows, drawn and halved."""
        chosen = stream(seed, "target images").permutation(rows)[:most]
        shown, others = np.sort(chosen[::2]), np.sort(chosen[1::2])
        return cls(data.images[shown], data.labels[shown], data.images[others])


def distances(
    groups: Mapping[str, Images],
    target: Target,
    generator: Generator,
    networks: Sequence[FeatureNetwork],
    seed: int,
) -> list[dict[str, Any]]:
    """What `summary.json` says of distances: an entry a network.

    Args:
        groups: images by name, such as "queries" and "references"; (n, 3, H, W) uint8 each.
        target: what they are compared with.
        generator: whose reconstructions of real target images are the floor.
        networks: whose features are compared.
        seed: of all that is drawn.
    """
    compared = {name: images for name, images in groups.items() if len(images) >= FEWEST}
    if not compared or min(len(target.images), len(target.others)) < FEWEST:
        return []
    # Equally many of all: a distance falls with the number of images.
    n = min(len(target.images), *map(len, compared.values()))
    compared[REAL] = target.others
    if isinstance(generator, EncodingGenerator):
        compared[RECONSTRUCTED] = reconstructed(generator, target.others)
    return [in_features(network, compared, target, n, seed) for network in networks]


def reconstructed(generator: EncodingGenerator, images: Images) -> Images:
    """What is left of images after encoding and decoding: (n, 3, H, W) uint8."""
    z = generator.encode(to_unit(images))
    return to_bytes(generator.decode(z, generator.space.name))


def in_features(
    network: FeatureNetwork,
    compared: Mapping[str, Images],
    target: Target,
    most: int,
    seed: int,
    runs: Mapping[str, NDArray[np.int64]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Every figure of groups of images in one network's features, an entry of `distances`.

    Args:
        network: whose features are compared.
        compared: images by name; (n, 3, H, W) uint8 each.
        target: what they are compared with.
        most: the largest n on both sides.
        seed: of all that is drawn.
        runs: by name, (n,) the run of each image; intervals then resample whole runs.
    """
    reference = features(network, target.images)

    def figures(name: str, images: Images) -> dict[str, Any]:
        found = features(network, images)
        return _figures(found, reference, target, network.name, most, seed, runs.get(name))

    return {
        "network": network.name,
        "images": {name: figures(name, images) for name, images in compared.items()},
    }


def _figures(
    found: NDArray[np.float64],
    reference: NDArray[np.float64],
    target: Target,
    network: str,
    most: int,
    seed: int,
    runs: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """Every figure of one group of images."""
    rng = stream(seed, "distances")
    n = min(most, len(found), len(reference))
    rows = drawn(len(found), n, rng)
    found, units = found[rows], None if runs is None else runs[rows]
    whole = frechet_result(found, reference, network, rng, runs=units, resamples=RESAMPLES)
    return {
        "n": n,
        "frechet": [whole.value, whole.low, whole.high],
        "rank_deficient": whole.rank_deficient,
        "frechet_by_degree": _by_degree(found, reference, target, network, rng, units),
        "kernel": _interval(asdict(kernel_result(found, reference, network, runs=units))),
        **_overlap(found, reference[drawn(len(reference), n, rng)], network),
    }


def _by_degree(
    found: NDArray[np.float64],
    reference: NDArray[np.float64],
    target: Target,
    network: str,
    rng: np.random.Generator,
    runs: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """The distance to each degree apart (paper 003, figure 3 b), where there are degrees."""
    if not on_degree_scale(target.degrees):
        return {}
    levels = [
        level for level, rows in rows_by_degree(target.degrees).items() if len(rows) >= FEWEST
    ]
    if not levels:
        return {}
    results = frechet_by_degree(
        found,
        reference,
        target.degrees,
        network,
        rng,
        levels=levels,
        runs=runs,
        resamples=RESAMPLES,
    )
    return {
        str(level): {"n": each.n, "frechet": [each.value, each.low, each.high]}
        for level, each in results.items()
    }


def _overlap(
    found: NDArray[np.float64], reference: NDArray[np.float64], network: str
) -> dict[str, float]:
    measured = asdict(precision_recall(found, reference, network, NEIGHBOURS))
    return {name: measured[name] for name in ("precision", "recall", "density", "coverage")}


def _interval(result: Mapping[str, Any]) -> list[float]:
    return [result["value"], result["low"], result["high"]]

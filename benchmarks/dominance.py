"""Which methods of a study are ahead of its first on both axes: the degree, and the distance from
real images.

    vqlso sweep beyond && python -m benchmarks.dominance studies/beyond

Differences are paired by seed, with 95 % intervals (Student). A method dominates where its queries
score higher by the queried scorer and by the judge, and are nearer to unseen target images in both
feature networks, all four intervals clear of zero. Distances are Frechet's, of one run's queries.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import figure, markdown
from pipeline.compare import Arm, compared
from pipeline.results import results_of
from vqlso.metrics.paired import PairedDifference, paired_difference

AXES = {
    "degree": 1,
    "degree, judge": 1,
    "distance, untrained features": -1,
    "distance, judge's features": -1,
}


def axes_of(summary: dict[str, Any]) -> NDArray[np.float64]:
    """(4,) what a run reached on each of `AXES`."""
    found = [summary["query_mean"], summary["judge"]["query_mean"]]
    found += [entry["images"]["queries"]["frechet"][0] for entry in summary["distances"][:2]]
    return np.array(found, dtype=np.float64)


def differences(arm: Arm, first: Arm) -> list[PairedDifference]:
    """On each axis, over the seeds that both have."""
    seeds = sorted(set(arm.results) & set(first.results))
    ours, theirs = (
        np.stack([axes_of(dict(each.results[seed].summary)) for seed in seeds])
        for each in (arm, first)
    )
    return [paired_difference(ours[:, axis], theirs[:, axis]) for axis in range(len(AXES))]


def dominates(found: Sequence[PairedDifference]) -> bool:
    """Whether every axis is ahead, its interval clear of zero."""
    signs = AXES.values()
    return all(
        each.clear_of_zero and each.mean * sign > 0 for each, sign in zip(found, signs, strict=True)
    )


def means(arms: Sequence[Arm]) -> str:
    """Markdown: what each method reached, as means over its seeds."""
    rows = []
    for arm in arms:
        own = np.mean([axes_of(dict(each.summary)) for each in arm.results.values()], axis=0)
        rows.append([arm.label, str(len(arm.results)), *(figure(value) for value in own)])
    return markdown(["", "seeds", *AXES], rows)


def table(arms: Sequence[Arm]) -> str:
    """Markdown: by how much the others differ from the first method."""
    first, *others = arms
    rows = []
    for arm in others:
        found = differences(arm, first)
        told = [f"{each.mean:+.3g} ± {each.half_width:.2g}" for each in found]
        rows.append([arm.label, str(found[0].n), *told, "yes" if dominates(found) else "no"])
    return markdown([f"minus {first.label}", "seeds", *AXES, "dominates"], rows)


def main() -> None:
    """Print the tables of a study's folder, or of several run folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    arms = compared(results_of(parser.parse_args().folders)).arms
    print(means(arms), table(arms), sep="\n\n")


if __name__ == "__main__":
    main()

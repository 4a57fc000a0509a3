"""What the editing benchmarks found, as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.editing_methods import REFERENCE
from benchmarks.tables import figure, markdown
from vqlso.editing.evaluation import BUCKETS
from vqlso.metrics.intervals import mean_interval
from vqlso.metrics.paired import PairedDifference, paired_difference

Run = Mapping[str, Any]
HEADS = [f"({low:g}, {high:g}]" for low, high in BUCKETS]
# Higher is better in identity, lower in the others.
BETTER = {"others": -1, "identity": 1}


def names(runs: Sequence[Run], key: str) -> list[str]:
    """Values of a key, in the order in which they were measured first."""
    return list(dict.fromkeys(run[key] for run in runs))


def pooled(run: Run, metric: str) -> float:
    """The mean over the edits of all three buckets."""
    return float(np.average(np.nan_to_num(run[metric]), weights=run["counts"]))


def preservation(runs: Sequence[Run], attribute: str) -> str:
    """The paper's table 2 for one attribute: means over seeds and their 95 % intervals."""
    rows = []
    for method in names(runs, "method"):
        mine = _of(runs, attribute, method)
        if mine:
            rows.append(
                [
                    method,
                    *(_mean(mine, metric, bucket) for metric in BETTER for bucket in range(3)),
                    " / ".join(
                        f"{np.mean([run['counts'][b] for run in mine]):.0f}" for b in range(3)
                    ),
                    _interval(np.array([run["length"] for run in mine]), 2),
                    f"{np.mean([run['seconds'] for run in mine]):.1f}",
                    str(len(mine)),
                ]
            )
    heads = [
        "",
        *(f"others {head}" for head in HEADS),
        *(f"identity {head}" for head in HEADS),
        "edits in them",
        "length",
        "search, s",
        "seeds",
    ]
    return markdown(heads, rows)


def differences(runs: Sequence[Run], attribute: str) -> str:
    """Each method minus the paper's local search of the same seed, over all buckets."""
    rows = []
    for method in names(runs, "method"):
        found = against_reference(runs, attribute, method)
        if method != REFERENCE and found:
            rows.append(
                [
                    method,
                    *(_difference(found[metric]) for metric in BETTER),
                    _told(found),
                ]
            )
    return markdown(["", "others", "identity", "ahead on both"], rows)


def against_reference(
    runs: Sequence[Run], attribute: str, method: str
) -> dict[str, PairedDifference]:
    """Paired by seed; empty where no seed has both."""
    pairs = [
        (mine, reference)
        for mine in _of(runs, attribute, method)
        for reference in _of(runs, attribute, REFERENCE)
        if mine["seed"] == reference["seed"]
    ]
    if not pairs:
        return {}
    return {
        metric: paired_difference(
            *(np.array([pooled(run, metric) for run in side]) for side in zip(*pairs, strict=True))
        )
        for metric in BETTER
    }


def _told(found: Mapping[str, PairedDifference]) -> str:
    if any(np.isnan(each.half_width) for each in found.values()):
        return "cannot be told"
    return "yes" if ahead(found) else "no"


def ahead(found: Mapping[str, PairedDifference]) -> bool:
    """Better on both metrics, with intervals that leave out zero."""
    return all(
        each.clear_of_zero and each.mean * BETTER[metric] > 0 for metric, each in found.items()
    )


def configurations(runs: Sequence[Run]) -> str:
    """All that were tried, the best preservation of attributes first."""
    rows = []
    for name in names(runs, "configuration"):
        mine = [run for run in runs if run["configuration"] == name]
        means = [float(np.mean([pooled(run, metric) for run in mine])) for metric in BETTER]
        seconds = float(np.mean([run["seconds"] for run in mine]))
        rows.append((means[0], [name, f"{means[0]:.4f}", f"{means[1]:.3f}", f"{seconds:.1f}"]))
    return markdown(
        ["", "others", "identity", "search, s"],
        [row for _, row in sorted(rows, key=lambda r: r[0])],
    )


def shortened(record: Mapping[str, Run]) -> str:
    """The paper's table 1."""
    rows = [
        [
            name,
            *(f"{run['others'][b]:.4f}" for b in range(3)),
            *(f"{run['identity'][b]:.4f}" for b in range(3)),
            " / ".join(map(str, run["counts"])),
        ]
        for name, run in (("d", record["whole"]), ("d / 5", record["fifth"]))
    ]
    heads = [
        "",
        *(f"others {h}" for h in HEADS),
        *(f"identity {h}" for h in HEADS),
        "edits in them",
    ]
    return markdown(heads, rows)


def failures(record: Mapping[str, Any]) -> str:
    """Runs with a failed vector / a failed loss, by regressor, loss, batch and learning rate."""
    runs, seeds = record["runs"], record["settings"]["seeds"]
    columns = list(dict.fromkeys((run["batch"], run["rate"]) for run in runs))
    rows = []
    for regressor in names(runs, "regressor"):
        for loss in names(runs, "loss"):
            counts = {
                (run["batch"], run["rate"]): f"{run['vectors']} / {run['losses']} of {seeds}"
                for run in runs
                if (run["regressor"], run["loss"]) == (regressor, loss)
            }
            if counts:
                rows.append(
                    [
                        f"{regressor}, {loss.replace('_', ' ')}",
                        *(counts.get(c, "") for c in columns),
                    ]
                )
    return markdown(["", *(f"batch {batch}, rate {rate:g}" for batch, rate in columns)], rows)


def memory(runs: Sequence[Run]) -> str:
    """MiB and seconds by resolution and batch, and backpropagation's over local search's."""
    rows = []
    for resolution, batch in dict.fromkeys((run["resolution"], run["batch"]) for run in runs):
        both = {
            run["method"]: run
            for run in runs
            if (run["resolution"], run["batch"]) == (resolution, batch)
        }
        if len(both) == 2:
            search, gradient = both["local search"], both["backpropagation"]
            rows.append(
                [
                    f"{resolution} px, batch {batch}",
                    *(f"{run['memory']:,.0f}" for run in (search, gradient)),
                    f"{gradient['memory'] / search['memory']:.1f}",
                    *(figure(run["seconds"]) for run in (search, gradient)),
                    f"{gradient['seconds'] / search['seconds']:.1f}",
                ]
            )
    heads = [
        "",
        "local search, MiB",
        "backpropagation, MiB",
        "ratio",
        "local search, s",
        "backpropagation, s",
        "ratio",
    ]
    return markdown(heads, rows)


def _of(runs: Sequence[Run], attribute: str, method: str) -> list[Run]:
    return [run for run in runs if (run["attribute"], run["method"]) == (attribute, method)]


def _mean(runs: Sequence[Run], metric: str, bucket: int) -> str:
    found = np.array([run[metric][bucket] for run in runs if run["counts"][bucket]])
    return _interval(found, 4 if metric == "others" else 3) if len(found) else "none"


def _interval(values: NDArray[np.float64], digits: int) -> str:
    mean, half = mean_interval(values)
    return f"{mean:.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


def _difference(found: PairedDifference) -> str:
    half = found.half_width
    return f"{found.mean:+.4f}" + (", one seed" if np.isnan(half) else f" ± {half:.4f}")


TABLES: dict[str, Callable[..., str]] = {
    "preservation": preservation,
    "differences": differences,
    "configurations": configurations,
    "shortened": shortened,
    "failures": failures,
    "memory": memory,
}

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


def pooled(run: Run, metric: str, counts: Sequence[int] | None = None) -> float:
    """The mean over the edits of all three buckets.

    Args:
        run: of one vector.
        metric: a key of `BETTER`.
        counts: to weigh the buckets by, 0 where this run has no edits; its own by default.
    """
    weights = run["counts"] if counts is None else counts
    return float(np.average(np.nan_to_num(run[metric]), weights=weights))


def shared_counts(run: Run, reference: Run) -> list[int]:
    """The reference's edits in the buckets that both have edits in.

    Small changes preserve more. Weighted alike, a vector gains nothing by fewer large ones.
    """
    return [
        theirs if mine else 0
        for mine, theirs in zip(run["counts"], reference["counts"], strict=True)
    ]


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
    """Each method minus the paper's local search of the same seed, over shared buckets."""
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


def ahead_on_both(runs: Sequence[Run]) -> list[str]:
    """The methods and attributes of which that can be said, with the differences."""
    found = {
        (method, attribute): against_reference(runs, attribute, method)
        for method in names(runs, "method")
        for attribute in names(runs, "attribute")
        if method != REFERENCE
    }
    return [
        f"{method} for {attribute.replace('_', ' ')} (others {_difference(each['others'])}, "
        f"identity {_difference(each['identity'])})"
        for (method, attribute), each in found.items()
        if each and ahead(each)
    ]


def against_reference(
    runs: Sequence[Run], attribute: str, method: str
) -> dict[str, PairedDifference]:
    """Paired by seed, both weighted by the reference's edits; empty where no seed has both."""
    pairs = [
        (mine, reference)
        for mine in _of(runs, attribute, method)
        for reference in _of(runs, attribute, REFERENCE)
        if mine["seed"] == reference["seed"]
    ]
    if not pairs:
        return {}
    found = {}
    for metric in BETTER:
        values = [[pooled(run, metric, shared_counts(*pair)) for run in pair] for pair in pairs]
        found[metric] = paired_difference(*np.array(values).T)
    return found


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
            *(_mean([run], metric, bucket) for metric in BETTER for bucket in range(3)),
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
    """Failed runs by regressor, loss, batch and learning rate."""
    runs, seeds = record["runs"], record["settings"]["seeds"]
    columns = list(dict.fromkeys((run["batch"], run["rate"]) for run in runs))
    rows = []
    for regressor in names(runs, "regressor"):
        for loss in names(runs, "loss"):
            counts = {
                (run["batch"], run["rate"]): f"{run['failed']} of {seeds}"
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


def failed_by(record: Mapping[str, Any]) -> str:
    """How many failures were of the loss, and how many of its gradient."""
    reasons = [why for run in record["runs"] for why in run["reasons"] if why]
    losses = sum(why.startswith("The loss") for why in reasons)
    return (
        f"Of all {len(reasons)} failures, {losses} were of the loss and {len(reasons) - losses} of "
        "the gradient of a finite loss."
    )


def memory(runs: Sequence[Run]) -> str:
    """MiB and seconds by resolution and batch, and how many times those of local search."""
    rows = []
    for resolution, batch in dict.fromkeys((run["resolution"], run["batch"]) for run in runs):
        measured = [run for run in runs if (run["resolution"], run["batch"]) == (resolution, batch)]
        search = next(run for run in measured if run["method"] == "local search")
        cells = []
        for key, shown in (("memory", "{:,.0f}".format), ("seconds", figure)):
            found = {run["method"]: run[key] for run in measured}
            cells += [
                _times(found[method], search[key], shown) if method in found else ""
                for method in names(runs, "method")
            ]
        rows.append([f"{resolution} px, batch {batch}", *cells])
    heads = [f"{method}, {unit}" for unit in ("MiB", "s") for method in names(runs, "method")]
    return markdown(["", *heads], rows)


def _times(value: float, one: float, shown: Callable[[float], str]) -> str:
    return shown(value) + ("" if value == one else f" ({value / one:.1f}x)")


def unscaled(runs: Sequence[Run]) -> list[str]:
    """Vectors that no factor brings to the agreed change: they are in no comparison."""
    return [
        f"{run['method']}, {run['attribute'].replace('_', ' ')}, seed {run['seed']} (nearest: "
        f"{run['small'] / run['edits']:.1%} small changes at length {run['length']:.3g})"
        for run in runs
        if not run["scaled"]
    ]


def small_changes(runs: Sequence[Run]) -> str:
    """By attribute, the least and the most edits of small change among compared vectors."""
    counts = {
        attribute: [run["small"] for run in runs if run["attribute"] == attribute and run["scaled"]]
        for attribute in names(runs, "attribute")
    }
    return " and ".join(
        f"{min(found):,} to {max(found):,} for {attribute.replace('_', ' ')}"
        for attribute, found in counts.items()
    )


def _of(runs: Sequence[Run], attribute: str, method: str) -> list[Run]:
    """Of one method, its vectors at the agreed change."""
    return [
        run
        for run in runs
        if (run["attribute"], run["method"]) == (attribute, method) and run["scaled"]
    ]


def _mean(runs: Sequence[Run], metric: str, bucket: int) -> str:
    found = np.array([run[metric][bucket] for run in runs if run["counts"][bucket]])
    return _interval(found, 4 if metric == "others" else 3) if len(found) else "none"


def _interval(values: NDArray[np.float64], digits: int) -> str:
    mean, half = mean_interval(values)
    return f"{mean:.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


def _difference(found: PairedDifference) -> str:
    half = found.half_width
    return f"{found.mean:+.4f}" + (", one seed" if np.isnan(half) else f" ± {half:.4f}")


TABLES: dict[str, Callable[..., object]] = {
    "preservation": preservation,
    "differences": differences,
    "configurations": configurations,
    "shortened": shortened,
    "failures": failures,
    "failed_by": failed_by,
    "memory": memory,
    "ahead_on_both": ahead_on_both,
    "unscaled": unscaled,
    "small_changes": small_changes,
}

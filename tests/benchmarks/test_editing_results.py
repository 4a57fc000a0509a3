"""The editing benchmark: what is kept, what is compared, and one small run of each kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.editing import measured
from benchmarks.editing_failures import LinearLevel, counted
from benchmarks.editing_memory import point
from benchmarks.editing_methods import CHOSEN, REFERENCE, TRIED, fit
from benchmarks.editing_page import page
from benchmarks.editing_parts import SMALL_SHARE, Evaluations, Faces
from benchmarks.editing_tables import (
    against_reference,
    ahead,
    ahead_on_both,
    failed_by,
    pooled,
    preservation,
    small_changes,
    unscaled,
)
from benchmarks.kept_runs import KeptRuns


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces.packaged()


def run(method: str, seed: int, others: float, identity: float) -> dict[str, Any]:
    return {
        "attribute": "smile",
        "method": method,
        "seed": seed,
        "others": [others, others, np.nan],
        "identity": [identity, identity, np.nan],
        "counts": [30, 10, 0],
        "length": 2.0 + seed,
        "seconds": 1.5,
        "scaled": True,
        "small": 30,
        "edits": 40,
    }


def test_runs_are_measured_once_and_other_settings_begin_anew(tmp_path: Path) -> None:
    calls = []

    def measure() -> dict[str, int]:
        calls.append(1)
        return {"found": len(calls)}

    for _ in range(2):
        kept = KeptRuns("toy", "make bench-toy", {"size": (1, 2)}, folder=tmp_path)
        kept.run({"seed": 0}, measure)
        kept.once("budget", measure)
    assert len(calls) == 2
    assert kept.runs == [{"seed": 0, "found": 1}]
    kept.run({"seed": 1}, measure)
    assert len(calls) == 3
    assert KeptRuns("toy", "make bench-toy", {"size": 3}, folder=tmp_path).runs == []
    assert KeptRuns("toy", "", {"size": (1, 2)}, folder=tmp_path, fresh=True).runs == []


def test_a_method_is_ahead_only_where_both_metrics_are_clearly_better() -> None:
    runs = [run(REFERENCE, seed, 0.05 + 0.01 * seed, 0.8 - 0.02 * seed) for seed in range(3)]
    shifts = {"better": (-0.01, 0.05), "half": (-0.01, -0.05), "worse": (0.01, -0.05)}
    for name, (others, identity) in shifts.items():
        for base in runs[:3]:
            jitter = 0.001 * base["seed"]
            shifted = base["others"][0] + others + jitter, base["identity"][0] + identity + jitter
            runs.append(run(name, base["seed"], *shifted))
    found = {name: against_reference(runs, "smile", name) for name in shifts}
    assert [name for name, each in found.items() if ahead(each)] == ["better"]
    assert found["better"]["others"].mean == pytest.approx(-0.009)
    assert against_reference(runs, "age", "better") == {}
    (told,) = ahead_on_both(runs)
    assert told.startswith("better for smile (others -0.0090 ± ")
    table = preservation(runs, "smile")
    assert "0.0600 ± 0.0248" in table
    assert table.count("none") == 8


def test_buckets_are_pooled_by_their_edits() -> None:
    one = run("a", 0, 0.1, 0.9)
    assert pooled(one, "others") == pytest.approx(0.1)
    assert pooled({**one, "others": [0.1, 0.3, np.nan]}, "others") == pytest.approx(0.15)


def test_fewer_large_changes_gain_nothing() -> None:
    reference = run(REFERENCE, 0, 0.0, 0.0) | {"others": [0.1, 0.3, 0.5], "counts": [50, 30, 20]}
    timid = reference | {"method": "timid", "counts": [50, 45, 5]}
    assert pooled(timid, "others") < pooled(reference, "others")
    found = against_reference([reference, timid], "smile", "timid")
    assert found["others"].mean == pytest.approx(0)
    never = reference | {"method": "never", "others": [0.1, 0.3, np.nan], "counts": [50, 50, 0]}
    assert against_reference([reference, never], "smile", "never")["others"].mean == 0


def test_vectors_that_could_not_be_scaled_are_named_and_not_compared() -> None:
    runs = [run(REFERENCE, seed, 0.05, 0.8) for seed in range(2)]
    runs += [run("wild", 0, 0.5, 0.1), run("wild", 1, 0.5, 0.1) | {"scaled": False}]
    assert unscaled(runs) == ["wild, smile, seed 1 (nearest: 75.0% small changes at length 3)"]
    assert against_reference(runs, "smile", "wild")["others"].n == 1
    assert small_changes(runs) == "30 to 30 for smile"


def test_a_vector_is_measured_at_the_agreed_change(faces: Faces) -> None:
    evaluations = Evaluations(faces.evaluation("smile", 6, 4), faces.evaluation("smile", 6, 4))
    found = measured(faces, fit(0.1), "smile", 0, 310, evaluations)
    assert found["images"] <= 310
    assert found["edits"] == 24
    assert abs(found["small"] - SMALL_SHARE * 24) <= 1
    assert found["length"] > 0


def test_configurations_have_names_of_their_own() -> None:
    assert len({method.name for method in TRIED}) == len(TRIED)
    assert CHOSEN[REFERENCE].name in {method.name for method in TRIED}


def test_a_linear_level_follows_the_squashed_one_and_leaves_its_range(faces: Faces) -> None:
    problem = faces.problem("smile", 1)
    images = problem.generator.decode(problem.edited_space.sample(150, np.random.default_rng(0)))
    assert problem.objective(images).shape == (150,)
    linear = LinearLevel(problem.objective, images)
    assert np.corrcoef(linear(images), problem.objective(images))[0, 1] > 0.9
    assert float(linear.value(torch.zeros(1, 3, 64, 64))) == pytest.approx(
        linear(torch.zeros(1, 3, 64, 64))[0]
    )


def test_runs_that_end_in_no_number_are_counted(faces: Faces) -> None:
    class Low:
        def value(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((1, 2, 3)) - 1

        def __call__(self, images: torch.Tensor) -> np.ndarray:
            return self.value(images).double().numpy()

    low = replace(faces.problem("smile", 1), objective=Low())
    how = {"rate": 0.1, "batch": 1, "iterations": 10, "seeds": 2}
    plain, squared = (counted(low, loss, **how) for loss in ("cross_entropy", "squared_error"))
    assert plain["failed"] == 2
    assert all("after 0 steps" in why for why in plain["reasons"])
    assert (squared["failed"], squared["reasons"]) == (0, ["", ""])
    assert failed_by({"runs": [plain, squared]}).startswith("Of all 2 failures, 2 were of the loss")


def test_a_point_of_memory_has_all_figures() -> None:
    found = point("local search", 8, 1, 1)
    assert found["loaded"] > 0
    assert found["memory"] > -1  # MiB: the kernel adds up what each core has counted, later
    assert found["seconds"] > 0


def test_the_page_needs_no_result() -> None:
    assert page({}).startswith("# Edit directions, measured\n")

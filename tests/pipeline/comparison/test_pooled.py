"""Distances of whole methods, of made-up runs on procedural faces, against direct computations."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_runs import vqlso

from pipeline.comparison import pooled
from pipeline.comparison.pooled import MOST, SEED, Pooled, pooled_distances
from pipeline.comparison.results import results_of
from pipeline.configuration.composition import as_yaml, composed
from pipeline.distances import REAL, RECONSTRUCTED, Target, reconstructed
from pipeline.runs.folder import RunFolder
from vqlso.data.celeba import BINARY_LABELS
from vqlso.data.faces import procedural_faces
from vqlso.data.image_set import ImageSet
from vqlso.errors import CheckpointError
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.metrics.frechet import features, frechet_distance
from vqlso.metrics.kernel_distance import kernel_distance
from vqlso.metrics.precision_recall import precision_recall
from vqlso.metrics.random_features import RandomFeatures
from vqlso.objectives.degree_classifier import DegreeClassifier, ScorerSettings
from vqlso.objectives.scorer_networks import PlainScorer

SIZE, COUNT, RESTRICT = 16, 303, 2.0  # 92 target images, two equal halves


@pytest.fixture(scope="module")
def data() -> ImageSet:
    return procedural_faces(COUNT, 0, SIZE)


@pytest.fixture(scope="module")
def target(data: ImageSet) -> Target:
    return Target.of(data, data.above(RESTRICT), 2 * MOST, SEED)


@pytest.fixture(scope="module")
def found(data: ImageSet) -> NDArray[np.uint8]:
    """What made-up runs have found: darker faces than there are."""
    return (procedural_faces(COUNT, 1, SIZE).images * 0.8).astype(np.uint8)


@pytest.fixture
def run(tmp_path: Path, data: ImageSet) -> Callable[..., RunFolder]:
    """Writes a finished run whose queries are these images; `t` makes the method."""

    def write(
        images: NDArray[np.uint8],
        seed: int = 0,
        t: int = 4,
        failed: Sequence[int] = (),
        data_settings: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        folder = RunFolder(tmp_path / f"t{t}-s{seed}")
        settings = (f"data.size={SIZE}", f"data.count={COUNT}", f"solver.t={t}", f"seed={seed}")
        config = composed("demo", settings)
        config.data = replace(config.data, **(data_settings or {}))
        folder.write("config.yaml", as_yaml(config).encode())
        told = {"fingerprint": data.fingerprint, "restrict": RESTRICT}
        folder.write_json("preparation.json", {"data": told})
        for query, image in enumerate(images):
            fine = query not in failed
            folder.journal.append(
                "query",
                {
                    "id": query,
                    "round": 0,
                    "predicted": None,
                    "score": 3.0 if fine else None,
                    "score_status": "ok" if fine else "fail",
                    "novel": True,
                },
            )
            if fine:
                folder.write_image(query, image)
        folder.journal.append("end", {"queries": len(images), "rounds": 0})
        folder.write_json("summary.json", {"queries": len(images), "best": 3.0, "spread": 1.0})
        return folder

    return write


def measured(*folders: RunFolder) -> Pooled:
    return pooled_distances(results_of([folder.path for folder in folders]).results)


def figures(pool: Pooled, arm: str, entry: int = 0) -> dict[str, Any]:
    return pool.entries[entry]["images"][arm]


def half_width(figure: dict[str, Any]) -> float:
    value, _, high = figure["frechet"]
    return high - value


def test_queries_of_all_seeds_together_equal_a_direct_computation(
    run: Callable[..., RunFolder], target: Target, found: NDArray[np.uint8]
) -> None:
    """As many queries as target images: nothing is drawn, so every figure is exact."""
    m = len(target.others)
    target_features, own = (features(RandomFeatures(), each) for each in (target.images, found[:m]))
    pool = measured(run(found[: m // 3], 0), run(found[m // 3 : m], 1), run(found[:m], t=8))
    figure = figures(pool, "solver.t=4")
    assert pool.notes == ()
    assert pool.runs == {"solver.t=4": 2, "solver.t=8": 1}
    assert figure["n"] == m == len(target.images)
    assert figure["frechet"][0] == pytest.approx(frechet_distance(own, target_features))
    assert figure["kernel"][0] == pytest.approx(kernel_distance(own, target_features))
    shares = asdict(precision_recall(own, target_features, ""))
    assert {key: figure[key] for key in ("precision", "recall")} == {
        key: shares[key] for key in ("precision", "recall")
    }
    real = features(RandomFeatures(), target.others)
    floor = figures(pool, REAL)
    assert floor["frechet"][0] == pytest.approx(frechet_distance(real, target_features))
    assert floor["frechet"][0] < figure["frechet"][0]


def test_intervals_resample_whole_runs(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    """The same images of two unlike runs and of one run: one value, two certainties."""
    bright, dark = found[:20], (found[20:40] * 0.5).astype(np.uint8)
    pool = measured(run(bright, 0), run(dark, 1), run(np.concatenate([bright, dark]), 0, t=8))
    apart, together = figures(pool, "solver.t=4"), figures(pool, "solver.t=8")
    assert apart["frechet"][0] == pytest.approx(together["frechet"][0])
    assert half_width(apart) > 3 * half_width(together)


def test_unequal_methods_have_one_n(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    small, large = run(found[:12], 0), run(found[12:42], 0, t=8, failed=(0, 7))
    pool = measured(small, large, run(found[42:72], 1, t=8))
    assert {name: each["n"] for name, each in pool.entries[0]["images"].items()} == {
        "solver.t=4": 12,
        "solver.t=8": 12,
        REAL: 12,
    }


def test_degrees_apart_have_one_n(run: Callable[..., RunFolder], found: NDArray[np.uint8]) -> None:
    pool = measured(run(found[:30]))
    (arm,) = pool.runs
    by_degree = figures(pool, arm)["frechet_by_degree"]
    assert len(by_degree) > 1
    assert len({each["n"] for each in by_degree.values()}) == 1


def test_too_few_queries_are_left_out_and_named(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    pool = measured(run(found[:4]), run(found[:20], t=8))
    assert pool.notes == ("solver.t=4 has 4 scored queries, too few for a distance.",)
    assert list(pool.runs) == ["solver.t=8"]


def test_the_floor_is_the_generators_own_reconstruction(
    run: Callable[..., RunFolder], found: NDArray[np.uint8], target: Target
) -> None:
    generator, other = (
        VQVAE(VQVAENetwork(VQVAESettings(SIZE, 2, categories, 4, 1))) for categories in (8, 4)
    )
    half = len(target.others) // 2
    folders = [run(found[half * seed : half * (seed + 1)], seed) for seed in (0, 1)]
    for folder in folders:
        generator.save(folder.path / "networks" / "generator.safetensors")
    floor, real = (
        features(RandomFeatures(), each)
        for each in (reconstructed(generator, target.others), target.images)
    )
    measured_floor = figures(measured(*folders), RECONSTRUCTED)["frechet"][0]
    assert measured_floor == pytest.approx(frechet_distance(floor, real))
    another = run(found[:20], t=8)
    other.save(another.path / "networks" / "generator.safetensors")
    both = measured(*folders, another)
    floors = [name for name in both.entries[0]["images"] if name.startswith(RECONSTRUCTED)]
    assert floors == [f"{RECONSTRUCTED} (solver.t=4)", f"{RECONSTRUCTED} (solver.t=8)"]


def test_the_judge_measures_runs_that_share_it(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    judge = DegreeClassifier(PlainScorer(), ScorerSettings("plain", SIZE))
    folders = [run(found[:20], seed) for seed in (0, 1)]
    files = [folder.path / "networks" / "judge.safetensors" for folder in folders]
    judge.save(files[0])
    files[1].parent.mkdir()
    shutil.copyfile(*files)
    assert [entry["network"] for entry in measured(*folders).entries] == [
        RandomFeatures().name,
        "the judge's last layer, a stand-in for Inception",
    ]
    DegreeClassifier(PlainScorer(), ScorerSettings("plain", SIZE, temperature=2.0)).save(files[1])
    assert len(measured(*folders).entries) == 1


def test_binary_labels_become_the_labellers_degrees(
    run: Callable[..., RunFolder],
    found: NDArray[np.uint8],
    data: ImageSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = run(found[:20])
    binary = replace(data, labels=(data.labels > 2) * 1.0, label_origin=BINARY_LABELS)
    monkeypatch.setattr(pooled, "load_data", lambda *args: binary)
    assert "labeller" in measured(folder).notes[0]
    DegreeClassifier(PlainScorer(), ScorerSettings("plain", SIZE)).save(
        folder.path / "networks" / "labeller.safetensors"
    )
    monkeypatch.setattr(DegreeClassifier, "__call__", lambda self, images: np.full(len(images), 3))
    pool = measured(folder)
    assert pool.notes == ()
    assert list(pool.entries[0]["images"])[1:] == [REAL]


@pytest.mark.parametrize(
    ("moved", "reason"),
    [({"seed": 7}, "have changed"), ({"kind": "celeba"}, "data.root")],
)
def test_data_that_is_not_there_is_a_note(
    moved: Mapping[str, Any],
    reason: str,
    run: Callable[..., RunFolder],
    found: NDArray[np.uint8],
    tmp_path: Path,
) -> None:
    folder = run(found[:20], data_settings=moved)
    result = vqlso("compare", folder.path, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["distances"]
    assert told["entries"] == []
    assert reason in told["notes"][0]
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert 'id="distances"' not in page
    assert "Without distances pooled over seeds" in page


def test_runs_on_other_images_are_a_note(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    other = run(found[:20], t=8)
    other.write_json("preparation.json", {"data": {"fingerprint": "other", "restrict": 2.0}})
    assert "no target in common" in measured(run(found[:20]), other).notes[0]


def test_a_missing_picture_is_a_note(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    folder = run(found[:20])
    (folder.path / "archive" / "000003-query.png").unlink()
    assert "query 3 is missing" in measured(folder).notes[0]


def test_compare_shows_them_unless_told_not_to(
    run: Callable[..., RunFolder], found: NDArray[np.uint8], tmp_path: Path
) -> None:
    folders = [run(found[:20], t=t).path for t in (4, 8)]
    shown = vqlso("compare", *folders, "--out", tmp_path / "with")
    assert shown.exit_code == 0, shown.output
    assert "untrained" in shown.stdout  # in the name of the network, which may be wrapped
    assert 'id="distances"' in (tmp_path / "with" / "comparison.html").read_text()
    without = vqlso("compare", *folders, "--out", tmp_path / "without", "--no-distances", "--json")
    assert json.loads(without.stdout)["distances"] is None


def test_networks_that_are_asked_for_measure_first(
    run: Callable[..., RunFolder], found: NDArray[np.uint8]
) -> None:
    folders = [run(found[:30], t=t).path for t in (4, 8)]
    pool = pooled_distances(results_of(folders).results, networks=[RandomFeatures(7)])
    assert [entry["network"] for entry in pool.entries] == [
        RandomFeatures(7).name,
        RandomFeatures().name,
    ]
    assert figures(pool, REAL, 0) != figures(pool, REAL, 1)


def test_networks_that_all_runs_were_given_measure_them(
    run: Callable[..., RunFolder], found: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def loaded(path: Path) -> RandomFeatures:
        asked.append(path)
        return RandomFeatures(7)

    monkeypatch.setattr(pooled, "MobileNetFeatures", loaded)
    folders = [run(found[:30], t=t) for t in (4, 8)]
    first, second = (folder.config.read_text() for folder in folders)
    folders[0].config.write_text(first.replace("  features: null", "  features: /m.pth"))
    assert len(measured(*folders).entries) == 1
    folders[1].config.write_text(second.replace("  features: null", "  features: /m.pth"))
    assert len(measured(*folders).entries) == 2
    assert asked == [Path("/m.pth")]


def test_weights_that_are_not_there_are_an_error(
    run: Callable[..., RunFolder], found: NDArray[np.uint8], tmp_path: Path
) -> None:
    folder = run(found[:20]).path
    for option in ("--features", "--inception"):
        result = vqlso("compare", folder, "--out", tmp_path / "x", option, tmp_path / "none.pth")
        assert result.exit_code == CheckpointError.exit_code
        assert "none.pth" in result.stderr

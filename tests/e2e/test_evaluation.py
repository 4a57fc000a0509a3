"""What a finished run is measured by, computed a second time from its folder."""

import numpy as np
import pytest

from pipeline.runs.folder import RunFolder
from vqlso.data.faces import procedural_faces
from vqlso.generators.vqvae import VQVAE
from vqlso.images import to_unit
from vqlso.metrics.frechet import frechet_distance
from vqlso.objectives.degree_classifier import DegreeClassifier

FACES = 300


@pytest.fixture(scope="module")
def judge(finished: RunFolder) -> DegreeClassifier:
    return DegreeClassifier.load(finished.path / "networks/judge.safetensors")


def pictures(folder: RunFolder, role: str) -> np.ndarray:
    return np.stack(
        [folder.read_image(each["id"], role) for each in folder.journal.events("query")]
    )


def test_the_judge_scores_the_same_images(finished: RunFolder, judge: DegreeClassifier) -> None:
    figures = finished.read_json("summary.json")["judge"]
    judged = judge(to_unit(pictures(finished, "query")))
    references = judge(to_unit(pictures(finished, "reference")))
    assert figures["query_mean"] == pytest.approx(judged.mean())
    assert figures["reference_mean"] == pytest.approx(references.mean())


def test_the_scorer_gives_the_journalled_scores(finished: RunFolder) -> None:
    scorer = DegreeClassifier.load(finished.path / "networks/scorer.safetensors")
    queries = finished.journal.events("query")
    for role, told in (
        ("query", [event["score"] for event in queries]),
        ("reference", [event["controls"]["reference"] for event in queries]),
        ("random_codes", [event["controls"]["random_codes"] for event in queries]),
    ):
        # One image a call and many: bf16 kernels may round differently.
        np.testing.assert_allclose(scorer(to_unit(pictures(finished, role))), told, atol=0.02)


def test_distances_are_to_the_unseen_images(finished: RunFolder, judge: DegreeClassifier) -> None:
    data = procedural_faces(FACES, seed=0)
    unseen = judge.features(to_unit(data.images[data.above(2.0)])).numpy()
    summary = finished.read_json("summary.json")
    for key, role in (("frechet", "query"), ("frechet_references", "reference")):
        features = judge.features(to_unit(pictures(finished, role))).numpy()
        assert summary[key] == pytest.approx(frechet_distance(features, unseen), rel=0.02)


def test_code_usage_is_before_and_after_retraining(finished: RunFolder) -> None:
    data = procedural_faces(FACES, seed=0)
    training = to_unit(data.images[data.at_most(2.0)])
    evaluation = finished.read_arrays("evaluation.npz")
    queried = to_unit(pictures(finished, "query"))
    first = VQVAE.load(finished.path / "networks/generator.safetensors")
    last = VQVAE.load(finished.generator_of(2))
    np.testing.assert_array_equal(
        evaluation["codes_before"], np.bincount(first.encode(training).ravel())
    )
    retrained = np.bincount(last.encode(training).ravel(), minlength=4)
    own = evaluation["codes_after"] - retrained  # the queries' codes
    assert own.sum() == len(queried) * 64
    assert not np.array_equal(evaluation["codes_before"], retrained)


def test_only_novel_queries_are_shown_as_best(finished: RunFolder) -> None:
    queries = {event["id"]: event for event in finished.journal.events("query")}
    evaluation = finished.read_arrays("evaluation.npz")
    shown = [queries[id_] for id_ in evaluation["best_ids"].tolist()]
    assert all(event["novel"] for event in shown)
    assert [event["score"] for event in shown] == sorted(
        (event["score"] for event in queries.values() if event["novel"]), reverse=True
    )
    np.testing.assert_array_equal(
        evaluation["best_images"], [finished.read_image(event["id"]) for event in shown]
    )

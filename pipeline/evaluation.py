"""What a finished run achieved, measured by the queried scorer and by one it never queried."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.configuration.settings import MetricsConfig
from pipeline.distances import FEWEST, Target, distances
from pipeline.preparation.preparing import Preparation
from pipeline.runs.folder import RunFolder
from pipeline.runs.journal import Event
from vqlso.archive import Archive
from vqlso.images import to_unit
from vqlso.metrics.agreement import agreement
from vqlso.metrics.diversity import distinct, mean_hamming_distance, mean_pixel_distance
from vqlso.metrics.frechet import FeatureNetwork, features, frechet_distance
from vqlso.metrics.inception import InceptionFeatures
from vqlso.metrics.inception_blocks import Tap
from vqlso.metrics.mobilenet import MobileNetFeatures
from vqlso.metrics.random_features import RandomFeatures
from vqlso.metrics.top_k import top_k_curve
from vqlso.objectives.degree_classifier import DegreeClassifier
from vqlso.randomness import stream
from vqlso.records import ScoreStatus, SolveStatus
from vqlso.spaces import CodeGrid

BEST_SHOWN = 30
# Pairs grow with the square: of more queries, so many that are spread over the run are compared.
MOST_PAIRED = 1000


@dataclass(frozen=True)
class JudgeFeatures:
    """The judge's last layer as feature network, where no other is at hand."""

    judge: DegreeClassifier

    @property
    def name(self) -> str:
        """Says that it is a stand-in."""
        return "the judge's last layer, a stand-in for Inception"

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, H, W) in [0, 1] -> (n, 128) float32."""
        return self.judge.features(images)


def evaluate(
    folder: RunFolder, start: Preparation, archive: Archive, seed: int, config: MetricsConfig
) -> dict[str, Any]:
    """The summary of a run; what the report draws goes into `evaluation.npz`.

    Args:
        folder: of the finished or interrupted run.
        start: what the run started from.
        archive: after the run.
        seed: the run's seed.
        config: feature network and size of the comparison.
    """
    everything = folder.journal.events("query")
    events = [event for event in everything if event["score_status"] == ScoreStatus.OK]
    scores = np.array([event["score"] for event in events], dtype=np.float64)
    novel = np.array([event["novel"] for event in events], dtype=bool)
    counted = np.where(novel, scores, np.nan)
    images = _pictures(folder, events, "query", start)
    # A solver that changes nothing, but makes its latents anew, has no references.
    derived = all("reference" in event["controls"] for event in events)
    references = _pictures(folder, events if derived else [], "reference", start)
    judged, reference_judged = _judged(start.judge, images), _judged(start.judge, references)
    frechet = _distances(start, images, references, seed, config)
    # NaN, which does not count, is sorted to the end.
    best = np.argsort(-counted, kind="stable")[: min(BEST_SHOWN, int(novel.sum()))]
    folder.write_arrays(
        "evaluation.npz",
        best_ids=np.array([events[row]["id"] for row in best], dtype=np.int64),
        best_images=images[best],
        best_references=references[best] if derived else references,
        best_scores=scores[best],
        best_judged=judged[best] if len(judged) else judged,
        query_judged=judged,
        reference_judged=reference_judged,
        **_codebook(start, archive),
    )
    return {
        "queries": len(everything),
        "latents": start.generator.space.name,
        **_figures(counted, scores),
        "train_best": float(start.data.labels[start.training].max()),
        "train_best_reconstructed": float(archive.scores[: archive.base].max()),
        "reference_mean": _mean([event["controls"].get("reference") for event in events]),
        "random_codes_mean": _mean([event["controls"].get("random_codes") for event in events]),
        "proven_optimal": _proven(everything),
        **frechet,
        "distances": _all_distances(start, images, references, seed, config),
        "diversity": _diversity(events, images),
        "agreement": _agreement(events, seed),
        "judge": _judge_figures(start, judged, reference_judged, novel),
        "failures": len(everything) - len(events),
        "novel": int(novel.sum()),
        "spread": float(np.ptp(archive.scores)),
        "seed": seed,
    }


def _figures(counted: NDArray[np.float64], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Best, top-10 and top-50 count novel points only (paper 003, "Evaluation metrics")."""
    return {
        "best": _last(top_k_curve(counted, 1)),
        "top10": _last(top_k_curve(counted, 10)),
        "top50": _last(top_k_curve(counted, 50)),
        "query_mean": _mean(list(scores)),
    }


def _judge_figures(
    start: Preparation,
    judged: NDArray[np.float64],
    reference_judged: NDArray[np.float64],
    novel: NDArray[np.bool_],
) -> dict[str, Any] | None:
    if start.judge is None:
        return None
    return _figures(np.where(novel, judged, np.nan), judged) | {
        "reference_mean": _mean(list(reference_judged)),
        "train_best_reconstructed": float(start.judged.max()),
    }


def _distances(
    start: Preparation,
    images: NDArray[np.uint8],
    references: NDArray[np.uint8],
    seed: int,
    config: MetricsConfig,
) -> dict[str, Any]:
    """Frechet distance of queries, and of as many references, to the unseen target images.

    The distance falls with the number of images, so the two are compared with each other, not
    with published figures.
    """
    network: FeatureNetwork | None = JudgeFeatures(start.judge) if start.judge else None
    if config.features:
        network = MobileNetFeatures(Path(config.features).expanduser())
    if network is None or min(len(images), len(start.target)) < 2:
        return {"frechet": None, "frechet_references": None, "frechet_network": None}
    chosen = stream(seed, "frechet").permutation(start.target)[: config.frechet_images]
    target = features(network, start.data.images[np.sort(chosen)])
    return {
        "frechet": frechet_distance(features(network, images), target),
        "frechet_references": (
            frechet_distance(features(network, references), target) if len(references) > 1 else None
        ),
        "frechet_network": network.name,
    }


def _all_distances(
    start: Preparation,
    images: NDArray[np.uint8],
    references: NDArray[np.uint8],
    seed: int,
    config: MetricsConfig,
) -> list[dict[str, Any]]:
    """In every network at hand; the one that needs no download knows nothing of degrees."""
    networks: list[FeatureNetwork] = [RandomFeatures()]
    if start.judge:
        networks.append(JudgeFeatures(start.judge))
    if config.inception:
        networks.insert(
            0, InceptionFeatures(Path(config.inception).expanduser(), cast(Tap, config.tap))
        )
    target = Target.of(start.data, start.target, config.frechet_images, seed)
    groups = {"queries": images, "references": references}
    return distances(groups, target, start.generator, networks, seed)


def _diversity(events: list[Event], images: NDArray[np.uint8]) -> dict[str, float]:
    """Whether the queries are many or one: a search may find the same image again and again."""
    if len(events) < 2:
        return {}
    z = np.array([event["z"] for event in events])
    spread = np.linspace(0, len(images) - 1, min(len(images), MOST_PAIRED)).astype(np.int64)
    measured = {
        "distinct_latents": distinct(z),
        "pixel_distance": mean_pixel_distance(images[spread]),
    }
    if np.issubdtype(z.dtype, np.integer):
        measured["hamming_distance"] = mean_hamming_distance(z)
    return measured


def _agreement(events: list[Event], seed: int) -> dict[str, Any] | None:
    """What the surrogate promised against what the scorer then said."""
    promised = [(e["predicted"], e["score"]) for e in events if e["predicted"] is not None]
    if len(promised) < FEWEST:
        return None
    predicted, true = np.array(promised, dtype=np.float64).T
    return asdict(agreement(predicted, true, stream(seed, "agreement")))


def _pictures(
    folder: RunFolder, events: list[Event], role: str, start: Preparation
) -> NDArray[np.uint8]:
    if not events:
        return np.empty((0, *start.generator.image_shape), dtype=np.uint8)
    return np.stack([folder.read_image(event["id"], role) for event in events])


def _judged(judge: DegreeClassifier | None, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return judge(to_unit(images)) if judge and len(images) else np.empty(0)


def _codebook(start: Preparation, archive: Archive) -> dict[str, NDArray[Any]]:
    """What the report shows of a grid of codes: their use, and where the cells lie."""
    if not isinstance(start.generator.space, CodeGrid):
        return {}
    return {
        "codes_before": np.bincount(start.latents.ravel()),
        "codes_after": np.bincount(archive.latents(archive.version).ravel()),
        "mean_face": start.data.images[start.training[:500]].mean(axis=0).astype(np.uint8),
        "grid": np.array(start.generator.space.shape),
    }


def _proven(events: list[Event]) -> float | None:
    """The share of proven queries; None where the solver claims no bounds at all."""
    claims = [event["status"] for event in events if event["status"] != SolveStatus.UNPROVEN]
    proofs = claims.count(SolveStatus.OPTIMAL)
    return proofs / len(events) if claims else None


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _last(curve: NDArray[np.float64]) -> float | None:
    return float(curve[-1]) if len(curve) and np.isfinite(curve[-1]) else None

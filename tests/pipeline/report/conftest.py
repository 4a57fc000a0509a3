"""Run folders as a run would leave them, made up in a fraction of a second."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.runs.folder import RunFolder
from vqlso.data.faces import render, sample_parameters

GRID = (8, 8)
CELLS = [27, 28, 35, 36, 42, 43, 44, 45]
CONFIG = "name: smile_shift\nseed: 3\nqueries: {queries}\nsolver:\n  t: 8\n"


class MadeUpRun:
    """Writes one run, a file a method; `write_all` leaves a finished one.

    Args:
        path: the folder.
        queries: how many are journalled.
        every: queries between retrainings.
        seed: of all made-up values.
        judged: share of the scorer's gain that the judge sees; None for no judge.
        failed: ids of queries without an answer.
    """

    def __init__(
        self,
        path: Path,
        queries: int = 40,
        *,
        every: int = 8,
        seed: int = 0,
        judged: float | None = 0.9,
        failed: tuple[int, ...] = (5,),
    ) -> None:
        self.folder = RunFolder(path)
        self.queries, self.every, self.judged, self.failed = queries, every, judged, failed
        self.rng = np.random.default_rng(seed)
        self.reference = self.rng.uniform(0, 2, queries)
        gain = 1.1 + 1.2 * np.arange(queries) / max(queries, 1)
        self.scores = np.clip(self.reference + gain + self.rng.normal(0, 0.35, queries), 0, 5)
        self.random_codes = np.clip(self.reference + self.rng.normal(0, 0.2, queries), 0, 5)
        self.answered = np.setdiff1d(np.arange(queries), failed)

    def write_all(self) -> RunFolder:
        self.write_start()
        self.write_journal()
        self.folder.journal.append("end", {"queries": self.queries, "rounds": 1})
        self.write_evaluation()
        self.write_summary()
        return self.folder

    def write_start(self, config: str = CONFIG) -> None:
        self.folder.write("config.yaml", config.format(queries=self.queries).encode())
        self.folder.write_json(
            "environment.json",
            {
                "command": f"vqlso run smile_shift queries={self.queries} seed=3",
                "python": "3.12.1",
                "platform": "Linux-6.1-x86_64",
                "processor": "a processor with a name",
                "cores": 2,
                "threads": 1,
                "packages": {"numpy": "2.4.6", "torch": "2.9.0", "lightgbm": "4.6.0"},
            },
        )
        quality = {"correlation": 0.953, "mean_absolute_error": 0.31, "recall_0": 0.92}
        quality |= {"recall_1": 0.61, "recall_2": 0.6, "recall_3": 0.66, "recall_5": 0.71}
        judge = {"name": "plain classifier", "origin": "trained here", **quality}
        self.folder.write_json(
            "preparation.json",
            {
                "data": {
                    "name": "faces",
                    "label_origin": "ground truth of the renderer",
                    "images": 10000,
                    "training": 7012,
                    "target": 2988,
                    "restrict": 2.0,
                    "skipped": [],
                    "fingerprint": "0123456789abcdef",
                },
                "generator": {
                    "version": "5f2c9a01",
                    "origin": "packaged",
                    "reconstruction_error": 0.01234,
                    "perplexity": 141.5,
                    "categories": 256,
                },
                "scorers": {
                    "queried": {"name": "residual classifier", "origin": "packaged", **quality},
                    "judge": judge if self.judged is not None else None,
                },
                "seconds": {"data": 3.2, "scorers": 12.5, "generator": 310.0, "archive": 20.0},
            },
        )

    def write_journal(self) -> None:
        for query in range(self.queries):
            if query % self.every == 0:
                self._write_round(query // self.every, query)
            self._write_query(query)

    def _write_round(self, round_: int, queries: int) -> None:
        rise = 1.3 * queries / self.queries
        degrees = np.clip(self.rng.gamma(2.5, 0.4 + 0.15 * rise, 300) + rise, 0, 5)
        judged = np.clip(degrees * 0.95, 0, 5) if self.judged is not None else np.empty(0)
        self.folder.write_arrays(
            f"rounds/{round_:03d}/shift.npz",
            images=faces(16, round_, degrees[:16]),
            degrees=degrees,
            judged=judged,
        )
        low, median, high = np.quantile(degrees, (0.05, 0.5, 0.95))
        shift = {"mean": degrees.mean(), "q05": low, "median": median, "q95": high}
        shift["judge_mean"] = judged.mean() if len(judged) else None
        self.folder.journal.append(
            "round",
            {"round": round_, "queries": queries, "version": "v", "fit": {}, "shift": shift},
            {"retrain": 2.5, "measure": 0.75},
        )

    def _write_query(self, query: int) -> None:
        failed = query in self.failed
        self.folder.journal.append(
            "query",
            {
                "id": query,
                "round": query // self.every,
                "parent": query,
                "z": np.zeros(GRID, dtype=int).tolist(),
                "predicted": float(self.scores[query] + self.rng.normal(0.4, 0.3)),
                "bound": None,
                "status": "optimal",
                "score": None if failed else float(self.scores[query]),
                "score_status": "fail" if failed else "ok",
                "reason": "ValueError: <b>no face</b>" if failed else "",
                "controls": {
                    "reference": None if failed else float(self.reference[query]),
                    "random_codes": float(self.random_codes[query]),
                },
                "free_cells": CELLS if query % 4 else [*CELLS[:-1], 20],
                "novel": query % 13 != 12,
                "reencoded_cells": 2,
            },
            {"fit": 0.5, "build": 0.1, "solve": 0.25, "score": 0.02},
        )

    def write_evaluation(self) -> None:
        novel = np.array([query for query in self.answered if query % 13 != 12], dtype=int)
        best = novel[np.argsort(-self.scores[novel])][:30]
        query_judged = self._judge(self.scores[self.answered])
        codes = self.rng.beta(0.7, 1.6, 20_000)
        self.folder.write_arrays(
            "evaluation.npz",
            best_ids=best,
            best_images=faces(len(best), 77, self.scores[best]),
            best_references=faces(len(best), 77, self.reference[best]),
            best_scores=self.scores[best],
            best_judged=self._judge(self.scores[best]),
            query_judged=query_judged,
            reference_judged=self._judge(self.reference[self.answered]),
            codes_before=np.bincount((200 * codes).astype(int)),
            codes_after=np.bincount((160 * codes**1.3).astype(int)),
            mean_face=faces(40, 1, np.full(40, 1.0)).mean(axis=0).astype(np.uint8),
            grid=np.array(GRID),
        )

    def _judge(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.judged is None:
            return np.empty(0)
        before = self.reference.mean()
        return before + self.judged * (scores - before) + self.rng.normal(0, 0.15, len(scores))

    def summary(self) -> dict[str, object]:
        reference = float(self.reference[self.answered].mean())
        mean = float(self.scores[self.answered].mean())
        ranked = np.sort(self.scores[[q for q in self.answered if q % 13 != 12]])[::-1]
        top = {
            name: float(ranked[k - 1]) if len(ranked) >= k else None
            for name, k in (("best", 1), ("top10", 10), ("top50", 50))
        }
        judge = None
        if self.judged is not None:
            judge = {
                name: None if value is None else 0.9 * value for name, value in top.items()
            } | {
                "query_mean": reference + self.judged * (mean - reference),
                "reference_mean": reference,
                "train_best_reconstructed": 2.31,
            }
        return {
            "queries": self.queries,
            **top,
            "query_mean": mean,
            "train_best": 2.0,
            "train_best_reconstructed": 2.4567,
            "reference_mean": reference,
            "random_codes_mean": float(self.random_codes.mean()),
            "proven_optimal": 0.985,
            "frechet": 41.6912,
            "frechet_references": 50.5134,
            "frechet_network": "MobileNetV2 (ImageNet)",
            "judge": judge,
            "failures": len(self.failed),
            "novel": len(ranked),
            "seed": 3,
            "seconds": 4321.0,
            "seconds_by_stage": {"evaluate": 14.0, "prepare generator": 3600.0, "solve": 707.0},
        }

    def write_summary(self) -> None:
        self.folder.write_json("summary.json", self.summary())


def faces(n: int, seed: int, degrees: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(n, 3, 64, 64) uint8, the same people for the same seed."""
    people = sample_parameters(n, np.random.default_rng(seed))
    return render(replace(people, degree=degrees[:n]))


@pytest.fixture
def made_up(tmp_path: Path) -> Callable[..., MadeUpRun]:
    """Makes runs below the test's folder."""
    return lambda *args, **kwargs: MadeUpRun(tmp_path, *args, **kwargs)


@pytest.fixture(scope="session")
def make_run() -> type[MadeUpRun]:
    """For runs that outlive a test."""
    return MadeUpRun

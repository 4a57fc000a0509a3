"""Mirrors of made-up journals: read back from event files, and from stand-ins of the packages."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline import experiment
from pipeline.checks import check
from pipeline.configuration.composition import composed, config_hash
from pipeline.experiment import start
from pipeline.runs.folder import RunFolder
from pipeline.tasks.registry import Task
from pipeline.tracking import trackers
from pipeline.tracking.mirror import FILE, mirrored, numbers
from vqlso.errors import ConfigError, MissingExtraError

SCORES = (1.0, 3.0, None, 2.0, 5.0, 4.0)
REPEATED = 4  # the query whose latents are not new: its score counts for no rank


class Recording:
    """A tracker that remembers what it was told; it breaks at the steps that it is told to."""

    id = "recorded"

    def __init__(self, broken_from: int = 1000) -> None:
        self.broken_from = broken_from
        self.told: list[tuple[str, int, float]] = []
        self.pictures: list[tuple[str, tuple[int, ...]]] = []
        self.final: dict[str, float] = {}
        self.closed = 0

    def log(self, values: dict[str, float], step: int) -> None:
        if step >= self.broken_from:
            raise OSError("the disk is gone")
        self.told += [(name, step, value) for name, value in values.items()]

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        self.pictures.append((name, picture.shape))

    def conclude(self, values: dict[str, float]) -> None:
        self.final = dict(values)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1

    def of(self, name: str) -> list[tuple[int, float]]:
        return [(step, value) for told, step, value in self.told if told == name]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Stands for MLflow, whatever is installed."""
    tracker = Recording()
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", lambda folder, name, id_: tracker)
    return tracker


def write_round(folder: RunFolder, round_: int, queries: int) -> None:
    fit, shift = {"loss": 0.5 + round_}, {"mean": 1.0 + round_, "judge_mean": None}
    facts = {"round": round_, "queries": queries, "version": "v", "fit": fit, "shift": shift}
    folder.journal.append("round", facts)


def write_queries(folder: RunFolder, *ids: int) -> None:
    facts = [{"id": id_, "score": SCORES[id_], "novel": id_ != REPEATED} for id_ in ids]
    folder.journal.append_all("query", facts)


def silent(message: str) -> None:
    raise AssertionError(message)


def test_queries_and_rounds_are_mirrored(folder: RunFolder, recording: Recording) -> None:
    with mirrored(folder, "mlflow", silent):
        write_round(folder, 0, 0)
        write_queries(folder, 0, 1, 2)
        write_round(folder, 1, 3)
        write_queries(folder, 3, 4, 5)
    assert recording.of("query/score") == [(1, 1.0), (2, 3.0), (4, 2.0), (5, 5.0), (6, 4.0)]
    assert recording.of("query/best") == [(1, 1), (2, 3), (3, 3), (4, 3), (5, 3), (6, 4)]
    assert recording.of("query/top10") == []
    assert recording.of("round/loss") == [(0, 0.5), (3, 1.5)]
    assert recording.of("shift/mean") == [(0, 1.0), (3, 2.0)]
    assert recording.of("shift/judge_mean") == []
    assert recording.closed == 1
    assert folder.journal.watchers == []


def test_ranks_beyond_the_first_are_of_new_scores(folder: RunFolder, recording: Recording) -> None:
    scores = np.random.default_rng(0).normal(size=80)
    with mirrored(folder, "mlflow", silent):
        for score in scores:
            folder.journal.append("query", {"score": float(score), "novel": True})
    for name, k in (("query/top10", 10), ("query/top50", 50)):
        expected = [(n, np.sort(scores[:n])[::-1][k - 1]) for n in range(k, len(scores) + 1)]
        assert recording.of(name) == expected


def test_a_resumed_run_repeats_and_omits_nothing(folder: RunFolder, recording: Recording) -> None:
    with mirrored(folder, "mlflow", silent):
        write_queries(folder, 0, 1)
    write_queries(folder, 2, 3)  # by a sitting that mirrored nothing
    with mirrored(folder, "mlflow", silent):
        write_queries(folder, 5)
    assert [step for step, _ in recording.of("query/best")] == [1, 2, 3, 4, 5]
    assert recording.of("query/best")[-1] == (5, 4.0)


def test_a_failing_tracker_stops_nothing_and_catches_up(
    folder: RunFolder, recording: Recording
) -> None:
    recording.broken_from = 3
    complaints: list[str] = []
    with mirrored(folder, "mlflow", complaints.append) as mirror:
        for query in range(5):
            write_queries(folder, query)
        mirror.conclude({"best": 1.0})
    (complaint,) = complaints
    assert "mlflow failed (OSError: the disk is gone)" in complaint
    assert len(folder.journal.events("query")) == 5
    assert recording.final == {}
    recording.broken_from = 1000
    with mirrored(folder, "mlflow", silent):
        write_queries(folder, 5)
    assert [step for step, _ in recording.of("query/best")] == [1, 2, 3, 4, 5, 6]


def test_a_tracker_that_cannot_begin_stops_nothing(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("no service")

    monkeypatch.setitem(trackers.TRACKERS, "wandb", broken)
    complaints: list[str] = []
    with mirrored(folder, "wandb", complaints.append):
        write_queries(folder, 0)
    assert len(complaints) == 1
    assert len(folder.journal.events()) == 1


def test_the_end_brings_figures_and_pictures(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `start`, with a task that searches nothing."""

    def task(config: Any, folder: RunFolder, progress: Any) -> dict[str, Any]:
        write_queries(folder, 0, 1)
        images = np.zeros((3, 3, 16, 16), dtype=np.uint8)
        folder.write_arrays("evaluation.npz", best_images=images)
        return {"best": 3.0, "top10": None, "judge": {"best": 2.5}, "proven": True}

    monkeypatch.setitem(experiment.TASKS, "search", Task(task))
    monkeypatch.setattr(experiment, "write_report", lambda folder: None)
    monkeypatch.setattr(trackers, "extra_package", lambda module, extra: None)
    config = composed("demo", ["tracker=mlflow", f"out={tmp_path / 'run'}"])
    start(config, ["vqlso"])
    assert recording.of("query/best") == [(1, 1.0), (2, 3.0)]
    assert recording.final == {"summary/best": 3.0, "summary/judge.best": 2.5}
    ((name, shape),) = recording.pictures
    assert name == "best"
    assert shape[2] == 3


def test_tensorboard_holds_what_was_told(folder: RunFolder) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    images = np.full((2, 3, 16, 16), 200, dtype=np.uint8)
    folder.write_arrays("evaluation.npz", best_images=images)
    with mirrored(folder, "tensorboard", silent):
        write_round(folder, 0, 0)
        write_queries(folder, 0, 1, 2)
    with mirrored(folder, "tensorboard", silent) as mirror:
        write_queries(folder, 3)
        mirror.conclude({"best": 3.0})
    read = EventAccumulator(str(folder.path / "tensorboard"), {"images": 0, "scalars": 0})
    read.Reload()

    def series(name: str) -> list[tuple[int, float]]:
        return [(each.step, each.value) for each in read.Scalars(name)]

    assert series("query/score") == [(1, 1.0), (2, 3.0), (4, 2.0)]
    assert series("query/best") == [(1, 1.0), (2, 3.0), (3, 3.0), (4, 3.0)]
    assert series("shift/mean") == [(0, 1.0)]
    assert series("summary/best") == [(4, 3.0)]
    (picture,) = read.Images("best")
    assert (picture.step, picture.encoded_image_string[1:4]) == (4, b"PNG")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in for the `mlflow` package; gives all calls of its client."""
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    class Client:
        def __init__(self, **kwargs: Any) -> None:
            calls.append(("client", (), kwargs))

        def __getattr__(self, method: str) -> Any:
            def called(*args: Any, **kwargs: Any) -> Any:
                calls.append((method, args, kwargs))
                if method == "get_experiment_by_name":
                    return None
                return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

            return called

    module = ModuleType("mlflow")
    module.MlflowClient = Client
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return calls


def test_mlflow_is_told_in_its_own_words(
    folder: RunFolder, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for queries in ((0, 1), (3,)):
        with mirrored(folder, "mlflow", silent) as mirror:
            write_queries(folder, *queries)
    with mirrored(folder, "mlflow", silent) as mirror:
        mirror.conclude({"best": 3.0})
    uris = {each["tracking_uri"] for name, _, each in client if name == "client"}
    assert uris == {f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"}
    assert len([name for name, *_ in client if name == "create_run"]) == 1
    logged = [
        (*args, each.get("step"))
        for name, args, each in client
        if name == "log_metric" and args[1] in ("query/score", "summary/best")
    ]
    assert logged == [
        ("r1", "query/score", 1.0, 1),
        ("r1", "query/score", 3.0, 2),
        ("r1", "query/score", 2.0, 3),
        ("r1", "summary/best", 3.0, None),
    ]
    assert ("set_terminated", ("r1",), {}) in client


def test_wandb_stays_offline(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, Any]] = []
    logged: list[tuple[dict[str, Any], int]] = []
    summary: dict[str, float] = {}
    ended: list[bool] = []

    def init(**kwargs: Any) -> Any:
        begun.append(kwargs)
        return SimpleNamespace(
            id="w1",
            log=lambda values, step: logged.append((values, step)),
            summary=summary,
            finish=lambda: ended.append(True),
        )

    module = ModuleType("wandb")
    module.init, module.Settings = init, lambda **kwargs: kwargs
    module.Image = lambda picture: ("picture", picture.shape)
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    images = np.zeros((1, 3, 16, 16), dtype=np.uint8)
    folder.write_arrays("evaluation.npz", best_images=images)
    with mirrored(folder, "wandb", silent):
        write_queries(folder, 0)
    with mirrored(folder, "wandb", silent) as mirror:
        write_queries(folder, 1)
        mirror.conclude({"best": 3.0})
    assert [(each["mode"], each["id"], each["dir"]) for each in begun] == [
        ("offline", None, str(folder.path)),
        ("offline", "w1", str(folder.path)),
    ]
    assert logged[:2] == [
        ({"query/score": 1.0, "query/best": 1.0}, 1),
        ({"query/score": 3.0, "query/best": 3.0}, 2),
    ]
    assert logged[2][0]["best"][0] == "picture"
    assert summary == {"summary/best": 3.0}
    assert ended == [True, True]


def test_another_tracker_begins_anew(folder: RunFolder, recording: Recording) -> None:
    with mirrored(folder, "mlflow", silent):
        write_queries(folder, 0)
    folder.write_json(FILE, {**folder.read_json(FILE), "tracker": "wandb"})
    recording.told.clear()
    with mirrored(folder, "mlflow", silent):
        pass
    assert recording.of("query/best") == [(1, 1.0)]


def test_a_missing_package_is_named_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"\.\[wandb\]"):
        check(composed("demo", ["tracker=wandb"]))
    with pytest.raises(ConfigError, match="There is no tracker 'mlfow'; did you mean 'mlflow'"):
        check(composed("demo", ["tracker=mlfow"]))


def test_a_tracker_decides_no_results() -> None:
    assert config_hash(composed("demo")) == config_hash(composed("demo", ["tracker=wandb"]))


def test_only_finite_numbers_are_figures() -> None:
    values = {"a": 1, "b": {"c": 2.5, "d": float("nan")}, "e": True, "f": "text", "g": [1.0]}
    assert numbers(values, "x/") == {"x/a": 1.0, "x/b.c": 2.5}

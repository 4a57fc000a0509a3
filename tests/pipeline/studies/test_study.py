"""What a study is: all of it is composed and checked before anything runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.configuration.composition import composed, run_name
from pipeline.studies.study import Method, Study, planned, read_study, studies
from vqlso.errors import ConfigError

TWO = Study(
    name="two",
    experiment="demo",
    methods=(Method("with"), Method("without", ("retrainer=none",))),
    seeds=(0, 5),
    overrides=("size=tiny",),
)


@pytest.mark.parametrize("name", studies())
def test_every_shipped_study_can_be_run(name: str) -> None:
    study = read_study(name)
    assert study.name == name
    settings = {"table1": 5, "plausibility": 5}.get(name, 1)
    given = {"figure3_celeba": ["data.root=."]}.get(name, [])  # the only one that cannot know
    assert len(planned(study, given)) == len(study.seeds) * len(study.methods) * settings


def test_the_runs_are_those_that_the_commands_make() -> None:
    runs = planned(replace(TWO, grid={"solver.t": (3, 4)}), ["queries=9"])
    assert len(runs) == 8
    assert [run.config.seed for run in runs] == [0] * 4 + [5] * 4  # seed by seed
    for run in runs:
        _, _, experiment, *overrides = run.command
        assert composed(experiment, overrides) == run.config
        assert run.name == run_name(run.config)
    last = runs[-1]
    assert last.label == "without, solver.t=4, seed 5"
    assert (last.config.retrainer.kind, last.config.solver.t) == ("none", 4)
    assert (last.config.queries, last.config.smoke_test) == (9, True)


def test_overrides_of_the_command_win() -> None:
    (run,) = planned(
        replace(TWO, methods=(Method("a", ("queries=7",)),), seeds=(0,)), ["queries=8"]
    )
    assert run.config.queries == 8


def test_grid_values_of_every_kind() -> None:
    grid = {"solver.cells": ([1, 2], None), "data.restrict": (1.5,), "solver.backend": ("highs",)}
    runs = planned(replace(TWO, methods=(Method("a"),), seeds=(0,), grid=grid))
    assert [run.config.solver.cells for run in runs] == [[1, 2], None]
    assert {run.config.data.restrict for run in runs} == {1.5}
    assert "solver.cells=[1,2]" in runs[0].label


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"methods": (Method("x", ("retrainer=nnoe",)),)}, "method 'x'.*'nnoe'.*did you mean"),
        ({"methods": (Method("x", ("surrogate.kind=tabpfn",)),)}, "method 'x'.*'tabpfn'"),
        ({"methods": (Method("x", ("retrainer=none", "retrainer.k=1")),)}, "has no effect"),
        ({"methods": (Method("x"), Method("y"))}, "'x, seed 0' and 'y, seed 0' .* same config"),
        ({"experiment": "demmo"}, "'demmo'; did you mean 'demo'"),
        ({"overrides": ("queries=0",)}, "queries must be at least 1"),
        ({"overrides": ("seed=3",)}, "seed is decided by its seeds"),
        ({"overrides": ("out=x",)}, "out is decided by the study's folder"),
        ({"overrides": ("study=tiny",)}, "no configuration key 'study'"),
        ({"grid": {"solver.tt": (3,)}}, r"'solver.tt'; did you mean 'solver.t'"),
        ({"grid": {"solver.t": (3, 65)}}, r"method 'with, solver.t=65'.*64 cells"),
        (
            {"grid": {"solver.t": (3,)}, "methods": (Method("x", ("solver.t=4",)),)},
            "solver.t is varied by the study's grid",
        ),
        (
            {"overrides": ("objective=callable", "objective.target=no_such_module:score")},
            "no_such_module",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        planned(replace(TWO, **change))


GOOD = {"name": "mine", "experiment": "demo", "methods": [{"name": "a"}], "seeds": [0]}


def written(tmp_path: Path, content: object) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_study_of_ones_own(tmp_path: Path) -> None:
    methods = [{"name": "a", "overrides": ["queries=5"]}, {"name": "b"}]
    path = written(tmp_path, {**GOOD, "methods": methods, "grid": {"solver.t": [2, 3]}})
    assert read_study(path) == Study(
        "mine", "demo", (Method("a", ("queries=5",)), Method("b")), (0,), (), {"solver.t": (2, 3)}
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metods": []}, "no 'metods'; did you mean 'methods'"),
        ({"methods": [{"nam": "a"}]}, "name and overrides, not nam"),
        ({"methods": [{"overrides": []}]}, "KeyError"),
        ({"methods": []}, "methods is an empty list"),
        ({"methods": [{"name": "a"}, {"name": "a"}]}, "two methods are called 'a'"),
        ({"methods": [{"name": "a", "overrides": "queries=5"}]}, "'queries=5' is no list"),
        ({"methods": "a"}, "is not a study"),
        ({"seeds": []}, "needs seeds"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": [-1]}, "at least 0, not -1"),
        ({"seeds": 3}, "is not a study"),
        ({"seeds": [True]}, "not True"),
        ({"grid": {"solver.t": []}}, r"solver\.t is an empty list"),
        ({"grid": {"solver.t": 3}}, "is not a study"),
        ({"name": "../up"}, "cannot be a folder's"),
        ({"name": 5}, "5 is no text"),
    ],
)
def test_a_file_that_is_no_study(change: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        read_study(written(tmp_path, {**GOOD, **change}))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no study at"):
        read_study(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="'figure3_dem'; did you mean 'figure3_demo'"):
        read_study("figure3_dem")
    with pytest.raises(ConfigError, match="is not a study: it needs"):
        read_study(written(tmp_path, ["a"]))
    (tmp_path / "mine.yaml").write_text("methods: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_study(str(tmp_path / "mine.yaml"))

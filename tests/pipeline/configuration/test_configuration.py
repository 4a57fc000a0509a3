"""Composing configurations: groups, overrides, paths as people write them, and hashes."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.checks import ABOVE_ZERO, AT_LEAST, CHOICES, PATHS, check
from pipeline.configuration.composition import (
    as_yaml,
    composed,
    config_folder,
    config_hash,
    experiments,
    saved,
)
from pipeline.configuration.explained import explained
from pipeline.configuration.idle import IDLE_BY_PART
from pipeline.configuration.idle_by_task import IDLE_BY_TASK
from pipeline.configuration.unused import check_used, idle_for
from vqlso.errors import ConfigError


@pytest.mark.parametrize("experiment", experiments())
@pytest.mark.parametrize("size", [None, "tiny", "demo", "paper"])
def test_every_experiment_can_be_run(experiment: str, size: str | None) -> None:
    config = composed(experiment, [f"size={size}"] if size else [])
    check(config)
    assert config.name == experiment


def choices() -> list[str]:
    groups = ("data", "generator", "objective", "surrogate", "solver", "retrainer")
    paths = [path for group in groups for path in sorted((config_folder() / group).glob("*.yaml"))]
    return [f"{path.parent.name}={path.stem}" for path in paths]


@pytest.mark.parametrize("choice", choices())
def test_every_choice_fits_the_types(choice: str) -> None:
    composed("smile_shift", [choice])


def test_the_paper_is_the_default() -> None:
    config = composed("smile_shift")
    assert (config.generator.categories, config.generator.dimension) == (256, 64)
    assert (config.queries, config.retrainer.every, config.retrainer.k) == (500, 5, 1e-3)
    assert (config.surrogate.trees, config.solver.t, config.data.restrict) == (800, 8, 2.0)


def test_overrides_win_over_groups() -> None:
    config = composed("smile_shift", ["queries=7", "size=tiny", "generator.width=3"])
    assert (config.queries, config.generator.width, config.generator.categories) == (7, 3, 16)


@pytest.mark.parametrize(
    "path",
    [
        "~/faces",
        "/data/My Pictures (2020)",
        "/data/a,b",
        "/data/x=1",
        "/data/Gesichter für alle",
        "/data/it's",
        "C:\\faces",
        "/data/{x}",
        "5",
        "true",
    ],
)
def test_paths_are_taken_as_they_are_written(path: str) -> None:
    assert composed("smile_shift", ["data=folder", f"data.root={path}"]).data.root == path


def test_null_takes_a_setting_back() -> None:
    assert composed("smile_shift", ["out=a", "out=null"]).out is None
    assert composed("smile_shift", ["solver.cells=[1,2]"]).solver.cells == [1, 2]


def test_the_experiment_is_chosen_once() -> None:
    with pytest.raises(ConfigError, match="'experiment'"):
        composed("smile_shift", ["experiment=demo"])


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    config = composed("demo", ["size=tiny", "solver.cells=[0,5]", "out=/x/y z", "seed=4"])
    (tmp_path / "config.yaml").write_text(as_yaml(config))
    assert saved(tmp_path / "config.yaml") == config


def test_a_saved_value_of_another_type_is_named(tmp_path: Path) -> None:
    text = as_yaml(composed("demo")).replace("queries: 60", "queries: sixty")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"queries.*sixty"):
        saved(tmp_path / "config.yaml")


def test_the_hash_is_of_what_decides_the_results() -> None:
    config = composed("smile_shift")
    for irrelevant in ({"out": "/x"}, {"cache": "/y"}, {"threads": 3}, {"seed": 9}):
        assert config_hash(replace(config, **irrelevant)) == config_hash(config)
    others = [
        composed("smile_shift", [override])
        for override in ("queries=501", "solver.t=9", "retrainer.k=0.1", "data.seed=1")
    ]
    assert len({config_hash(each) for each in (config, *others)}) == 5


def test_checks_name_keys_that_exist() -> None:
    """A key that is renamed must not lose its check."""
    known = flat(asdict(composed("smile_shift")))
    checked = {*AT_LEAST, *ABOVE_ZERO, *CHOICES, *PATHS}
    assert checked <= known


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (["objective.target=m:f"], "objective=callable"),
        (["objective=celeba_dialog", "objective.target=m:f"], "objective=callable"),
        (["objective.checkpoint=x.pth"], "objective=celeba_dialog"),
        (["objective.attribute=Young"], "objective=celeba_dialog"),
        (["data.root=x"], "data=celeba or data=folder"),
        (["data.scores=x.csv"], "data=folder"),
        (["data=celeba", "data.score_column=x"], "data=folder"),
        (["data=folder", "data.limit=5"], "data=celeba"),
        (["data=folder", "data.count=5"], "data=faces"),
        (["generator.checkpoint=x", "generator.codebook.revival=false"], "leave generator.checkp"),
        (["retrainer=none", "retrainer.every=3"], "retrainer=weighted"),
        (["surrogate=grid_boosting", "surrogate.depth=2"], "surrogate=lightgbm"),
        (["solver.cells=[1]", "solver.t=3"], "leave solver.cells out"),
        (["solver.population=9"], "solver=genetic or solver=cma_es"),
        (["solver=cma_es", "generator=vae", "solver.mutation=0.1"], "solver=genetic"),
        (["shift.samples=0", "shift.components=3"], r"shift\.samples above 0"),
        (["shift.tolerance=0.1"], r"shift\.patience above 0"),
        (["metrics.tap=64"], "inception"),
    ],
)
def test_a_setting_that_nothing_reads_is_named(given: list[str], remedy: str) -> None:
    name = given[-1].partition("=")[0].replace(".", r"\.")
    with pytest.raises(ConfigError, match=rf"{name} was given, but has no effect.*{remedy}"):
        composed("smile_shift", given)
    composed("smile_shift", given[:-1])


def test_what_a_group_or_a_size_sets_is_no_mistake() -> None:
    composed("smile_shift", ["size=tiny", "data=folder", "data.root=x", "data.scores=y"])
    composed("smile_shift", ["size=tiny", "retrainer=none", "objective.target=null"])


def test_checks_of_idle_settings_name_keys_that_exist() -> None:
    keys = flat(asdict(composed("smile_shift")))
    for idle in (*IDLE_BY_TASK, *IDLE_BY_PART):
        for key in idle.keys:
            assert any(known == key or known.startswith(key) for known in keys), key


@pytest.mark.parametrize("experiment", experiments())
def test_every_setting_is_explained(experiment: str) -> None:
    config = composed(experiment)
    settings = explained(config)
    values = flat(asdict(config), leaves=True)
    for each in settings:
        assert values[each.key] == each.value, each.key
        assert each.meaning.endswith("."), each.key
        # What is shown as read is accepted.
        check_used(config, [each.key])
    for key in values.keys() - {each.key for each in settings}:
        assert idle_for(config, key) is not None, key


def test_grid_boosting_grows_no_other_trees() -> None:
    config = composed("demo", ["surrogate=grid_boosting"])
    check(config)
    for shape in ({"depth": 3}, {"leaves": 3}):
        other = replace(config, surrogate=replace(config.surrogate, **shape))
        with pytest.raises(ConfigError, match="surrogate=lightgbm"):
            check(other)


def test_every_number_is_checked() -> None:
    config = flat(asdict(composed("smile_shift")), leaves=True)
    numbers = {
        key for key, value in config.items() if isinstance(value, int | float) and value is not True
    }
    anything_goes = {
        "data.restrict",
        "data.count",
        "train_from_scratch",
        "objective.isolate",
        "smoke_test",
        "solver.adapts",
        "solver.exploration",
        "gan.augment",
    }
    assert numbers - anything_goes <= {*AT_LEAST, *ABOVE_ZERO, *CHOICES}


def flat(values: dict, leaves: bool = False):
    """Dotted keys of nested dictionaries, with their values where wanted."""
    found = {}
    for key, value in values.items():
        inner = flat(value, leaves=True) if isinstance(value, dict) else None
        found |= {f"{key}.{each}": v for each, v in inner.items()} if inner else {key: value}
    return found if leaves else found.keys()

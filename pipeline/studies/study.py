"""What a study is: methods x settings x seeds of one experiment, composed before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from pipeline.checks import check
from pipeline.configuration.composition import composed, config_folder, nearest, run_name
from pipeline.configuration.settings import ExperimentConfig
from pipeline.configuration.yaml_text import without_aliases
from pipeline.preparation.scorers import given_objective
from vqlso.errors import ConfigError, VqlsoError

DECIDED = {"seed": "its seeds (--seeds)", "out": "the study's folder (--out)"}


@dataclass(frozen=True)
class Method:
    """One side of a comparison.

    Attributes:
        name: as tables and charts show it.
        overrides: `key=value`, as `vqlso run` takes them.
    """

    name: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """Runs that are to be compared.

    Attributes:
        name: of the study and of its folder.
        experiment: what every run is based on.
        methods: what is compared.
        seeds: each method runs once with each, so that differences can be paired.
        overrides: of every run.
        grid: values of settings, by key; every method runs with every combination.
    """

    name: str
    experiment: str
    methods: tuple[Method, ...]
    seeds: tuple[int, ...]
    overrides: tuple[str, ...] = ()
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    Attributes:
        method: its name.
        settings: what the grid gives this run, by key.
        config: complete and checked.
        command: what a person would type to get the same run by itself.
    """

    method: str
    settings: Mapping[str, Any]
    config: ExperimentConfig
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return run_name(self.config)

    @property
    def label(self) -> str:
        """The run in a few words."""
        return f"{arm_label(self.method, self.settings)}, seed {self.config.seed}"


def arm_label(method: str, settings: Mapping[str, Any]) -> str:
    """A method with what the grid sets for it, such as 'VQ, solver.t=8'."""
    return ", ".join([method, *(f"{key}={as_override(value)}" for key, value in settings.items())])


def studies() -> list[str]:
    """Names of the studies that come with the project."""
    return sorted(path.stem for path in (config_folder() / "study").glob("*.yaml"))


def read_study(name: str) -> Study:
    """A study of the project by its name, or one's own by its path.

    Raises:
        ConfigError: there is none, or it is not what a study must be.
    """
    own = Path(name).expanduser()
    if own.suffix in (".yaml", ".yml"):
        if not own.is_file():
            raise ConfigError(f"There is no study at {own}. Correct the path.")
        return _parsed(own)
    if name not in studies():
        raise ConfigError(
            f"There is no study '{name}'{nearest(name, studies())} Known: "
            f"{', '.join(studies())}; or the path of a YAML file."
        )
    return _parsed(config_folder() / "study" / f"{name}.yaml")


def planned(study: Study, overrides: Sequence[str] = ()) -> list[PlannedRun]:
    """All runs of a study, the first seed of every method first; nothing is run yet.

    Args:
        study: what is to be run.
        overrides: `key=value` of every run, which win over the study's own.

    Raises:
        ConfigError: a method or setting that does not exist, that nothing reads or that the
            study decides itself; two methods that come out the same.
        VqlsoError: what else `pipeline.checks` finds.
    """
    arms = [
        _arm(study, method, settings, overrides)
        for method in study.methods
        for settings in _combinations(study.grid)
    ]
    runs = [_seeded(arm, seed) for seed in study.seeds for arm in arms]
    first: dict[str, PlannedRun] = {}
    for run in runs:
        if run.name in first:
            raise ConfigError(
                f"Study '{study.name}': '{first[run.name].label}' and '{run.label}' come out as "
                "the same configuration. Drop one of them, or the override that makes them equal."
            )
        first[run.name] = run
    for objective in {repr(arm.config.objective): arm.config.objective for arm in arms}.values():
        given_objective(objective)
    return runs


def _arm(
    study: Study, method: Method, settings: Mapping[str, Any], overrides: Sequence[str]
) -> PlannedRun:
    """A method with one combination of settings, with the first seed."""
    fixed = [*study.overrides, *method.overrides, *overrides]
    given = [*fixed, *(f"{key}={as_override(value)}" for key, value in settings.items())]
    try:
        for override in fixed:
            _check_free(override.partition("=")[0], study)
        config = replace(composed(study.experiment, given), seed=study.seeds[0])
        check(config)
    except VqlsoError as error:
        label = arm_label(method.name, settings)
        raise type(error)(f"Study '{study.name}', method '{label}': {error}") from error
    return PlannedRun(method.name, settings, config, ("vqlso", "run", study.experiment, *given))


def _check_free(key: str, study: Study) -> None:
    if key in DECIDED:
        raise ConfigError(f"{key} is decided by {DECIDED[key]}, not by an override.")
    if key in study.grid:
        raise ConfigError(f"{key} is varied by the study's grid: leave the override out.")


def _seeded(arm: PlannedRun, seed: int) -> PlannedRun:
    config = replace(arm.config, seed=seed)
    return replace(arm, config=config, command=(*arm.command, f"seed={seed}"))


def _combinations(grid: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def as_override(value: Any) -> str:
    """A grid's value as an override has it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _parsed(path: Path) -> Study:
    try:
        content = yaml.safe_load(without_aliases(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    known = [each.name for each in fields(Study)]
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is not a study: it needs {', '.join(known)}.")
    for key in content:
        if key not in known:
            raise ConfigError(f"{path}: a study has no '{key}'{nearest(str(key), known)}")
    try:
        study = Study(
            name=_text(content["name"]),
            experiment=_text(content["experiment"]),
            methods=tuple(_method(each) for each in content["methods"]),
            seeds=tuple(content["seeds"]),
            overrides=_texts(content.get("overrides") or ()),
            grid={_text(key): tuple(each) for key, each in (content.get("grid") or {}).items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not a study ({type(error).__name__}: {error}). It needs name and "
            "experiment, methods as a list of name and overrides, seeds as a list of whole "
            "numbers and, where settings vary, grid as lists of values by key."
        ) from error
    _check_parsed(study, path)
    return study


def _check_parsed(study: Study, path: Path) -> None:
    names = [method.name for method in study.methods]
    twice = [name for name in names if names.count(name) > 1]
    empty = [key for key, values in study.grid.items() if not values]
    if Path(study.name).name != study.name or not study.name:
        raise ConfigError(f"{path}: the name '{study.name}' cannot be a folder's. Choose another.")
    if twice:
        raise ConfigError(f"{path}: two methods are called '{twice[0]}'. Rename one.")
    if not names or empty:
        raise ConfigError(f"{path}: {empty[0] if empty else 'methods'} is an empty list.")
    check_seeds(study.seeds)


def check_seeds(seeds: Sequence[Any]) -> None:
    """Seeds as a study can use them.

    Raises:
        ConfigError: none, one twice, or one that is no whole number from 0 up.
    """
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise ConfigError(f"A seed is a whole number of at least 0, not {seed!r}.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"A study needs seeds, each once; got {list(seeds)}.")


def _method(content: Any) -> Method:
    if isinstance(content, dict) and not content.keys() <= {"name", "overrides"}:
        raise ValueError(f"a method has name and overrides, not {', '.join(map(str, content))}")
    return Method(_text(content["name"]), _texts(content.get("overrides") or ()))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ValueError(f"'{values}' is no list")
    return tuple(_text(each) for each in values)

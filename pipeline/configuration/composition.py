"""The configuration of an experiment: typed fields, composed from the groups under configs/."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import pipeline
from pipeline.configuration.settings import ExperimentConfig
from pipeline.configuration.unused import check_used
from pipeline.configuration.yaml_text import settings_by_name
from vqlso.errors import ConfigError

# Where results go and how fast they come does not change them.
NOT_HASHED = ("out", "cache", "threads", "tracker")


# What a file ends in that is no configuration.
_UNFIT = (OmegaConfBaseException, YAMLError, OSError, ValueError, RecursionError)


def config_folder() -> Path:
    """The configuration groups: packaged with a wheel, at the top level of a checkout."""
    packaged = Path(pipeline.__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(pipeline.__file__).parent.parent / "configs"


def experiments() -> list[str]:
    """Names of all experiments."""
    return sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml"))


def composed(experiment: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The configuration of an experiment with `key=value` overrides.

    Raises:
        ConfigError: an unknown experiment, key, choice or a value of the wrong type, with the
            nearest known name; a setting that another one makes idle.
    """
    if experiment not in experiments():
        raise ConfigError(
            f"There is no experiment '{experiment}'{nearest(experiment, experiments())} "
            f"Known: {', '.join(experiments())}."
        )
    for override in overrides:
        _check_override(override)
    chosen = [f"experiment={experiment}", *map(_quoted, overrides)]
    try:
        with initialize_config_dir(str(config_folder().resolve()), version_base="1.3"):
            values = compose("config", chosen)
        config = _typed(OmegaConf.to_container(values, resolve=True))
    except (HydraException, OmegaConfBaseException) as error:
        told = _told(error)
        if absent := re.search(r"override '(\w+)'\. No match", told):
            told = f"experiment '{experiment}' has no {absent[1]} to choose."
        raise ConfigError(f"The configuration is not valid: {told}") from error
    keys = _keys(ExperimentConfig)
    check_used(config, [key for each in overrides if (key := each.partition("=")[0]) in keys])
    return config


def saved(path: Path) -> ExperimentConfig:
    """The configuration that a run has written.

    Raises:
        ConfigError: it does not fit this version.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if "${" in text:
            # A run writes values only. In a stranger's file one could ask for the environment.
            raise YAMLError("an interpolation, ${...}, in place of a value")
        return _typed(OmegaConf.to_container(settings_by_name(text)))
    except _UNFIT as error:
        raise ConfigError(f"{path} does not fit this version: {_told(error)}") from error


def as_yaml(config: ExperimentConfig) -> str:
    """The whole configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def config_hash(config: ExperimentConfig) -> str:
    """Eight hexadecimal digits of everything that decides the results, but for the seed."""
    values = {
        key: value for key, value in asdict(config).items() if key not in (*NOT_HASHED, "seed")
    }
    return hashlib.sha256(repr(values).encode()).hexdigest()[:8]


def run_name(config: ExperimentConfig) -> str:
    """The name of the run's folder, where nothing else is asked for."""
    return f"{config.name}-{config_hash(config)}-s{config.seed}"


def nearest(word: str, known: Sequence[str]) -> str:
    """'; did you mean X?' where a known word is near, else a full stop."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else "."


def _typed(values: Any) -> ExperimentConfig:
    merged = OmegaConf.merge(OmegaConf.structured(ExperimentConfig), values)
    config: ExperimentConfig = OmegaConf.to_object(merged)  # type: ignore[assignment]
    return config


def _check_override(override: str) -> None:
    key, equals, _ = override.partition("=")
    if not equals:
        raise ConfigError(f"'{override}' is not of the form key=value, such as queries=100.")
    groups = {path.name for path in config_folder().iterdir() if path.is_dir()}
    known = [*_keys(ExperimentConfig), *sorted(groups - {"experiment", "study"})]
    if key not in known:
        raise ConfigError(f"There is no configuration key '{key}'{nearest(key, known)}")
    choices = sorted(path.stem for path in (config_folder() / key).glob("*.yaml"))
    chosen = override.partition("=")[2]
    if choices and chosen not in choices:
        raise ConfigError(
            f"There is no {key} '{chosen}'{nearest(chosen, choices)} Known: {', '.join(choices)}."
        )


def _quoted(override: str) -> str:
    """The override with a text quoted: Hydra's grammar would trip over ~, commas and umlauts.

    A setting that the chosen groups do not list is added, so that `check_used` can say why.
    """
    key, _, value = override.partition("=")
    kinds = _keys(ExperimentConfig)
    if key not in kinds:
        return override
    already = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    text = kinds[key] in ("str", "str | None")  # a list of texts is written in Hydra's own grammar
    if not text or already or value in ("", "null"):
        return f"++{override}"
    escaped = value.replace("'", r"\'")
    return f"++{key}='{escaped}'"


def _keys(config: type, prefix: str = "") -> dict[str, str]:
    """All dotted keys with their types as they are written above."""
    keys: dict[str, str] = {}
    for each in fields(config):
        default = each.default_factory
        if isinstance(default, type) and is_dataclass(default):
            keys |= _keys(default, f"{prefix}{each.name}.")
        else:
            keys[prefix + each.name] = str(each.type)
    return keys


def _told(error: Exception) -> str:
    """The error's first line, with the key that it is about."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    key = getattr(error, "full_key", None)
    return f"{key}: {line}" if key else line

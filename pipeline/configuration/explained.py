"""What each setting of an experiment means, from the documentation of its field."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from docstring_parser import parse

from pipeline.configuration.unused import idle_for

if TYPE_CHECKING:
    from pipeline.configuration.settings import ExperimentConfig


@dataclass(frozen=True)
class Setting:
    """A setting as an experiment has it.

    Attributes:
        key: dotted, as in `key=value`.
        value: a scalar, a text, None or a list of these.
        meaning: a few words, with units and choices.
    """

    key: str
    value: Any
    meaning: str


def explained(config: ExperimentConfig) -> list[Setting]:
    """All settings that the parts and the task of `config` read, in the order of their fields."""
    return [each for each in _explained(config, "") if idle_for(config, each.key) is None]


def _explained(config: Any, prefix: str) -> list[Setting]:
    documented = {each.arg_name: each.description for each in parse(config.__doc__).params}
    settings = []
    for each in fields(config):
        key, value = prefix + each.name, getattr(config, each.name)
        if is_dataclass(value):
            settings += _explained(value, f"{key}.")
        else:
            meaning = " ".join((documented[each.name] or "").split())
            settings.append(Setting(key, value, meaning))
    return settings

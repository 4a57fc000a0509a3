"""Settings that nothing reads: given all the same, they are a mistake to be named."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from pipeline.configuration.idle import IDLE_BY_PART, Idle
from pipeline.configuration.idle_by_task import IDLE_BY_TASK
from vqlso.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.configuration.settings import ExperimentConfig


def check_used(config: ExperimentConfig, given: Sequence[str]) -> None:
    """Find a setting that a person gave and that nothing reads.

    What a group or a size sets is no person's wish: only the keys that were given are looked at.

    Args:
        config: composed.
        given: keys that were overridden one by one, such as "objective.target".

    Raises:
        ConfigError: naming the setting, what makes it idle, and the remedy.
    """
    for key in given:
        if key.endswith(".kind") or "." not in key or _value(config, key) is None:
            continue
        if idle := idle_for(config, key):
            why = idle.why.format_map(vars(config))
            raise ConfigError(
                f"{key} was given, but has no effect with {why}: {idle.remedy}, or leave {key} out."
            )


def idle_for(config: ExperimentConfig, key: str) -> Idle | None:
    """What makes a setting such as "objective.target" idle, or None where something reads it."""
    for idle in (*IDLE_BY_TASK, *IDLE_BY_PART):
        if any(_names(each, key) for each in idle.keys) and idle.when(config):
            return idle
    return None


def _names(pattern: str, key: str) -> bool:
    return key.startswith(pattern) if pattern.endswith(".") else key == pattern


def _value(config: ExperimentConfig, key: str) -> Any:
    return reduce(getattr, key.split("."), config)

"""YAML that may be a stranger's: what a small file may not say."""

from __future__ import annotations

import yaml
from omegaconf import DictConfig, OmegaConf


def without_aliases(text: str) -> str:
    """The text, which is left as it is.

    Readers copy what an alias stands for: of a few nested ones a kilobyte becomes gigabytes.

    Raises:
        yaml.YAMLError: it has an alias, or is no YAML.
    """
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            raise yaml.YAMLError(f"the alias '*{token.value}': write out what it stands for")
    return text


def settings_by_name(text: str) -> DictConfig:
    """What a file of settings says.

    Raises:
        yaml.YAMLError: it is no YAML, has an alias, or is no settings by name.
        OmegaConfBaseException: a value is none that a setting can have.
        RecursionError: it is nested too deep.
        ValueError: it is no YAML either.
    """
    try:
        values = OmegaConf.create(without_aliases(text))
    except AssertionError:  # of a number alone
        values = None
    if not isinstance(values, DictConfig):
        raise yaml.YAMLError("it holds no settings by name")
    return values

"""The packaged networks are those that the demo asks for, and of this training code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration.composition import composed
from pipeline.parts import generators
from pipeline.preparation import scorers
from pipeline.preparation.sources import load_data
from pipeline.runs.shelf import PACKAGED, Shelf, recipe_key
from vqlso.progress import SILENT

ROLES = ("generator-", "scorer-", "judge-")  # of the networks that a search trains


def asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """File names of the networks that `vqlso run demo size=demo` looks for."""
    names = set()

    def find(
        self: Shelf, role: str, kind: Any, recipe: Mapping[str, Any], train: Callable[..., Any]
    ) -> tuple[Any, str]:
        names.add(f"{role}-{recipe_key(recipe)}.safetensors")
        return kind.load(next(PACKAGED.glob(f"{role}-*"))), "packaged weights"

    monkeypatch.setattr(Shelf, "find_or_train", find)
    monkeypatch.setattr(scorers, "scorer_quality", lambda *_: {})
    config, shelf = composed("demo", ["size=demo"]), Shelf(tmp_path, tmp_path)
    data = load_data(config.data, tmp_path, SILENT)
    scorers.prepare_scorers(config, None, data, shelf, SILENT)
    training = data.at_most(2.0)
    generators.trained_generator(config.generator, data, training, shelf, SILENT)
    return names


def test_the_demo_finds_the_packaged_networks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packaged = {path.name for path in PACKAGED.glob("*.safetensors") if path.name.startswith(ROLES)}
    assert asked_for(monkeypatch, tmp_path) == packaged
    monkeypatch.setattr(generators, "RECIPE_VERSION", generators.RECIPE_VERSION + 1)
    monkeypatch.setattr(scorers, "RECIPE_VERSION", scorers.RECIPE_VERSION + 1)
    assert not asked_for(monkeypatch, tmp_path) & packaged

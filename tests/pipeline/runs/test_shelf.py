"""Where a trained network comes from: the run, the package, the cache, or a training."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.runs import shelf as shelf_module
from pipeline.runs.shelf import Shelf, recipe_key
from vqlso.errors import CheckpointError, RunFolderError
from vqlso.training.fitting import Checkpointing

RECIPE = {"data": "abc", "seed": 0}


class Number:
    """A network with one weight."""

    def __init__(self, weight: int) -> None:
        self.weight = weight

    def save(self, path: Path) -> None:
        path.write_text(str(self.weight))

    @classmethod
    def load(cls, path: Path) -> "Number":
        try:
            return cls(int(path.read_text()))
        except (OSError, ValueError) as error:
            raise CheckpointError(str(path)) from error


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(shelf_module, "PACKAGED", tmp_path / "package")
    (tmp_path / "run").mkdir()
    return Shelf(tmp_path / "run" / "networks", tmp_path / "cache")


def train(shelf: Shelf, weight: int, recipe: dict = RECIPE) -> tuple[int, str]:
    network, origin = shelf.find_or_train("judge", Number, recipe, lambda how: Number(weight))
    return network.weight, origin


def other_run(shelf: Shelf, tmp_path: Path, **changes: bool) -> Shelf:
    (tmp_path / "other").mkdir()
    return replace(shelf, run=tmp_path / "other" / "networks", **changes)


def test_a_run_keeps_what_it_trained(shelf: Shelf) -> None:
    assert train(shelf, 1) == (1, "trained in this run")
    assert train(shelf, 2, {"another": "recipe"}) == (1, "trained in this run")


def test_other_runs_of_the_same_recipe_find_it_in_the_cache(shelf: Shelf, tmp_path: Path) -> None:
    train(shelf, 1)
    other = other_run(shelf, tmp_path)
    assert train(other, 2) == (1, "cached weights")
    assert train(other, 3) == (1, "cached weights")


def test_other_recipes_are_trained(shelf: Shelf, tmp_path: Path) -> None:
    train(shelf, 1)
    assert train(other_run(shelf, tmp_path), 2, RECIPE | {"seed": 1}) == (2, "trained in this run")


def test_packaged_networks_come_first(shelf: Shelf, tmp_path: Path) -> None:
    train(shelf, 1)
    (tmp_path / "package").mkdir()
    Number(9).save(tmp_path / "package" / f"judge-{recipe_key(RECIPE)}.safetensors")
    assert train(other_run(shelf, tmp_path), 2) == (9, "packaged weights")


def test_from_scratch_means_from_scratch(shelf: Shelf, tmp_path: Path) -> None:
    train(shelf, 1)
    other = other_run(shelf, tmp_path, from_scratch=True)
    assert train(other, 2) == (2, "trained in this run")
    assert train(other, 3) == (2, "trained in this run")  # but once a run


def test_a_cached_network_that_cannot_be_read_is_as_good_as_none(
    shelf: Shelf, tmp_path: Path
) -> None:
    train(shelf, 1)
    (cached,) = shelf.cache.iterdir()
    cached.write_text("of another version")
    other = other_run(shelf, tmp_path)
    assert train(other, 2) == (2, "trained in this run")
    assert Number.load(cached).weight == 2


def test_half_a_copy_does_not_count(shelf: Shelf) -> None:
    """Killed between the network and the note of its origin."""
    train(shelf, 1)
    (shelf.run / "judge.origin").unlink()
    (shelf.run / "judge.safetensors").write_text("")
    assert train(shelf, 2) == (1, "cached weights")


def test_the_state_of_a_training_is_removed_with_its_end(shelf: Shelf) -> None:
    def interrupted(how: Checkpointing) -> Number:
        how.path.write_text("half way")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.find_or_train("judge", Number, RECIPE, interrupted)
    state = shelf.run / "judge.state"
    assert state.is_file()
    train(shelf, 1)
    assert not state.exists()


def test_a_cache_that_cannot_be_written_harms_no_run(shelf: Shelf) -> None:
    shelf.cache.write_text("a file where a folder should be")
    assert train(shelf, 1) == (1, "trained in this run")


def test_a_run_that_cannot_be_written_is_named(shelf: Shelf) -> None:
    shelf.run.write_text("a file where a folder should be")
    with pytest.raises(RunFolderError, match=r"judge\.safetensors cannot be written"):
        train(shelf, 1)


def test_keys_depend_on_values_not_on_their_order() -> None:
    assert recipe_key({"a": 1, "b": 2}) == recipe_key({"b": 2, "a": 1})
    assert recipe_key({"a": 1}) != recipe_key({"a": 2})
    assert len(recipe_key({})) == 16

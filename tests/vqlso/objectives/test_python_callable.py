"""A user's own function as the objective, and what is said when it cannot be used."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from vqlso.contracts import Objective
from vqlso.errors import ConfigError, ObjectiveError
from vqlso.objectives.python_callable import PythonObjective

MODULE = """
import numpy as np
import torch

CONSTANT = 3

def brightness(images):
    assert isinstance(images, np.ndarray) and images.dtype == np.float32
    return images.mean(axis=(1, 2, 3))

def as_list(images):
    return [1, 2]

def as_tensor(images):
    return torch.from_numpy(images).sum(dim=(1, 2, 3))

def destroys(images):
    images[:] = 0
    return np.zeros(len(images))

def column(images):
    return np.zeros((len(images), 1))

def one_number(images):
    return 0.5

def words(images):
    return ["good"] * len(images)

def raises(images):
    raise ZeroDivisionError("inside")
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module in the current directory, which is not on the import path beforehand."""
    (tmp_path / "own_scores.py").write_text(MODULE)
    (tmp_path / "broken_scores.py").write_text("import a_package_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield
    for name in ("own_scores", "broken_scores"):
        sys.modules.pop(name, None)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def test_scores_by_a_function_of_the_current_directory(images: torch.Tensor) -> None:
    objective = PythonObjective("own_scores:brightness")
    scores = objective(images)
    assert isinstance(objective, Objective)
    assert objective.name == "own_scores:brightness"
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, images.double().mean(dim=(1, 2, 3)), rtol=1e-6)


def test_lists_and_tensors_are_numbers_too(images: torch.Tensor) -> None:
    np.testing.assert_array_equal(PythonObjective("own_scores:as_list")(images), [1.0, 2.0])
    total = PythonObjective("own_scores:as_tensor")(images)
    np.testing.assert_allclose(total, images.double().sum(dim=(1, 2, 3)), rtol=1e-5)


def test_a_function_that_overwrites_its_input_leaves_the_images_alone(
    images: torch.Tensor,
) -> None:
    before = images.clone()
    PythonObjective("own_scores:destroys")(images)
    assert torch.equal(images, before)


def test_a_local_file_does_not_shadow_an_installed_package(tmp_path: Path) -> None:
    (tmp_path / "this_name_is_taken.py").write_text("def f(images):\n    return 'local'\n")
    PythonObjective("own_scores:brightness")
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own_scores", "module:function"),
        (":brightness", "module:function"),
        ("own_scores:", "module:function"),
        ("absent_scores:f", "ModuleNotFoundError.*absent_scores"),
        ("broken_scores:f", "a_package_nobody_has"),
        ("own_scores:absent", "no 'absent'"),
        ("own_scores:CONSTANT", "int, not a function"),
    ],
)
def test_what_cannot_be_called_is_a_config_error(target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PythonObjective(target)


@pytest.mark.parametrize(
    ("function", "message"),
    [("column", r"\(2, 1\) for 2 images"), ("one_number", r"\(\)"), ("words", "list")],
)
def test_a_wrong_result_is_an_objective_error(
    function: str, message: str, images: torch.Tensor
) -> None:
    with pytest.raises(ObjectiveError, match=message):
        PythonObjective(f"own_scores:{function}")(images)


def test_what_the_function_raises_passes_through(images: torch.Tensor) -> None:
    with pytest.raises(ZeroDivisionError, match="inside"):
        PythonObjective("own_scores:raises")(images)

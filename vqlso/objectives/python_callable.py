"""Any Python function as the black box."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import ConfigError, ObjectiveError

if TYPE_CHECKING:
    from torch import Tensor


class PythonObjective:
    """Scores images by the function that "module:function" names.

    The function takes a (n, 3, H, W) float32 array in [0, 1] and returns n numbers; it may
    change its array. What it raises passes through: the problem records it as a failed query.

    Args:
        target: "module:function"; the module may lie in the current directory or in a package.

    Raises:
        ConfigError: the target is not of this form, or cannot be imported or called.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._function = _imported(target)

    @property
    def name(self) -> str:
        """The target as it was given."""
        return self._target

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        """(n, 3, H, W) float32 in [0, 1] -> (n,) float64.

        Raises:
            ObjectiveError: the function returned something other than n numbers.
        """
        return self.of_arrays(np.array(images.detach().cpu().numpy(), dtype=np.float32))

    def of_arrays(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same of an array, which the function may change.

        Raises:
            ObjectiveError: as a call.
        """
        result = self._function(images)
        try:
            scores = np.asarray(result, dtype=np.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ObjectiveError(
                f"{self._target} returned {type(result).__name__}, which is not numbers "
                f"({error}). Return one number per image."
            ) from error
        if scores.shape != (len(images),):
            raise ObjectiveError(
                f"{self._target} returned shape {scores.shape} for {len(images)} images. "
                f"Return one number per image: shape ({len(images)},)."
            )
        return scores


def unimported_source_hash(target: str) -> str | None:
    """Like `source_hash`, of the target's module alone, whose code is not run.

    Raises:
        ConfigError: there is no such module.
    """
    _make_current_directory_importable()
    try:
        found = importlib.util.find_spec(target.partition(":")[0])
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise ConfigError(
            f"There is no module '{target.partition(':')[0]}' for the objective '{target}'. Start "
            "from the directory that holds it, or install it."
        )
    return _hash({found.origin}) if found.origin and found.has_location else None


def source_hash(target: str) -> str | None:
    """Sixteen hexadecimal digits of the file that defines a target; None where there is none.

    Raises:
        ConfigError: as `PythonObjective`.
    """
    function = _imported(target)
    module = sys.modules[target.partition(":")[0]]
    defining = sys.modules.get(getattr(function, "__module__", None) or "", module)
    files = {str(each.__file__) for each in (module, defining) if getattr(each, "__file__", None)}
    return _hash(files) if files else None


def _hash(files: Collection[str]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


def _imported(target: str) -> Callable[[NDArray[np.float32]], object]:
    module_name, colon, function_name = target.partition(":")
    if not (module_name and colon and function_name):
        raise ConfigError(
            f"'{target}' does not name a function. Write module:function, such as "
            "my_scores:brightness."
        )
    _make_current_directory_importable()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may fail in any way while it is imported
        raise ConfigError(
            f"Importing '{module_name}' for the objective '{target}' failed: "
            f"{type(error).__name__}: {error}. Start from the directory that holds it, or "
            "install it."
        ) from error
    function = getattr(module, function_name, None)
    if function is None:
        raise ConfigError(f"Module '{module_name}' has no '{function_name}'; check '{target}'.")
    if not callable(function):
        raise ConfigError(
            f"'{target}' is a {type(function).__name__}, not a function that can be called."
        )
    return function  # type: ignore[no-any-return]


def _make_current_directory_importable() -> None:
    # An installed command does not search the current directory as `python -m` does. It goes
    # last, so that a file there cannot stand in for an installed package.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)

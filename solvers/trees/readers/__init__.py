"""Readers of other libraries' fitted models into the neutral arrays of a `TreeEnsemble`.

One module a library; none is imported before a model asks for it, nor is the library.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Feature
from vqlso.errors import SolverError

_PICKLES = (".pkl", ".pickle", ".joblib", ".skops", ".dill", ".cloudpickle")
_NO_PICKLE = (
    "Nothing is unpickled, since that runs whatever the file says. Save LightGBM as text, XGBoost "
    "as .json or .ubj, and convert scikit-learn models to ONNX with skl2onnx."
)


def read_model(
    model: Any,
    *,
    features: Sequence[Feature] | None = None,
    categories: int | Sequence[int] | None = None,
) -> TreeEnsemble:
    """The ensemble of a model of any library that is read; see `TreeEnsemble.from_model`."""
    library = _library_of_file(Path(model)) if _is_path(model) else _library_of_object(model)
    source = Path(model) if _is_path(model) else model
    read = {
        "lightgbm": TreeEnsemble.from_lightgbm,
        "xgboost": TreeEnsemble.from_xgboost,
        "sklearn": TreeEnsemble.from_sklearn,
        "onnx": TreeEnsemble.from_onnx,
    }
    return read[library](source, features=features, categories=categories)


def _is_path(model: Any) -> bool:
    # A model text has lines; no name of a file that one would type has.
    return isinstance(model, Path) or (isinstance(model, str) and "\n" not in model)


def _library_of_object(model: Any) -> str:
    if isinstance(model, str):
        return "lightgbm"
    if isinstance(model, bytes):
        return "onnx"
    # Wrappers inherit from scikit-learn's classes too: the most derived class decides.
    for ancestor in type(model).__mro__:
        library = ancestor.__module__.partition(".")[0]
        if library in ("lightgbm", "xgboost", "sklearn", "onnx"):
            return library
    raise SolverError(
        f"A {type(model).__name__} is no model that is read: pass a booster or estimator of "
        "LightGBM, XGBoost or scikit-learn, an onnx.ModelProto, or the path of a model file."
    )


def _library_of_file(path: Path) -> str:
    """The library whose format the first bytes of a file show."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise SolverError(f"{path} cannot be read as a model: {error}.") from error
    # Pickles of protocol 2 and later begin with 0x80 and its number.
    if path.suffix.lower() in _PICKLES or start[:1] == b"\x80":
        raise SolverError(f"{path} is a pickle. {_NO_PICKLE}")
    if start.startswith(b"tree"):
        return "lightgbm"
    if start.lstrip().startswith(b"{"):
        return "xgboost"
    # An ONNX file is a protobuf message that begins with field 1, the version of the format.
    if start[:1] == b"\x08":
        return "onnx"
    raise SolverError(
        f"{path} begins like no model that is read: LightGBM's text, XGBoost's JSON or UBJSON, or "
        f"ONNX. {_NO_PICKLE}"
    )

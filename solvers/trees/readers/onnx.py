"""Reader of ONNX graphs whose one operator is a tree ensemble, with ONNX Runtime's arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.trees import bitsets
from solvers.trees.ensemble import TreeEnsemble
from solvers.trees.features import Categorical, Continuous, Feature
from solvers.trees.readers.onnx_branches import Branches, node_arrays
from solvers.trees.readers.onnx_operators import Attributes, from_regressor, from_tree_ensemble
from solvers.trees.readers.stated import settled_features
from solvers.trees.transforms import IDENTITY, OutputTransform
from vqlso.errors import MissingExtraError, SolverError

_OPERATORS = ("TreeEnsembleRegressor", "TreeEnsemble")
# Operators that pass numbers on as they are.
_BEFORE = ("Identity", "Cast")
_AFTER = ("Identity", "Reshape", "Squeeze", "Flatten")

# Element types of onnx.TensorProto that an ensemble compares.
_FLOAT, _DOUBLE = 1, 11


def read_onnx(
    model: Any,
    *,
    features: Sequence[Feature] | None = None,
    categories: int | Sequence[int] | None = None,
) -> TreeEnsemble:
    """The ensemble of an ONNX model; see `TreeEnsemble.from_onnx`."""
    graph = _loaded(model).graph
    operator = _only_ensemble(graph)
    types = _input_types(graph, operator)
    is_double = types[-1] == _DOUBLE
    attributes = Attributes.of(operator)
    is_regressor = operator.op_type == "TreeEnsembleRegressor"
    parse = from_regressor if is_regressor else from_tree_ensemble
    branches, settings = parse(attributes, np.float64 if is_double else np.float32)
    n_features = _n_features(graph, branches)
    nodes = node_arrays(branches)
    if settings.averaged:
        nodes["value"] = nodes["value"] / len(nodes["roots"])
    mentioned = _mentioned(nodes, n_features)
    known: list[Feature] = [Categorical(int(K)) if K else Continuous() for K in mentioned]
    return TreeEnsemble(
        **nodes,
        base=settings.base,
        n_features=n_features,
        features=settled_features(features, categories, known=known, trained=mentioned),
        # TreeEnsembleRegressor adds double leaves in double and returns float all the same.
        transform=OutputTransform(precision="rounded") if is_double and is_regressor else IDENTITY,
        input_dtype="float32" if _FLOAT in types else "float64",
        sum_dtype="float64" if is_double else "float32",
        category_rounding="exact",
        base_last=True,
        averaged=settings.averaged,
    )


def _loaded(model: Any) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError(
            "Reading an ONNX model needs the package onnx: pip install onnx."
        ) from error
    if isinstance(model, onnx.ModelProto):
        return model
    name = "The ONNX model" if isinstance(model, bytes) else str(model)
    try:
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        loaded = onnx.load_model_from_string(content)
    except (OSError, TypeError) as error:
        raise SolverError(f"{name} cannot be read as an ONNX model: {error}.") from error
    except DecodeError as error:
        raise SolverError(f"{name} is no ONNX model: {error}.") from error
    if not loaded.graph.node:
        raise SolverError(f"{name} is no ONNX model: its graph has no nodes.")
    return loaded


def _only_ensemble(graph: Any) -> Any:
    """The one node that computes.

    Raises:
        SolverError: there is none, or others compute too.
    """
    ensembles = [node for node in graph.node if node.op_type in _OPERATORS]
    others = {node.op_type for node in graph.node} - {*_OPERATORS, *_BEFORE, *_AFTER}
    if others:
        raise SolverError(
            f"The ONNX graph computes with '{sorted(others)[0]}'; only one "
            f"{' or '.join(_OPERATORS)} is read, beside {', '.join(sorted({*_BEFORE, *_AFTER}))}."
        )
    if len(ensembles) != 1 or len(graph.output) != 1:
        raise SolverError(
            f"An ONNX graph of one tree ensemble and one output is read; got {len(ensembles)} "
            f"ensembles and {len(graph.output)} outputs."
        )
    producers = {name: node for node in graph.node for name in node.output}
    node = producers.get(graph.output[0].name)
    while node is not None and node is not ensembles[0]:
        if node.op_type not in _AFTER:
            raise SolverError(f"The ONNX graph's '{node.op_type}' after the trees is not read.")
        node = producers.get(node.input[0]) if node.input else None
    if node is None:
        raise SolverError("The output of the ONNX graph does not come from its tree ensemble.")
    return node


def _input_types(graph: Any, operator: Any) -> list[int]:
    """Element types that a value passes through from the graph's input to the comparisons."""
    producers = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in stored}
    types: list[int] = []
    name = operator.input[0] if operator.input else ""
    while name in producers:
        node = producers.pop(name)
        if node.op_type not in _BEFORE:
            raise SolverError(f"The ONNX graph's '{node.op_type}' before the trees is not read.")
        types += [attribute.i for attribute in node.attribute if attribute.name == "to"]
        name = node.input[0]
    if name not in inputs or len(inputs) != 1:
        raise SolverError(
            "The ONNX ensemble must take the graph's one input, an array of all features; got "
            f"{len(inputs)} inputs."
        )
    types.append(inputs[name].type.tensor_type.elem_type)
    if types[0] not in (_FLOAT, _DOUBLE):
        raise SolverError(
            f"The ONNX ensemble compares elements of type {types[0]}; only float and double are "
            "read. Convert the model with a FloatTensorType input."
        )
    return types[::-1]


def _n_features(graph: Any, branches: Branches) -> int:
    """The stated width of the input, or as many as the trees mention."""
    used = [f for f, mode in zip(branches.feature, branches.mode, strict=True) if mode != "LEAF"]
    for value in graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if len(dimensions) == 2 and dimensions[1].dim_value > 0:
            return int(dimensions[1].dim_value)
    return max(used, default=-1) + 1


def _mentioned(nodes: dict[str, Any], n_features: int) -> NDArray[np.int64]:
    """(n_features,) one more than the highest category that a split of each mentions."""
    mentioned = np.zeros(n_features, dtype=np.int64)
    split = np.flatnonzero(nodes["subset"] >= 0)
    feature = nodes["feature"][split]
    outside = feature[(feature < 0) | (feature >= n_features)]
    if len(outside):
        raise SolverError(
            f"The ONNX ensemble splits feature {outside[0]} of {n_features}: damaged model."
        )
    np.maximum.at(mentioned, feature, bitsets.highest(nodes["subsets"]) + 1)
    return mentioned

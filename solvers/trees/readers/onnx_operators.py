"""The two operators of ai.onnx.ml that hold regression trees, as one list of branches.

TreeEnsembleRegressor (versions 1 and 3) keeps leaves among its nodes; TreeEnsemble (version 5)
keeps them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.trees.readers.onnx_branches import LEAF, Branches
from vqlso.errors import SolverError

# Enumerations of TreeEnsemble, in the order of their numbers.
_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
_TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
_MODES = tuple(f"BRANCH_{test}" for test in ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER"))


class Settings(NamedTuple):
    """What happens to the leaves: base + their sum or mean."""

    base: float
    averaged: bool


@dataclass(frozen=True, eq=False)
class Attributes:
    """The attributes of one operator, by name."""

    values: dict[str, Any]

    @classmethod
    def of(cls, operator: Any) -> Attributes:
        """Read them from an `onnx.NodeProto`."""
        from onnx import AttributeProto, helper, numpy_helper

        values = {}
        for attribute in operator.attribute:
            try:
                value = helper.get_attribute_value(attribute)
                is_tensor = attribute.type == AttributeProto.TENSOR
                values[attribute.name] = numpy_helper.to_array(value) if is_tensor else value
            except (TypeError, ValueError) as error:
                raise _damaged(attribute.name, f"cannot be read ({error})") from error
        return cls(values)

    def text(self, name: str, default: str) -> str:
        return _decoded(name, self.values.get(name, default.encode()))

    def texts(self, name: str, length: int) -> list[str]:
        value = self._required(name)
        if not isinstance(value, Sequence) or isinstance(value, bytes):
            raise _damaged(name, "is no list of texts")
        values = [_decoded(name, each) for each in value]
        self._check_length(name, values, length)
        return values

    def whole(self, name: str, default: int) -> int:
        value = self.values.get(name, default)
        if not isinstance(value, int):
            raise _damaged(name, "is no whole number")
        return value

    def integers(self, name: str, length: int | None = None) -> list[int]:
        values: list[int] = self._numbers(name, self._required(name), "iu").tolist()
        self._check_length(name, values, length)
        return values

    def floats(self, name: str, length: int | None = None) -> NDArray[np.floating]:
        """Floats or doubles, whichever of `name` and `name`_as_tensor there is."""
        tensor = f"{name}_as_tensor"
        chosen = tensor if tensor in self.values else name
        array = self._numbers(chosen, self._required(chosen), "f")
        self._check_length(name, array, length)
        return array

    def has(self, name: str) -> bool:
        return name in self.values or f"{name}_as_tensor" in self.values

    def _required(self, name: str) -> Any:
        if name not in self.values:
            raise SolverError(f"The ONNX ensemble lacks the attribute `{name}`: damaged model.")
        return self.values[name]

    @staticmethod
    def _numbers(name: str, value: Any, kinds: str) -> NDArray[Any]:
        """A row of numbers of NumPy's kinds; ONNX's lists of floats are of single precision."""
        single = kinds == "f" and not isinstance(value, np.ndarray)
        try:
            array = np.asarray(value, dtype=np.float32 if single else None)
        except (TypeError, ValueError, OverflowError) as error:
            raise _damaged(name, f"cannot be read ({error})") from error
        if array.ndim != 1 or (array.size and array.dtype.kind not in kinds):
            raise _damaged(name, f"is no list of {'whole numbers' if kinds == 'iu' else 'floats'}")
        return array

    @staticmethod
    def _check_length(name: str, values: Any, length: int | None) -> None:
        if length is not None and len(values) != length:
            raise SolverError(
                f"`{name}` of the ONNX ensemble has {len(values)} entries instead of {length}: "
                "damaged model."
            )


def _damaged(name: str, how: str) -> SolverError:
    return SolverError(f"`{name}` of the ONNX ensemble {how}: damaged model.")


def _decoded(name: str, value: Any) -> str:
    try:
        return str(value, "utf-8")
    except (TypeError, UnicodeDecodeError) as error:
        raise _damaged(name, "is no text") from error


def from_regressor(attributes: Attributes, dtype: type[np.floating]) -> tuple[Branches, Settings]:
    """The trees of a TreeEnsembleRegressor that compares numbers of `dtype`."""
    tree = attributes.integers("nodes_treeids")
    n = len(tree)
    identity = attributes.integers("nodes_nodeids", n)
    at = {key: index for index, key in enumerate(zip(tree, identity, strict=True))}
    if len(at) != n or not n:
        raise SolverError("The ONNX ensemble has no nodes, or two of one name: damaged model.")
    mode = attributes.texts("nodes_modes", n)

    def children(name: str) -> list[int]:
        named = zip(tree, attributes.integers(name, n), mode, strict=True)
        return [_found(at, (t, c)) if m != LEAF else -1 for t, c, m in named]

    true, false = children("nodes_truenodeids"), children("nodes_falsenodeids")
    branches = Branches(
        mode=mode,
        feature=attributes.integers("nodes_featureids", n),
        split=attributes.floats("nodes_values", n).astype(dtype),
        true=true,
        false=false,
        missing_true=_missing_true(attributes, n),
        weight=_leaf_weights(attributes, at, mode),
        members={},
        roots=_roots(tree, {*true, *false}),
    )
    _refuse_targets(attributes.whole("n_targets", 1), attributes.integers("target_ids"))
    settings = _settings(
        attributes.text("aggregate_function", "SUM"), attributes.text("post_transform", "NONE")
    )
    return branches, settings._replace(base=_base(attributes))


def from_tree_ensemble(
    attributes: Attributes, dtype: type[np.floating]
) -> tuple[Branches, Settings]:
    """The trees of a TreeEnsemble; a leaf becomes one node for each branch that leads to it."""
    feature = attributes.integers("nodes_featureids")
    n = len(feature)
    codes = attributes.integers("nodes_modes", n)
    mode = [_named(_MODES, code, "nodes_modes") for code in codes]
    leaf_weights = attributes.floats("leaf_weights").astype(np.float64)
    weight, leaf_mode = [0.0] * n, list(mode)

    def children(side: str) -> list[int]:
        is_leaf = attributes.integers(f"nodes_{side}leafs", n)
        out = []
        for child, leaf in zip(
            attributes.integers(f"nodes_{side}nodeids", n), is_leaf, strict=True
        ):
            if not 0 <= child < (len(leaf_weights) if leaf else n):
                raise SolverError(f"The ONNX ensemble has no node {child}: damaged model.")
            out.append(len(weight) if leaf else child)
            if leaf:
                weight.append(float(leaf_weights[child]))
                leaf_mode.append(LEAF)
        return out

    true, false = children("true"), children("false")
    n_leaves = len(weight) - n
    split = attributes.floats("nodes_splits", n).astype(dtype)
    roots = attributes.integers("tree_roots")
    if not roots or not all(0 <= root < n for root in roots):
        raise SolverError("`tree_roots` of the ONNX ensemble names no nodes: damaged model.")
    branches = Branches(
        mode=leaf_mode,
        feature=feature + [-1] * n_leaves,
        split=np.concatenate([split, np.zeros(n_leaves, dtype=dtype)]),
        true=true + [-1] * n_leaves,
        false=false + [-1] * n_leaves,
        missing_true=_missing_true(attributes, n) + [False] * n_leaves,
        weight=np.array(weight),
        members=_members(attributes, mode),
        roots=roots,
    )
    _refuse_targets(attributes.whole("n_targets", 1), attributes.integers("leaf_targetids"))
    aggregate = _named(_AGGREGATES, attributes.whole("aggregate_function", 1), "aggregate_function")
    transform = _named(_TRANSFORMS, attributes.whole("post_transform", 0), "post_transform")
    return branches, _settings(aggregate, transform)


def _members(attributes: Attributes, mode: Sequence[str]) -> dict[int, list[float]]:
    """`membership_values` has the sets of the BRANCH_MEMBER nodes in turn, each ended by NaN."""
    nodes = [i for i, name in enumerate(mode) if name == "BRANCH_MEMBER"]
    if not nodes:
        return {}
    sets: list[list[float]] = [[]]
    for value in attributes.floats("membership_values").tolist():
        if isnan(value):
            sets.append([])
        else:
            sets[-1].append(value)
    if len(sets) < len(nodes):
        raise SolverError("`membership_values` of the ONNX ensemble lacks sets: damaged model.")
    return dict(zip(nodes, sets, strict=False))


def _leaf_weights(
    attributes: Attributes, at: dict[tuple[int, int], int], mode: Sequence[str]
) -> NDArray[np.float64]:
    trees = attributes.integers("target_treeids")
    nodes = attributes.integers("target_nodeids", len(trees))
    weight = np.zeros(len(mode))
    leaves = [_found(at, key) for key in zip(trees, nodes, strict=True)]
    if len(set(leaves)) < len(leaves) or any(mode[leaf] != LEAF for leaf in leaves):
        raise SolverError("The ONNX ensemble gives weights to nodes that are no leaves of one.")
    weight[leaves] = attributes.floats("target_weights", len(trees))
    return weight


def _missing_true(attributes: Attributes, n: int) -> list[bool]:
    if not attributes.has("nodes_missing_value_tracks_true"):
        return [False] * n
    return [flag != 0 for flag in attributes.integers("nodes_missing_value_tracks_true", n)]


def _roots(tree: Sequence[int], children: set[int]) -> list[int]:
    """The one node of each tree that is no child, in the order in which trees first appear."""
    of_tree: dict[int, list[int]] = {number: [] for number in tree}
    for index, number in enumerate(tree):
        if index not in children:
            of_tree[number].append(index)
    for number, roots in of_tree.items():
        if len(roots) != 1:
            raise SolverError(f"Tree {number} of the ONNX ensemble has {len(roots)} roots.")
    return [roots[0] for roots in of_tree.values()]


def _refuse_targets(n_targets: int, targets: Sequence[int]) -> None:
    if n_targets != 1 or any(targets):
        raise SolverError(
            f"An ONNX ensemble of {n_targets} targets has no single prediction to maximise; "
            "convert one model per output."
        )


def _settings(aggregate: str, transform: str) -> Settings:
    if aggregate not in ("SUM", "AVERAGE"):
        raise SolverError(f"An ONNX ensemble that takes the {aggregate} of its trees is not read.")
    # ONNX Runtime does not apply LOGISTIC to a single target, against the operator's text.
    if transform != "NONE":
        raise SolverError(f"The post_transform {transform} of an ONNX ensemble is not read.")
    return Settings(0.0, aggregate == "AVERAGE")


def _base(attributes: Attributes) -> float:
    return float(attributes.floats("base_values", 1)[0]) if attributes.has("base_values") else 0.0


def _found(at: dict[tuple[int, int], int], key: tuple[int, int]) -> int:
    if key not in at:
        raise SolverError(
            f"Tree {key[0]} of the ONNX ensemble has no node {key[1]}: damaged model."
        )
    return at[key]


def _named(names: Sequence[str], code: int, attribute: str) -> str:
    if not 0 <= code < len(names):
        raise SolverError(f"`{attribute}` of the ONNX ensemble holds {code}: damaged model.")
    return names[code]

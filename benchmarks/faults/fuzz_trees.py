"""Files of tree ensembles that went wrong: each library's own damage, and their readers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx  # what begins like its files is given to it: known, if it loads late
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.faults.fuzz_inputs import damaged, objects, written
from solvers.surrogates import LightGBM
from solvers.trees import TreeEnsemble
from solvers.trees.instance import Instance
from solvers.trees.readers import read_model
from solvers.trees.storage import save as save_instance
from vqlso.randomness import stream

WORDS = (b"-1", b"nan", b" ", b"\n", b"=", b"1e999", b"2147483648", b"99999999999999999999")
# What an attribute of an ONNX operator is instead: of each type that there is.
ATTRIBUTES = st.one_of(
    st.sampled_from([0, -1, 2**62, 0.5, b"", b"\xff", "MIN", [b"\xff"], ["BRANCH_EQ"]]),
    st.lists(st.integers(-1, 9), min_size=1, max_size=9),
    st.lists(st.floats(width=32), min_size=1, max_size=9),
    st.sampled_from([np.zeros(3), np.zeros((2, 2), np.float32), np.array(7)]),
)


def read_trees(path: Path) -> object:
    """A model of any library, and its predictions."""
    ensemble = read_model(path)
    return ensemble.predict(np.zeros((2, ensemble.n_features)))


def models() -> st.SearchStrategy[bytes]:
    """LightGBM's texts."""
    return damaged([written(_lightgbm().save)], WORDS)


def instances() -> st.SearchStrategy[bytes]:
    """Stored instances of the tree optimiser."""
    ensemble: TreeEnsemble = _lightgbm().ensemble()
    instance = Instance.checked(ensemble, (0, 2), np.zeros(3, dtype=np.int64))
    with TemporaryDirectory() as folder:
        return damaged([save_instance(instance, Path(folder)).read_bytes()])


def boosters() -> st.SearchStrategy[bytes]:
    """XGBoost's models in both of its formats, damaged as bytes and as JSON values."""
    seeds = _xgboost()
    texts = [seed for seed in seeds if seed.startswith(b'{"')]
    changed = st.sampled_from([json.loads(text) for text in texts]).flatmap(objects)
    as_json = changed.map(lambda model: json.dumps(model).encode())
    return st.one_of(as_json, as_json, damaged(seeds, WORDS))


def graphs() -> st.SearchStrategy[bytes]:
    """ONNX graphs of both operators, damaged as bytes and attribute by attribute."""
    seeds = _graphs()
    values = st.one_of(st.integers(-1, 9), st.floats(width=32), ATTRIBUTES)
    change = st.tuples(st.integers(0, 99), st.integers(0, 99), values)
    changed = st.builds(_changed, st.sampled_from(seeds), st.lists(change, min_size=1, max_size=2))
    return st.one_of(changed, changed, damaged(seeds))


def _data() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    codes = stream(0, "fuzzed trees").integers(0, 4, (60, 3))
    return codes, codes @ np.array([1.0, -2.0, 0.5])


@cache
def _lightgbm() -> LightGBM:
    surrogate = LightGBM(4, trees=8, min_samples_leaf=3)
    surrogate.fit(*_data())
    return surrogate


@cache
def _xgboost() -> tuple[bytes, ...]:
    """Trees of numbers, of categories, and with dropped ones, in both formats."""
    import xgboost

    codes, scores = _data()
    made = []
    for booster, kind in (("gbtree", "q"), ("gbtree", "c"), ("dart", "q")):
        table = xgboost.DMatrix(codes, scores, feature_types=[kind] * 3, enable_categorical=True)
        settings = {"max_depth": 3, "booster": booster, "nthread": 1}
        model = xgboost.train(settings, table, num_boost_round=3)
        made += [bytes(model.save_raw(form)) for form in ("json", "ubj")]
    return tuple(made)


@cache
def _graphs() -> tuple[bytes, ...]:
    """A tree of three leaves in each of ONNX's operators."""
    leaf, split = "LEAF", "BRANCH_LEQ"
    regressor = {
        "nodes_treeids": [0] * 5,
        "nodes_nodeids": [*range(5)],
        "nodes_featureids": [0, 0, 1, 0, 0],
        "nodes_modes": [split, leaf, "BRANCH_EQ", leaf, leaf],
        "nodes_values": [0.5, 0.0, 2.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 3, 0, 0],
        "nodes_falsenodeids": [2, 0, 4, 0, 0],
        "nodes_missing_value_tracks_true": [1, 0, 0, 0, 0],
        **{"target_treeids": [0] * 3, "target_nodeids": [1, 3, 4], "target_ids": [0] * 3},
        **{"target_weights": [1.0, 2.0, 3.0], "n_targets": 1, "base_values": [0.5]},
        **{"aggregate_function": "SUM", "post_transform": "NONE"},
    }
    ensemble = {
        "tree_roots": [0],
        "nodes_featureids": [0, 1],
        "nodes_modes": np.array([0, 6], np.uint8),
        "nodes_splits": np.array([0.5, 0.0], np.float32),
        **{"nodes_trueleafs": [1, 1], "nodes_truenodeids": [0, 1]},
        **{"nodes_falseleafs": [0, 1], "nodes_falsenodeids": [1, 2]},
        "nodes_missing_value_tracks_true": [1, 0],
        "membership_values": np.array([1.0, 3.0, np.nan], np.float32),
        **{"leaf_targetids": [0] * 3, "leaf_weights": np.array([1.0, 2.0, 3.0], np.float32)},
        **{"n_targets": 1, "aggregate_function": 1, "post_transform": 0},
    }
    return (
        _graph("TreeEnsembleRegressor", 3, regressor),
        _graph("TreeEnsemble", 5, ensemble),
    )


def _graph(operator: str, version: int, attributes: dict[str, Any]) -> bytes:
    node = helper.make_node(operator, ["X"], ["Y"], domain="ai.onnx.ml")
    node.attribute.extend(_attribute(name, value) for name, value in attributes.items())
    taken = helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, [None, 3])
    given = helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, [None, 1])
    opsets = [helper.make_opsetid("ai.onnx.ml", version), helper.make_opsetid("", 17)]
    made = helper.make_graph([node], "trees", [taken], [given])
    content: bytes = helper.make_model(made, opset_imports=opsets).SerializeToString()
    return content


def _attribute(name: str, value: Any) -> onnx.AttributeProto:
    is_array = isinstance(value, np.ndarray)
    return helper.make_attribute(name, numpy_helper.from_array(value) if is_array else value)


def _changed(content: bytes, changes: Sequence[tuple[int, int, Any]]) -> bytes:
    """An attribute is another, or one of its numbers is; the numbers of both count in a circle."""
    model = onnx.load_model_from_string(content)
    attributes = model.graph.node[0].attribute
    for which, place, value in changes:
        attribute = attributes[which % len(attributes)]
        if place % 3 and isinstance(value, int) and attribute.ints:
            attribute.ints[place % len(attribute.ints)] = value
        elif place % 3 and isinstance(value, float) and attribute.floats:
            attribute.floats[place % len(attribute.floats)] = value
        else:
            attribute.CopyFrom(_attribute(attribute.name, value))
    changed: bytes = model.SerializeToString()
    return changed

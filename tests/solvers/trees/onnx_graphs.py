"""Random ONNX graphs of one tree ensemble, in both of its operators, and their runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

TESTS = [f"BRANCH_{test}" for test in ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")]
CELLS = 4


def run(model, z):
    """(n,) what ONNX Runtime predicts for rows `z`, in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    taken = session.get_inputs()[0]
    dtype = {"float": np.float32, "double": np.float64, "int64": np.int64}[taken.type[7:-1]]
    return session.run(None, {taken.name: np.asarray(z).astype(dtype)})[0].ravel()


def graph(operator, element, version, *, output=None, cells=CELLS, after=(), **attributes):
    """A model of one operator, with nodes of the types `after` behind it."""
    names = ["X", *[f"Y{i}" for i in range(len(after) + 1)]]
    nodes = [helper.make_node(operator, ["X"], ["Y0"], domain="ai.onnx.ml", **attributes)]
    nodes += [
        helper.make_node(kind, [names[i + 1]], [names[i + 2]]) for i, kind in enumerate(after)
    ]
    taken = helper.make_tensor_value_info("X", element, [None, cells])
    given = helper.make_tensor_value_info(names[-1], output or element, [None, 1])
    opsets = [helper.make_opsetid("ai.onnx.ml", version), helper.make_opsetid("", 17)]
    made = helper.make_graph(nodes, "trees", [taken], [given])
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def _split_value(rng, test):
    whole = test in ("BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER") or rng.random() < 0.4
    return float(rng.integers(6)) if whole else float(3 * rng.normal())


def regressor(
    seed, *, trees=6, depth=3, tests=TESTS[:6], double=False, missing=True, after=(), **settings
):
    """A TreeEnsembleRegressor; `settings` are further attributes."""
    rng = np.random.default_rng(seed)
    rows: list[dict] = []
    targets: list[tuple[int, int, float]] = []

    def grow(tree, level, count):
        row = {"treeids": tree, "nodeids": count[0], "featureids": int(rng.integers(CELLS))}
        count[0] += 1
        rows.append(row)
        if level == depth or rng.random() < 0.1:
            row |= {"modes": "LEAF", "values": 0.0, "truenodeids": 0, "falsenodeids": 0}
            row["missing_value_tracks_true"] = 0
            targets.append((tree, row["nodeids"], float(rng.normal())))
        else:
            row["modes"] = str(rng.choice(tests))
            row["values"] = _split_value(rng, row["modes"])
            row["missing_value_tracks_true"] = int(rng.random() < 0.5)
            row["truenodeids"] = grow(tree, level + 1, count)
            row["falsenodeids"] = grow(tree, level + 1, count)
        return row["nodeids"]

    for tree in range(trees):
        grow(tree, 0, [0])
    attributes = {f"nodes_{key}": [row[key] for row in rows] for key in rows[0]}
    if not missing:
        del attributes["nodes_missing_value_tracks_true"]
    of, nodes, weights = (list(column) for column in zip(*targets, strict=True))
    attributes |= {"target_treeids": of, "target_nodeids": nodes, "target_weights": weights}
    attributes |= {"target_ids": [0] * len(of), "n_targets": 1} | settings
    if double:
        for name in ("nodes_values", "target_weights", "base_values"):
            if name in attributes:
                tensor = numpy_helper.from_array(np.array(attributes.pop(name)), name)
                attributes[f"{name}_as_tensor"] = tensor
    element = TensorProto.DOUBLE if double else TensorProto.FLOAT
    return graph(
        "TreeEnsembleRegressor", element, 3, output=TensorProto.FLOAT, after=after, **attributes
    )


def tree_ensemble(seed, *, trees=6, depth=3, tests=TESTS, double=False, codes=30, **settings):
    """A TreeEnsemble, whose last tree is a single leaf."""
    rng = np.random.default_rng(seed)
    rows: list[dict] = []
    weights: list[float] = []
    members: list[float] = []

    def leaf():
        weights.append(float(rng.normal()))
        return len(weights) - 1

    def grow(level):
        test = str(rng.choice(tests))
        row = {"featureids": int(rng.integers(CELLS)), "modes": TESTS.index(test)}
        row |= {"splits": _split_value(rng, test), "missing": int(rng.random() < 0.5)}
        rows.append(row)
        if test == "BRANCH_MEMBER":
            size = int(rng.integers(1, 9))
            members.extend([*rng.choice(codes, size, replace=False).astype(float), np.nan])
        index = len(rows) - 1
        for side in ("true", "false"):
            is_leaf = level + 1 == depth or rng.random() < 0.15
            row[f"{side}leafs"] = int(is_leaf)
            row[f"{side}nodeids"] = leaf() if is_leaf else grow(level + 1)
        return index

    roots = [grow(0) for _ in range(trees)]
    roots.append(len(rows))
    only = {"featureids": 0, "modes": 0, "splits": 0.0, "missing": 0, "trueleafs": 1}
    rows.append(only | {"falseleafs": 1, "truenodeids": leaf(), "falsenodeids": len(weights) - 1})

    dtype = np.float64 if double else np.float32
    attributes = {
        f"nodes_{key}": [row[key] for row in rows]
        for key in ("featureids", "trueleafs", "truenodeids", "falseleafs", "falsenodeids")
    }
    attributes |= {
        "tree_roots": roots,
        "nodes_missing_value_tracks_true": [row["missing"] for row in rows],
        "nodes_modes": numpy_helper.from_array(np.array([r["modes"] for r in rows], np.uint8)),
        "nodes_splits": numpy_helper.from_array(np.array([r["splits"] for r in rows], dtype)),
        "leaf_targetids": [0] * len(weights),
        "leaf_weights": numpy_helper.from_array(np.array(weights, dtype)),
        "n_targets": 1,
    }
    if members:
        attributes["membership_values"] = numpy_helper.from_array(np.array(members, dtype))
    element = TensorProto.DOUBLE if double else TensorProto.FLOAT
    return graph("TreeEnsemble", element, 5, **(attributes | settings))

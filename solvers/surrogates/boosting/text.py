"""A forest as LightGBM writes it (src/io/tree.cpp and gbdt_model_text.cpp of its sources)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from solvers.surrogates.boosting.forest import Forest, Numbering, numbered

# `decision_type` of a split by categories.
_CATEGORICAL = 1


def lightgbm_text(forest: Forest, *, cells: int, categories: int, learning_rate: float) -> str:
    """The model as text that `lightgbm.Booster` reads.

    LightGBM's text has no base: the leaves of the last tree carry the offset, and are rounded
    once more than in `predict`.
    """
    value = forest.value.copy()
    value[-1] += forest.offset
    carrying = forest._replace(value=value)
    numbers = numbered(carrying)
    trees = [
        f"Tree={tree}\n{_tree(carrying, numbers, tree, learning_rate)}\n\n"
        for tree in range(len(value))
    ]
    known = ":".join(map(str, range(categories)))
    header = {
        "version": "v4",
        "num_class": "1",
        "num_tree_per_iteration": "1",
        "label_index": "0",
        "max_feature_idx": str(cells - 1),
        "objective": "regression",
        "feature_names": " ".join(f"Column_{cell}" for cell in range(cells)),
        "feature_infos": " ".join([known] * cells),
        "tree_sizes": _joined([len(tree) for tree in trees]),
    }
    return f"tree\n{_lines(header)}\n{''.join(trees)}end of trees\n\npandas_categorical:null\n"


def _tree(forest: Forest, numbers: Numbering, tree: int, learning_rate: float) -> str:
    is_leaf = numbers.leaf[tree] >= 0
    leaves = np.flatnonzero(is_leaf)[np.argsort(numbers.leaf[tree][is_leaf])]
    is_split = numbers.split[tree] >= 0
    splits = np.flatnonzero(is_split)[np.argsort(numbers.split[tree][is_split])]
    lines = {"num_leaves": str(len(leaves)), "num_cat": str(len(splits))}
    if len(splits):
        words = [_words(forest.sets[tree, node]) for node in splits]
        children = [_children(numbers, tree, int(node)) for node in splits]
        lines |= {
            "split_feature": _joined(forest.cell[tree, splits].tolist()),
            "split_gain": _joined(forest.gain[tree, splits].tolist()),
            "threshold": _joined(range(len(splits))),
            "decision_type": _joined([_CATEGORICAL] * len(splits)),
            "left_child": _joined([left for left, _ in children]),
            "right_child": _joined([right for _, right in children]),
            "cat_boundaries": _joined(np.cumsum([0, *map(len, words)]).tolist()),
            "cat_threshold": _joined([word for each in words for word in each]),
        }
    lines |= {
        "leaf_value": _joined(forest.value[tree, leaves].tolist()),
        "leaf_count": _joined(forest.rows[tree, leaves].tolist()),
        "is_linear": "0",
        "shrinkage": repr(learning_rate),
    }
    return _lines(lines)


def _children(numbers: Numbering, tree: int, node: int) -> tuple[int, int]:
    """Numbers of what is below a split: a split as it is, a leaf as its complement."""
    split, leaf = numbers.split[tree].tolist(), numbers.leaf[tree].tolist()
    if node > 0:
        return ~leaf[2 * node - 2], ~leaf[2 * node - 1]
    below = [split[1 + side] if split[1 + side] >= 0 else ~leaf[2 * side] for side in range(2)]
    return below[0], below[1]


def _words(bits: NDArray[np.uint64]) -> list[int]:
    """A set as LightGBM's 32-bit words, up to the last that is not 0."""
    halves = [int(word) >> shift & 0xFFFFFFFF for word in bits for shift in (0, 32)]
    last = max(place for place, half in enumerate(halves) if half)
    return halves[: last + 1]


def _joined(numbers: Sequence[float]) -> str:
    return " ".join(map(repr, numbers))


def _lines(entries: dict[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in entries.items())

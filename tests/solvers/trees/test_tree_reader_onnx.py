import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx_graphs import CELLS, TESTS, regressor, run, tree_ensemble  # noqa: E402

from solvers.trees import TreeEnsemble  # noqa: E402
from solvers.trees.features import Categorical, Continuous  # noqa: E402
from vqlso.errors import MissingExtraError, SolverError  # noqa: E402


def probes(ensemble, seed=0):
    """Numbers, codes, missing values, and numbers at and around the thresholds."""
    rng = np.random.default_rng(seed)
    thresholds = ensemble.threshold[(ensemble.feature >= 0) & (ensemble.subset < 0)]
    at = rng.choice(np.append(thresholds, 0.0), (200, CELLS))
    single = at.astype(np.float32)
    odd = [np.nan, 0, 1, 2, -0.5, 0.5, 1.5, 33, 64, 70, 1e9, -1e9]
    blocks = [3 * rng.normal(size=(200, CELLS)), rng.integers(-2, 72, (300, CELLS)), at]
    blocks += [rng.choice(odd, (300, CELLS)), rng.integers(-2, 9, (300, CELLS))]
    for above in (np.inf, -np.inf):
        blocks += [np.nextafter(at, above), np.nextafter(single, np.float32(above))]
    return np.concatenate(blocks)


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"missing": False},
        {"depth": 0},
        {"depth": 1},
        {"trees": 100, "depth": 5},
        {"aggregate_function": "AVERAGE", "trees": 7},
        {"aggregate_function": "AVERAGE", "trees": 7, "base_values": [0.3]},
        {"base_values": [0.3]},
        {"after": ["Identity"]},
        *[{"tests": [test]} for test in TESTS[:6]],
    ],
    ids=str,
)
def test_regressors_predict_what_the_runtime_predicts(parameters, double):
    for seed in range(3):
        model = regressor(seed, double=double, **parameters)
        ensemble = TreeEnsemble.from_onnx(model)
        z = probes(ensemble, seed)
        assert (ensemble.predict(z) == run(model, z)).all()


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"depth": 1}, {"aggregate_function": 0}, *[{"tests": [test]} for test in TESTS]],
    ids=str,
)
def test_tree_ensembles_predict_what_the_runtime_predicts(parameters, double):
    for seed in range(3):
        model = tree_ensemble(seed, double=double, **parameters)
        ensemble = TreeEnsemble.from_onnx(model)
        z = probes(ensemble, seed)
        np.testing.assert_allclose(ensemble.predict(z), run(model, z), rtol=1e-9, atol=1e-12)


def test_wide_sets_at_whole_numbers():
    """ONNX Runtime truncates fractions that it looks up in wide sets, against the operator."""
    model = tree_ensemble(0, tests=["BRANCH_MEMBER"], codes=200)
    ensemble = TreeEnsemble.from_onnx(model)
    z = np.random.default_rng(0).integers(0, 210, (500, CELLS))
    np.testing.assert_allclose(ensemble.predict(z), run(model, z), rtol=1e-9)
    assert max(feature.categories for feature in ensemble.features) > 100


@pytest.mark.parametrize(
    "name",
    [
        "RandomForestRegressor",
        "ExtraTreesRegressor",
        "GradientBoostingRegressor",
        "HistGradientBoostingRegressor",
    ],
)
@pytest.mark.parametrize("kind", ["FloatTensorType", "Int64TensorType"])
def test_conversions_of_scikit_learn(name, kind):
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common import data_types
    from sklearn import ensemble as forests

    z = np.random.default_rng(0).normal(size=(300, CELLS)) * 9
    few = {"max_iter": 10} if "Hist" in name else {"n_estimators": 10}
    model = getattr(forests, name)(random_state=0, **few).fit(z, z[:, 0] + abs(z[:, 1]))
    taken = getattr(data_types, kind)([None, CELLS])
    converted = skl2onnx.to_onnx(model, initial_types=[("X", taken)])
    ensemble = TreeEnsemble.from_onnx(converted)
    z = probes(ensemble)
    z = np.trunc(np.nan_to_num(z)) if "Int" in kind else z
    assert (ensemble.predict(z) == run(converted, z)).all()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_conversions_of_boosters(library, missing):
    onnxmltools = pytest.importorskip("onnxmltools")
    pytest.importorskip(library)
    from onnxmltools.convert.common.data_types import FloatTensorType

    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, CELLS)).astype(np.float32)
    z[:, 0] = rng.integers(0, 50, 300)
    y = z[:, 0] % 3 + z[:, 1]
    if missing:
        z[rng.random(z.shape) < 0.1] = np.nan
    taken = [("X", FloatTensorType([None, CELLS]))]
    if library == "xgboost":
        from xgboost import XGBRegressor

        model = XGBRegressor(n_estimators=10, n_jobs=1).fit(z, y)
        converted = onnxmltools.convert_xgboost(model, initial_types=taken)
    else:
        from lightgbm import LGBMRegressor

        few = {"min_data_per_group": 5, "min_child_samples": 3, "cat_smooth": 1}
        model = LGBMRegressor(n_estimators=10, n_jobs=1, verbose=-1, **few)
        model.fit(z, y, categorical_feature=[0])
        converted = onnxmltools.convert_lightgbm(model, initial_types=taken)
    ensemble = TreeEnsemble.from_onnx(converted)
    assert isinstance(ensemble.features[0], Categorical) == (library == "lightgbm")
    z = np.concatenate([z, probes(ensemble)])
    assert (ensemble.predict(z) == run(converted, z)).all()


def test_files_and_bytes(tmp_path):
    model = regressor(0)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    expected = TreeEnsemble.from_onnx(model)
    z = probes(expected)
    for source in (path, str(path), path.read_bytes()):
        assert (TreeEnsemble.from_onnx(source).predict(z) == expected.predict(z)).all()


def test_features():
    model = regressor(0, tests=["BRANCH_LEQ"])
    assert TreeEnsemble.from_onnx(model).features == (Continuous(),) * CELLS
    codes = tree_ensemble(0, tests=["BRANCH_MEMBER"])
    with pytest.raises(SolverError, match="by sets"):
        TreeEnsemble.from_onnx(codes, features=[Continuous()] * CELLS)
    with pytest.raises(SolverError, match="state at least"):
        TreeEnsemble.from_onnx(codes, categories=2)
    assert TreeEnsemble.from_onnx(codes, categories=30).categories == (30,) * CELLS


def changed(name, value, model=None):
    """A model with one attribute replaced, or removed where value is None."""
    model = model or regressor(0)
    node = model.graph.node[0]
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    if value is not None:
        node.attribute.append(onnx.helper.make_attribute(name, value))
    return model


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("n_targets", 2, "2 targets"),
        ("post_transform", "LOGISTIC", "LOGISTIC"),
        ("post_transform", "SOFTMAX", "SOFTMAX"),
        ("aggregate_function", "MAX", "MAX"),
        ("nodes_modes", ["BRANCH_LEQ"], "nodes_modes"),
        ("nodes_treeids", None, "nodes_treeids"),
        ("nodes_values", [1.0], "nodes_values"),
        ("target_weights", [1.0], "target_weights"),
        ("target_weights", None, "target_weights"),
        ("target_nodeids", None, "target_nodeids"),
    ],
)
def test_what_is_wrong_with_an_operator_is_named(name, value, named):
    with pytest.raises(SolverError, match=named):
        TreeEnsemble.from_onnx(changed(name, value))


def edited(name, index, value):
    """A model with one entry of a list attribute replaced."""
    model = regressor(0, tests=["BRANCH_LEQ", "BRANCH_EQ"])
    (attribute,) = (a for a in model.graph.node[0].attribute if a.name == name)
    entries = onnx.helper.get_attribute_value(attribute)
    return changed(name, [*entries[:index], value, *entries[index + 1 :]], model)


@pytest.mark.parametrize(
    ("name", "index", "value", "named"),
    [
        ("nodes_truenodeids", 0, 9999, "Tree 0 .* no node 9999"),
        ("nodes_truenodeids", 0, 0, "no root"),
        ("nodes_truenodeids", 0, 2, "roots"),
        ("nodes_nodeids", 0, 1, "two of one name"),
        ("nodes_featureids", 0, 77, "77"),
        ("nodes_featureids", 0, -1, "splits (no feature|feature -1)"),
        ("nodes_modes", 0, "BRANCH_XOR", "BRANCH_XOR"),
        ("nodes_modes", 0, "BRANCH_MEMBER", "BRANCH_MEMBER"),
        ("target_weights", 0, float("nan"), "leaf of tree 0 is nan"),
        ("target_weights", 0, float("inf"), "leaf of tree 0 is inf"),
        ("target_nodeids", 0, 9999, "no node 9999"),
        ("target_nodeids", 0, 0, "no leaves"),
        ("target_ids", 0, 1, "targets"),
    ],
)
def test_damaged_entries_are_named(name, index, value, named):
    with pytest.raises(SolverError, match=named):
        TreeEnsemble.from_onnx(edited(name, index, value))


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("nodes_modes", 0.5, "no list of texts"),
        ("nodes_modes", [b"\xff"], "no text"),
        ("nodes_truenodeids", b"x", "no list of whole numbers"),
        ("nodes_truenodeids", [0.5], "no list of whole numbers"),
        ("nodes_values", ["x"], "cannot be read"),
        ("nodes_values", 1.0, "no list of floats"),
        ("n_targets", [1], "no whole number"),
        ("aggregate_function", 1, "no text"),
    ],
)
def test_attributes_of_another_type_are_named(name, value, named):
    with pytest.raises(SolverError, match=f"`{name}` of the ONNX ensemble .*{named}"):
        TreeEnsemble.from_onnx(changed(name, value))


def test_equality_with_a_number_that_is_no_code_is_refused():
    for value in (0.5, -1.0, 1e9):
        model = regressor(0, tests=["BRANCH_EQ"], trees=1)
        (values,) = (a for a in model.graph.node[0].attribute if a.name == "nodes_values")
        values.floats[0] = value
        with pytest.raises(SolverError, match="equality"):
            TreeEnsemble.from_onnx(model)


@pytest.mark.parametrize("operator", ["Exp", "Sigmoid", "Mul"])
def test_graphs_that_compute_more_are_refused_by_name(operator):
    with pytest.raises(SolverError, match=f"computes with '{operator}'"):
        TreeEnsemble.from_onnx(regressor(0, after=[operator]))


def test_two_ensembles_are_refused():
    model = regressor(0)
    model.graph.node.append(model.graph.node[0])
    with pytest.raises(SolverError, match="2 ensembles"):
        TreeEnsemble.from_onnx(model)


def test_classifiers_are_refused_by_name():
    model = regressor(0)
    model.graph.node[0].op_type = "TreeEnsembleClassifier"
    with pytest.raises(SolverError, match="TreeEnsembleClassifier"):
        TreeEnsemble.from_onnx(model)


def test_inputs_of_other_types_are_refused():
    model = regressor(0)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    with pytest.raises(SolverError, match="only float and double"):
        TreeEnsemble.from_onnx(model)


@pytest.mark.parametrize("content", [b"", b"\x08garbage", b"\xff" * 50])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(SolverError, match="is no ONNX model"):
        TreeEnsemble.from_onnx(path)
    with pytest.raises(SolverError, match="cannot be read"):
        TreeEnsemble.from_onnx(tmp_path / "absent.onnx")
    with pytest.raises(SolverError, match="cannot be read"):
        TreeEnsemble.from_onnx(3)


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="pip install onnx"):
        TreeEnsemble.from_onnx(b"")

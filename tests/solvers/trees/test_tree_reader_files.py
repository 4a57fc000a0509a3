"""`TreeEnsemble.from_model`: what a model or a file is, is recognised; pickles are not read."""

import pickle
import subprocess
import sys

import lightgbm
import numpy as np
import pytest

from solvers.trees import TreeEnsemble
from solvers.trees.features import Continuous
from vqlso.errors import SolverError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(200, 3))
Y = Z[:, 0] + abs(Z[:, 1])


def booster():
    parameters = {"num_threads": 1, "verbosity": -1}
    return lightgbm.train(parameters, lightgbm.Dataset(Z, Y), 5)


def test_lightgbm_by_object_text_and_file(tmp_path):
    model = booster()
    path = tmp_path / "model.txt"
    model.save_model(path)
    estimator = lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1).fit(Z, Y)
    for source in (model, model.model_to_string(), path, str(path), estimator):
        ensemble = TreeEnsemble.from_model(source, features=[Continuous()] * 3)
        assert (ensemble.predict(Z) == model.predict(Z)).all()
        assert ensemble.features == (Continuous(),) * 3


@pytest.mark.parametrize("suffix", ["json", "ubj", "model"])
def test_xgboost_by_object_and_file(tmp_path, suffix):
    xgboost = pytest.importorskip("xgboost")
    estimator = xgboost.XGBRegressor(n_estimators=5, n_jobs=1).fit(Z, Y)
    path = tmp_path / f"model.{suffix}"
    estimator.get_booster().save_model(path)
    for source in (estimator, estimator.get_booster(), path, str(path)):
        assert (TreeEnsemble.from_model(source).predict(Z) == estimator.predict(Z)).all()


def test_sklearn_by_object_and_onnx_by_object_bytes_and_file(tmp_path):
    skl2onnx = pytest.importorskip("skl2onnx")
    ensemble = pytest.importorskip("sklearn.ensemble")
    model = ensemble.GradientBoostingRegressor(n_estimators=5).fit(Z, Y)
    single = Z.astype(np.float32)
    converted = skl2onnx.to_onnx(model, single)
    path = tmp_path / "model.onnx"
    path.write_bytes(converted.SerializeToString())
    assert (TreeEnsemble.from_model(model).predict(Z) == model.predict(Z)).all()
    for source in (converted, path.read_bytes(), path, str(path)):
        predicted = TreeEnsemble.from_model(source).predict(single)
        np.testing.assert_allclose(predicted, model.predict(single), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.txt", "model"])
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickles_are_refused_and_not_read(tmp_path, name, protocol):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(_Trap(), protocol=protocol))
    with pytest.raises(SolverError, match="is a pickle"):
        TreeEnsemble.from_model(path)


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"hello", b"cos\nsystem"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(SolverError, match="begins like no model"):
        TreeEnsemble.from_model(path)


def test_absent_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "absent.txt", tmp_path, "absent.json"):
        with pytest.raises(SolverError, match="cannot be read"):
            TreeEnsemble.from_model(path)


@pytest.mark.parametrize("model", [3, None, object(), [1, 2]])
def test_other_objects_are_refused(model):
    with pytest.raises(SolverError, match="no model that is read"):
        TreeEnsemble.from_model(model)


def test_a_text_in_a_binary_encoding_is_refused(tmp_path):
    path = tmp_path / "model.txt"
    path.write_bytes(b"tree\n\xff\xfe\xff")
    with pytest.raises(SolverError, match="cannot be read as a LightGBM model"):
        TreeEnsemble.from_model(path)


def test_no_library_is_imported_before_it_is_asked_for():
    code = (
        "import sys, solvers.trees.readers, solvers.trees.ensemble;"
        "import solvers.trees.readers.lightgbm, solvers.trees.readers.xgboost;"
        "import solvers.trees.readers.sklearn, solvers.trees.readers.onnx;"
        "names = {'lightgbm', 'xgboost', 'sklearn', 'onnx', 'onnxruntime'};"
        "print(*(names & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")

"""`vqlso trees` on files: the library's answers, and one paragraph for whatever is wrong."""

import json
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from tiny_runs import said, vqlso

from pipeline.commands.trees_files import free_features, read_demands, read_features, read_point
from solvers.trees import (
    Categorical,
    Continuous,
    DistanceTerm,
    Equal,
    Forbidden,
    HammingBall,
    Integer,
    Linear,
    LinearTerm,
    PairTerm,
    TreeEnsemble,
    maximize,
    minimize,
)
from solvers.trees.backends import BACKENDS
from vqlso.errors import ConfigError, DataError

K, CELLS = 5, 4
KEYS = {
    "z",
    "value",
    "prediction",
    "bound",
    "gap",
    "status",
    "seconds",
    "nodes",
    "backend",
    "note",
    "solutions",
}


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, K, size=(300, CELLS))


@pytest.fixture(scope="module")
def booster(codes) -> lightgbm.Booster:
    y = (codes[:, 0] == codes[:, 1]) + 0.2 * codes[:, 2] - 0.1 * codes[:, 3]
    data = lightgbm.Dataset(codes, y, categorical_feature=list(range(CELLS)))
    return lightgbm.train({"max_depth": 2, "verbosity": -1, "num_threads": 1}, data, 20)


@pytest.fixture
def files(tmp_path, codes, booster) -> Path:
    """A folder with a model and the codes that it was trained on."""
    booster.save_model(tmp_path / "model.txt")
    np.save(tmp_path / "codes.npy", codes)
    np.save(tmp_path / "z.npy", codes[7])
    return tmp_path


@pytest.fixture
def ensemble(booster) -> TreeEnsemble:
    return TreeEnsemble.from_lightgbm(booster, categories=K)


@pytest.fixture
def ask(files):
    """The command on the folder's files; options come last."""

    def ask(*options: str | Path, direction: str = "maximize", free: str = "0-2"):
        files_given = (files / "model.txt", "--reference", files / "codes.npy", "--row", "7")
        fixed = ("--categories", str(K), "--backend", "highs", "--free", free)
        return vqlso("trees", direction, *files_given, *fixed, *options)

    return ask


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_tells_what_the_library_says(ask, ensemble, codes) -> None:
    result = ask("--k", "3", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    expected = maximize(ensemble, free=[0, 1, 2], reference=codes[7], backend="highs", k=3)
    assert told.keys() == KEYS
    assert told["value"] == told["prediction"] == expected.value
    assert told["bound"] == expected.bound
    assert told["gap"] == pytest.approx(0, abs=1e-9)
    assert (told["status"], told["backend"], told["note"]) == ("optimal", "highs", "")
    assert [each["value"] for each in told["solutions"]] == [s.value for s in expected.solutions]
    for each in told["solutions"]:
        assert ensemble.predict([each["z"]])[0] == each["value"]
        assert each["z"][3] == codes[7, 3]
        assert all(isinstance(code, int) for code in each["z"])


def test_minimize_finds_the_lowest(ask, ensemble, codes) -> None:
    told = json.loads(ask("--json", direction="minimize", free="all").stdout)
    expected = minimize(ensemble, free=range(CELLS), reference=codes[7], backend="highs")
    assert told["value"] == expected.value < ensemble.predict(codes).min() + 1e-9


def test_people_see_what_changed(ask, ensemble, codes) -> None:
    result = ask("--k", "2")
    assert result.exit_code == 0, result.output
    best = maximize(ensemble, free=[0, 1, 2], reference=codes[7], backend="highs", k=2)
    lines = [line.split() for line in result.stdout.splitlines()]
    for feature in np.flatnonzero(best.z != codes[7]):
        assert [str(feature), str(codes[7, feature]), str(best.z[feature])] in lines
    assert ["3", str(codes[7, 3]), str(best.z[3])] not in lines
    assert ["value", f"{best.value:.6g}"] in lines
    assert ["status", "optimal"] in lines
    assert [line[1] for line in lines if line[:1] in (["1"], ["2"]) and "->" in line] == [
        f"{each.value:.6g}" for each in best.solutions
    ]


def test_points_are_saved_and_taken_up_again(ask, files, ensemble, codes) -> None:
    out = files / "best.npy"
    told = json.loads(ask("--json", "--out", out).stdout)
    assert np.load(out).tolist() == told["z"]
    again = json.loads(ask("--json", "--incumbent", out, "--nodes", "0").stdout)
    assert again["value"] >= told["value"] - 1e-9
    ask("--k", "2", "--out", out)
    assert np.load(out).shape == (2, CELLS)
    assert not list(files.glob("*.part"))


def test_demands_hold(ask, files, codes) -> None:
    demands = {
        "allowed": {"2": [0, 1]},
        "terms": [{"kind": "linear", "coefficients": {"0": [0, 0, 0, 0, 9]}}],
        "constraints": [
            {"kind": "equal", "first": 0, "second": 1},
            {"kind": "forbidden", "values": {"0": 4, "2": 1}},
        ],
    }
    path = written(files / "demands.json", demands)
    told = json.loads(ask("--constraints", path, "--json").stdout)
    assert told["z"][:3] == [4, 4, 0]
    assert told["value"] == pytest.approx(told["prediction"] + 9)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_certificate_is_checked(ask, files, direction) -> None:
    proof = files / "proof.npz"
    told = json.loads(ask("--json", "--certificate", proof, direction=direction).stdout)
    model = (files / "model.txt", "--categories", str(K))
    checked = json.loads(vqlso("trees", "check", proof, *model, "--json").stdout)
    assert checked["value"] == pytest.approx(told["value"])
    assert checked["bound"] == pytest.approx(told["value"])
    assert checked["minimised"] is (direction == "minimize")
    shown = vqlso("trees", "check", proof)
    assert f"{checked['value']:.9g}" in shown.stdout
    assert "none is " + ("lower" if checked["minimised"] else "higher") in shown.stdout
    assert "(1 node)." in shown.stdout or f"({checked['nodes']} nodes)." in shown.stdout
    assert "1 nodes" not in shown.stdout
    assert "No model was given" in shown.stdout
    assert "No model" not in vqlso("trees", "check", proof, *model).stdout


def test_a_certificate_that_does_not_hold_is_one_paragraph(ask, files) -> None:
    proof = files / "proof.npz"
    assert ask("--certificate", proof).exit_code == 0
    said(vqlso("trees", "check", proof, files / "model.txt", "--categories", "7"), "another model")
    said(
        vqlso("trees", "check", files / "model.txt"), "model.txt holds no certificate, or a damaged"
    )
    said(vqlso("trees", "check", files / "none.npz"), "none.npz cannot be read: No such file")


def test_a_contradiction_is_named(ask, files) -> None:
    both = [
        {"kind": "equal", "first": 0, "second": 1},
        {"kind": "linear", "coefficients": {"0": 1, "1": -1}, "lower": 1},
    ]
    path = written(files / "demands.json", {"constraints": both})
    said(ask("--constraints", path), "No point satisfies", "feature 0 equals feature 1")


def test_backends_are_listed() -> None:
    shown = vqlso("trees", "backends")
    assert shown.exit_code == 0
    rows = json.loads(vqlso("trees", "backends", "--json").stdout)
    assert [row["name"] for row in rows] == list(BACKENDS)
    assert all(row["name"] in shown.stdout for row in rows)


def test_every_kind_is_read_as_its_class(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.arange(12).reshape(3, 2, 2))
    demands = {
        "allowed": {"3": [0, 2]},
        "terms": [
            {"kind": "linear", "coefficients": {"0": 1.5, "1": [0, 1]}},
            {"kind": "pair", "first": 0, "second": 1, "table": [[0, 1], [2, 3]]},
            {"kind": "distance", "data": "data.npy", "weight": -0.5},
        ],
        "constraints": [
            {"kind": "linear", "coefficients": {"0": 2}, "upper": 3},
            {"kind": "equal", "first": 0, "second": 2},
            {"kind": "forbidden", "values": {"0": 1, "1": 0}},
            {"kind": "hamming_ball", "centres": "reference", "radius": 2},
        ],
    }
    reference = np.array([1, 0, 1, 2])
    read = read_demands(written(tmp_path / "demands.json", demands), reference)
    assert read["allowed"] == {3: [0, 2]}
    linear, pair, distance = read["terms"]
    assert isinstance(linear, LinearTerm)
    assert linear.coefficients == {0: 1.5, 1: [0, 1]}
    assert isinstance(pair, PairTerm)
    assert (pair.first, pair.second, pair.table.tolist()) == (0, 1, [[0, 1], [2, 3]])
    assert isinstance(distance, DistanceTerm)
    assert distance.weight == -0.5
    assert distance.data.tolist() == np.arange(12).reshape(3, 4).tolist()
    row, equal, forbidden, ball = read["constraints"]
    assert isinstance(row, Linear)
    assert (row.coefficients, row.lower, row.upper) == ({0: 2}, -np.inf, 3)
    assert equal == Equal(0, 2)
    assert forbidden == Forbidden({0: 1, 1: 0})
    assert isinstance(ball, HammingBall)
    assert (ball.centres.tolist(), ball.radius) == ([[1, 0, 1, 2]], 2)


def test_features_are_read(tmp_path: Path) -> None:
    blocks = [
        {"kind": "categorical", "categories": 5},
        {"kind": "integer", "lower": 0, "upper": 10},
        {"kind": "continuous", "lower": -0.5},
    ]
    assert read_features(written(tmp_path / "features.json", blocks)) == (
        Categorical(5),
        Integer(0, 10),
        Continuous(-0.5),
    )


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a,b,c\n1,,2.5\n", None, [1, np.nan, 2.5]),
        ("1 2 3\n4 5 6\n", 1, [4, 5, 6]),
        ("value\n1\n2\n", None, [1, 2]),
        ("1;2;nan", None, [1, 2, np.nan]),
    ],
)
def test_text_holds_points(tmp_path: Path, text, row, expected) -> None:
    point = read_point(written(tmp_path / "z.csv", text), row)
    np.testing.assert_array_equal(point, expected)
    assert point.dtype == np.float64


def test_free_features_are_numbers_ranges_or_all() -> None:
    assert free_features("3,9", 10) == [3, 9]
    assert free_features("0-2, 5", 10) == [0, 1, 2, 5]
    assert free_features("all", 3) == [0, 1, 2]
    for text in ("", "a", "3,", "-1", "1.5"):
        with pytest.raises(ConfigError, match="--free"):
            free_features(text, 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["JSON"]),
        ([], ["object", "allowed, terms, constraints"]),
        ({"constraint": []}, ["'constraint'", "did you mean 'constraints'"]),
        ({"constraints": {}}, ["list"]),
        ({"constraints": [{"first": 0}]}, ["entry 0", '"kind"']),
        ({"constraints": [{"kind": "eqal"}]}, ["'eqal'", "did you mean 'equal'"]),
        ({"constraints": [{"kind": "equal", "first": 0}]}, ["equal", "needs second"]),
        ({"constraints": [{"kind": "equal", "first": 0, "secnd": 1}]}, ["mean 'second'"]),
        ({"constraints": [{"kind": "equal", "first": 0, "second": 1.5}]}, ["second", "1.5"]),
        ({"constraints": [{"kind": "forbidden", "values": {"x": 1}}]}, ["values", "x"]),
        ({"constraints": [{"kind": "linear", "coefficients": {"0": "1"}}]}, ["coefficients"]),
        ({"terms": [{"kind": "pair", "first": 0, "second": 1, "table": "a"}]}, ["table"]),
        ({"allowed": [1]}, ["allowed"]),
        ({"allowed": {"0": 1}}, ["allowed", "list of numbers"]),
        ('{"allowed": {"3": [0], "3": [1]}}', ["JSON", "the key 3 is there twice"]),
        ({"allowed": {"3": [0], "03": [1]}}, ["allowed", "the key 3 is there twice"]),
    ],
)
def test_a_wrong_demand_is_named(tmp_path: Path, content, words) -> None:
    with pytest.raises(DataError) as error:
        read_demands(written(tmp_path / "demands.json", content), np.zeros(2))
    assert not [word for word in ["demands.json", *words] if word not in str(error.value)]


def test_a_missing_file_of_points_is_named(tmp_path: Path) -> None:
    distance = {"kind": "distance", "data": "no.npy", "weight": 1}
    with pytest.raises(DataError, match=r"no\.npy"):
        read_demands(written(tmp_path / "demands.json", {"terms": [distance]}), np.zeros(2))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--free", "1-9"], ["0..3", "1..4"]),
        (["--free", "x"], ["--free", "'x'"]),
        (["--row", "300"], ["no row 300", "0..299"]),
        (["--reference", "none.npy"], ["none.npy"]),
        (["--categories", "3"], ["category", "at least 5"]),
        (["--backend", "hihgs"], ["'hihgs'", "Did you mean 'highs'"]),
        (["--k", "0"], ["k=0"]),
        (["--seconds", "0"], ["seconds", "0"]),
        (["--features", "none.json"], ["none.json"]),
        (["--constraints", "none.json"], ["none.json"]),
        (["--out", "no/such/folder/z.npy"], ["z.npy", "cannot be written", "no/such/folder first"]),
        (["--out", "."], [". cannot be written", "no file"]),
        (["--certificate", "."], [". cannot be written", "no file"]),
        (["--certificate", "no/such/folder/p"], ["p cannot be written", "no/such/folder first"]),
    ],
)
def test_a_wrong_option_is_one_paragraph(ask, options, words) -> None:
    said(ask(*options), *words)


def test_a_missing_model_and_a_choice_of_points(files) -> None:
    given = ("--reference", files / "codes.npy", "--free", "0")
    said(vqlso("trees", "maximize", files / "none.txt", *given), "none.txt")
    said(vqlso("trees", "maximize", files / "model.txt", *given), "300 points", "--row")


def test_destinations_are_looked_at_before_anything_is_read(ask, monkeypatch) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("It was read.")

    monkeypatch.setattr(TreeEnsemble, "from_model", read)
    for option in ("--out", "--certificate"):
        said(ask(option, "."), "cannot be written")


def test_an_unknown_code_is_refused(ask, files) -> None:
    unknown = {"constraints": [{"kind": "forbidden", "values": {"0": K}}]}
    said(ask("--constraints", written(files / "demands.json", unknown)), "codes are 0..4")


def test_flags_are_listed_without_a_value() -> None:
    for command in ([], ["run"], ["trees"], ["trees", "maximize"], ["trees", "check"]):
        shown = vqlso(*command, "--help").stdout
        assert "--help" in shown
        assert "bool" not in shown


def test_debug_shows_the_traceback(ask) -> None:
    with pytest.raises(ConfigError):
        ask("--free", "x", "--debug")

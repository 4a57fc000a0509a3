"""Instances survive being written and read."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from random_ensembles import mixed_ensemble, random_ensemble

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
    maximize,
    replay,
)
from solvers.trees.backends.enumeration import EnumerationBackend
from solvers.trees.instance import Instance
from solvers.trees.storage import load, save
from solvers.trees.transforms import OutputTransform
from vqlso.errors import SolverError, VerificationError

FEATURES = (
    Categorical(4),
    Integer(-2, 3),
    Continuous(-1.0, 2.0),
    Categorical(3),
    Continuous(-np.inf, 5.0),
)
REFERENCE = np.array([1.0, 0.0, 0.1 + 0.2, 2.0, np.nan])
DATA = np.array([[0.0, 1, 0.5, 2], [3.0, -2, -1.0, 0]])


@pytest.fixture
def instance():
    return Instance.checked(
        replace(mixed_ensemble(3, features=FEATURES), input_dtype="float32", base_last=True),
        [3, 0, 1],
        REFERENCE,
        allowed={3: np.array([0, 2]), 1: range(-1, 3)},
        terms=[
            LinearTerm({0: np.array([0.1, 0.2, 0.3, 0.4]), 1: 1 / 3, 3: [1.0, 2, 3], 2: 7}),
            PairTerm(3, 0, np.arange(12.0).reshape(3, 4)),
        ],
        constraints=[
            Linear({1: np.float32(0.1), 0: [1, 2, 3, 4]}, upper=3.5),
            Equal(0, 3),
            Forbidden({0: 1, np.int64(3): 2.0}),
        ],
    )


@pytest.fixture
def distances():
    ensemble = mixed_ensemble(3, features=FEATURES[:4])
    return Instance.checked(
        replace(ensemble, transform=OutputTransform("sigmoid", 0.7, "float32")),
        [0, 3],
        REFERENCE[:4],
        terms=[DistanceTerm(DATA, -0.3)],
        constraints=[HammingBall(DATA[0], 2.5), HammingBall(DATA, 3)],
    )


def assert_same(one, other):
    assert type(one) is type(other)
    for part in fields(one):
        first, second = getattr(one, part.name), getattr(other, part.name)
        if isinstance(first, np.ndarray):
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
        elif part.name in ("domains", "terms", "constraints", "unary"):
            assert len(first) == len(second)
        elif part.name in ("ensemble", "transform"):
            assert_same(first, second)
        elif part.name != "side":
            assert first == second


@pytest.mark.parametrize("which", ["instance", "distances"])
def test_what_is_read_is_what_was_written(request, tmp_path, which):
    instance = request.getfixturevalue(which)
    path = save(instance, tmp_path / "new" / "folder")
    again = load(path)
    assert_same(instance, again)
    rng = np.random.default_rng(0)
    for _ in range(50):
        z = instance.reference.copy()
        for cell, domain in zip(instance.free, instance.domains, strict=True):
            z[cell] = rng.choice(domain.values)
        assert instance.objective(z, 0.5) == again.objective(z, 0.5)
        assert instance.violation(z) == again.violation(z)
        assert instance.ensemble.predict(z[None]) == again.ensemble.predict(z[None])
    assert save(again, tmp_path / "elsewhere").name == path.name, "the name follows the content"


def test_other_content_has_another_name(instance, tmp_path):
    other = Instance.checked(
        instance.ensemble, instance.free, np.where(np.arange(5) == 2, 0.4, instance.reference)
    )
    assert save(instance, tmp_path) != save(other, tmp_path)


def test_replay_solves_what_was_saved(instance, tmp_path):
    path = save(instance, tmp_path)
    found = replay(path, k=3)
    again = maximize(
        instance.ensemble,
        free=instance.free,
        reference=instance.reference,
        allowed=instance.allowed,
        terms=instance.terms,
        constraints=instance.constraints,
        k=3,
    )
    assert [s.value for s in found.solutions] == [s.value for s in again.solutions]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text", "array", "other npz"])
def test_damaged_files_are_refused(instance, tmp_path, damage):
    path = save(instance, tmp_path)
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "changed":
            middle = len(content) // 3
            path.write_bytes(content[:middle] + b"\xff" * 400 + content[middle + 400 :])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no instance")
        case "array":
            with path.open("wb") as file:
                np.save(file, np.zeros(3))
        case "other npz":
            np.savez(path, described=np.array('{"ensemble": {"kind": "Path", "fields": {}}}'))
    with pytest.raises(SolverError, match="holds no instance"):
        load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SolverError, match="holds no instance"):
        load(tmp_path / "missing.npz")


@dataclass(frozen=True)
class Bonus:
    """A term of one's own."""

    amount: float

    @property
    def mentions(self):
        return ()

    def value(self, z, features):
        return self.amount

    def add_to(self, builder):
        builder.add_linear(replace(builder.expression({}), constant=self.amount))

    def negated(self):
        return Bonus(-self.amount)


class Lying(EnumerationBackend):
    """Claims too much."""

    def solve(self, task):
        truth = super().solve(task)
        return replace(truth, values=truth.values + 1)


def test_a_false_claim_is_named_even_if_the_instance_cannot_be_saved(tmp_path):
    arguments = {"free": [0], "reference": [0, 1, 2, 3], "terms": [Bonus(2.0)]}
    found = maximize(random_ensemble(0), **arguments)
    assert found.value == pytest.approx(found.prediction + 2.0)
    with pytest.raises(VerificationError, match=r"claims .* is not saved: A Bonus is of"):
        maximize(random_ensemble(0), **arguments, backend=Lying(), failures=tmp_path)

"""Certificates hold where they should, and the checker finds whatever is wrong with one."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import Sides, equal, everything, forbidden, linear, linear_term, pair_term
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees import (
    Categorical,
    Continuous,
    DistanceTerm,
    Equal,
    HammingBall,
    InfeasibleError,
    Integer,
    Limits,
    Linear,
    LinearTerm,
    TreeEnsemble,
    UnsupportedError,
    maximize,
    minimize,
)
from solvers.trees import certificate as writer
from solvers.trees.certificate_bounds import Objective, Scope, terms
from solvers.trees.certificate_checker import CLOSED, Certificate, check_certificate
from solvers.trees.instance import Instance
from solvers.trees.transforms import OutputTransform
from vqlso.errors import SolverError, VerificationError

SEEDS = st.integers(0, 10**6)
FEATURES = (Categorical(4), Categorical(3), Integer(-2, 3), Continuous(-1.0, 2.0), Categorical(5))
REFERENCE = np.array([1, 2, 0, 0.25, 3])
# None on the real number: a certificate cannot express that.
ROWS = {
    "none": lambda rng: Sides(),
    "linear": lambda rng: linear(rng, FEATURES, [0, 1, 2, 4]),
    "equal": lambda rng: equal(rng, FEATURES[:2]),
    "forbidden": lambda rng: forbidden(rng, FEATURES[:3]),
}

# The terms pull where the constraints do not let them.
BRANCHING = {
    "ensemble": random_ensemble(4, cells=5, categories=6, trees=40, depth=3),
    "free": range(5),
    "reference": np.zeros(5, dtype=int),
    "terms": [LinearTerm({0: 0.3, 1: -0.3, 2: 0.5, 3: 0.5, 4: 0.5})],
    "constraints": [Equal(0, 1), Linear({2: 1, 3: 1, 4: 1}, upper=6)],
}


def certified(path, ensemble, sides, *, lowest=False, **arguments):
    """The optimum and the checked certificate; None if nothing is feasible."""
    solve = minimize if lowest else maximize
    try:
        found = solve(
            ensemble,
            terms=sides.terms,
            constraints=sides.constraints,
            certificate=path,
            **({"free": range(ensemble.n_features), "reference": REFERENCE} | arguments),
        )
    except InfeasibleError:
        return None
    assert found.certificate == path
    return found, check_certificate(path, ensemble)


@given(
    seed=SEEDS,
    depth=st.integers(0, 3),
    rows=st.sampled_from(sorted(ROWS)),
    with_terms=st.booleans(),
    allowed=st.sampled_from([None, {2: [-1, 2]}]),
    lowest=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_certificates_hold_and_are_right(
    tmp_path_factory, seed, depth, rows, with_terms, allowed, lowest
):
    rng = np.random.default_rng(seed)
    ensemble = mixed_ensemble(seed, features=FEATURES, depth=depth)
    sides = ROWS[rows](rng)
    if with_terms:
        sides += linear_term(rng, FEATURES) + pair_term(rng, FEATURES)
    path = tmp_path_factory.mktemp("certificate") / "proof"
    made = certified(path, ensemble, sides, lowest=lowest, allowed=allowed)
    assume(made is not None)
    found, checked = made
    _, objectives = everything(ensemble, range(5), REFERENCE, sides, allowed)
    best = objectives.min() if lowest else objectives.max()
    assert checked.value == pytest.approx(best, abs=1e-8)
    assert checked.value == pytest.approx(found.value, abs=1e-12)
    assert checked.minimised is lowest
    assert 0 <= (checked.bound - best) * (-1 if lowest else 1) <= 2e-9 * max(1, abs(best))


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_any_lambdas_leave_the_objective_as_it_is(seed):
    rng = np.random.default_rng(seed)
    ensemble = mixed_ensemble(seed, features=FEATURES, depth=int(rng.integers(4)))
    sides = linear_term(rng, FEATURES, [0, 1, 4]) + pair_term(rng, FEATURES)
    instance = Instance.checked(ensemble, range(5), REFERENCE, terms=sides.terms)
    sizes = [len(domain) for domain in instance.domains]
    coupled = [rng.permutation(5)[: rng.integers(1, 4)].tolist() for _ in range(rng.integers(6))]
    scopes = [
        Scope(tuple(sorted(cells)), tuple(rng.normal(size=sizes[c]) for c in sorted(cells)))
        for cells in coupled
    ]
    objective = Objective(instance, list(terms(instance)), scopes)
    inside = [np.sort(rng.permutation(n)[: rng.integers(1, n + 1)]) for n in sizes]
    box = objective.whole()
    for cell in rng.permutation(5):
        box = objective.restricted(box, int(cell), inside[cell])
    for _ in range(20):
        chosen = [rng.choice(choices) for choices in inside]
        z = instance.point(
            np.array([d.values[c] for d, c in zip(instance.domains, chosen, strict=True)])
        )
        value = instance.objective(z, ensemble.predict(z[None])[0])
        point = objective.whole()
        for cell, choice in enumerate(chosen):
            point = objective.restricted(point, cell, np.array([choice]))
        assert objective.bound(point) == pytest.approx(value, abs=objective.rounding)
        assert objective.bound(box) >= value - objective.rounding


def test_a_transform_and_whole_numbers_change_nothing(tmp_path):
    ensemble = replace(
        mixed_ensemble(4, features=FEATURES), transform=OutputTransform("sigmoid", 0.7, "float32")
    )
    reference = np.array([1, 2, 0, 0, 3])
    for lowest in (False, True):
        arguments = {"reference": reference, "lowest": lowest}
        found, checked = certified(tmp_path / "p", ensemble, Sides(), **arguments)
        assert ensemble.transform(checked.value) == pytest.approx(found.value)
        assert ensemble.untransformed().predict([found.z]) == pytest.approx(checked.value)


def test_the_engine_does_not_matter_and_the_best_of_several_is_certified(tmp_path):
    ensemble = random_ensemble(7, trees=12)
    arguments = {"free": range(4), "reference": [0, 1, 2, 3]}
    values = []
    for backend in ("tables", "highs", "enumeration"):
        path = tmp_path / backend
        found = maximize(ensemble, backend=backend, k=3, certificate=path, **arguments)
        values.append(check_certificate(path).value)
        assert values[-1] == pytest.approx(found.value) == pytest.approx(values[0])
    found = maximize(ensemble, backend="greedy", certificate=tmp_path / "g", **arguments)
    checked = check_certificate(tmp_path / "g")
    assert checked.value == pytest.approx(found.value, rel=1e-12)
    assert values[0] <= checked.bound <= found.bound + 1e-9
    assert maximize(ensemble, **arguments).certificate is None


def test_sixteen_cells_of_sixty_four_codes(tmp_path):
    rng = np.random.default_rng(0)
    z = rng.integers(64, size=(1500, 16))
    y = rng.normal(size=(16, 64))[np.arange(16), z].sum(axis=1) + (z[:, 0] % 2 == z[:, 1] % 2)
    settings = {"max_depth": 2, "verbosity": -1, "num_threads": 1, "min_data_per_group": 5}
    data = lightgbm.Dataset(z, y, categorical_feature=list(range(16)))
    ensemble = TreeEnsemble.from_lightgbm(lightgbm.train(settings, data, 200), categories=64)
    path = tmp_path / "proof.npz"
    arguments = {"free": range(0, 16, 2), "reference": z[0]}
    found, checked = certified(path, ensemble, Sides(), **arguments)
    assert checked.value == pytest.approx(found.value, abs=1e-12)
    assert 0 <= checked.bound - checked.value < 1e-9 * abs(checked.value)


def test_what_cannot_be_certified_is_refused_before_solving(tmp_path):
    class Never:
        def solve(self, task):
            raise AssertionError

    arguments = {"reference": REFERENCE, "backend": Never(), "certificate": tmp_path / "p"}
    shallow = mixed_ensemble(0, features=FEATURES)
    points = np.array([[0, 0, 0, 0.0, 0], [1, 1, 1, 1.0, 1]])
    for given_ in (
        {"terms": [DistanceTerm(points, 1.0)], "allowed": {3: [0.0, 1.0]}},
        {"constraints": [HammingBall(points, 2)], "allowed": {3: [0.0, 1.0]}},
        {"constraints": [Linear({3: 1.0}, upper=1)]},
    ):
        with pytest.raises(UnsupportedError, match="No certificate can be written"):
            maximize(shallow, free=range(5), **arguments, **given_)
    deep = mixed_ensemble(1, features=FEATURES, depth=5)
    with pytest.raises(UnsupportedError, match="more than 3 free"):
        maximize(deep, free=range(5), **arguments)
    maximize(deep, free=[0, 1, 2], **(arguments | {"backend": "tables"}))
    assert check_certificate(tmp_path / "p", deep).nodes >= 1


def test_a_proof_that_grows_too_large_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MOST_NODES", 2)
    with pytest.raises(SolverError, match="No certificate of at most 2 nodes"):
        maximize(**BRANCHING, certificate=tmp_path / "p")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SolverError, match=r"missing.p cannot be written"):
        maximize(**BRANCHING, certificate=tmp_path / "missing" / "p")


@pytest.fixture
def proof(tmp_path):
    """A certificate with nodes of all kinds."""
    path = tmp_path / "proof.npz"
    maximize(**BRANCHING, certificate=path)
    assert check_certificate(path, BRANCHING["ensemble"]).nodes > 10
    return path


def changed(path, **changes):
    """Replace arrays of a certificate by functions of them."""
    with np.load(path) as stored:
        arrays = dict(stored)
    actions = set(np.sign(arrays["actions"] - CLOSED).tolist())
    assert actions == {-1, 0, 1}, "closed by constraints, by bounds, and divided"
    for name, change in changes.items():
        arrays[name] = change(arrays[name].copy())
    np.savez(path, **arrays)


def put(index, value):
    def change(array):
        array[index] = value
        return array

    return change


def bumped(index, amount):
    return lambda array: put(index, array[index] + amount)(array)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"value": lambda v: v + 1e-6}, "point reaches .* not .* as it says"),
        ({"value": lambda v: v * np.nan}, "point reaches .* not nan"),
        ({"bound": lambda b: b - 1e-6}, "allows .* above"),
        ({"bound": lambda b: b * np.nan}, "allows"),
        ({"minimised": lambda m: ~m}, "another model"),
        ({"z": bumped(2, 1)}, "point reaches"),
        ({"z": put(2, 6)}, "point is none"),
        ({"z": lambda z: z[:-1]}, "point is none"),
        ({"shifts": bumped(slice(None, None, 7), 0.5)}, "allows .* above"),
        ({"shifts": lambda s: 0 * s}, "allows .* above"),
        ({"shifts": put(0, np.nan)}, "finite"),
        # So large that the leaves are rounded away.
        ({"shifts": lambda s: s + 1e17}, "allows .* above"),
        ({"shifts": lambda s: s[:-1]}, "lambdas are not one"),
        ({"scopes": put((0, 2), 5)}, "ascending order"),
        ({"actions": put(0, 5)}, "node or feature that is not there"),
        ({"actions": put(0, CLOSED)}, "allows .* above"),
        ({"actions": put(0, -2)}, "a constraint that can hold"),
        ({"actions": put(0, -9)}, "a constraint that can hold"),
        ({"actions": lambda a: a[:-1]}, "one action"),
        ({"parents": put(-1, -1)}, "do not divide"),
        ({"choices": bumped(-1, 1)}, "do not divide"),
    ],
)
def test_whatever_is_changed_is_found(proof, changes, words):
    changed(proof, **changes)
    with pytest.raises(VerificationError, match=words):
        check_certificate(proof, BRANCHING["ensemble"])


def test_constraints_are_checked_at_z(proof):
    instance = Instance.checked(**BRANCHING)
    z = np.array([0, 0, 5, 1, 1], dtype=float)
    value = instance.objective(z, instance.ensemble.predict(z[None])[0])
    changed(proof, z=lambda _: z, value=lambda _: np.array(value))
    with pytest.raises(VerificationError, match="misses a constraint"):
        check_certificate(proof)


def test_a_child_and_a_choice_cannot_be_left_out(proof):
    content = proof.read_bytes()
    with np.load(proof) as stored:
        tree = {name: stored[name] for name in ("parents", "actions", "starts", "choices")}
    sizes = np.diff(tree["starts"])
    last = np.flatnonzero(tree["actions"] < 0)[-1]  # which has no children

    def without(node, keep):
        """Only the first `keep` choices of a node, or no node at all."""
        rest = [
            tree["choices"][a : b if n != node else a + keep]
            for n, (a, b) in enumerate(zip(tree["starts"], tree["starts"][1:], strict=False))
        ]
        kept = np.array([n != node or keep > 0 for n in range(len(rest))])
        parts = [part for part, is_kept in zip(rest, kept, strict=True) if is_kept]
        renumbered = np.append(np.cumsum(kept) - 1, -1)
        return {
            "parents": lambda p: renumbered[p[kept]],
            "actions": lambda a: a[kept],
            "starts": lambda _: np.cumsum([0, *map(len, parts)]),
            "choices": lambda _: np.concatenate(parts),
        }

    wide = np.flatnonzero(sizes > 1)[0]
    for node, keep in ((last, 0), (wide, 1)):
        proof.write_bytes(content)
        changed(proof, **without(node, keep))
        with pytest.raises(VerificationError, match="do not divide"):
            check_certificate(proof)


def test_nodes_outside_the_tree_are_found(proof):
    with np.load(proof) as stored:
        closed = int(np.flatnonzero(stored["actions"] == CLOSED)[0])
    changed(
        proof,
        parents=lambda p: np.append(p, closed),
        actions=lambda a: np.append(a, CLOSED),
        starts=lambda s: np.append(s, s[-1]),
    )
    with pytest.raises(VerificationError, match="no part of its tree"):
        check_certificate(proof)


def test_another_model_is_found(proof):
    ours = BRANCHING["ensemble"]
    leaf = int(np.flatnonzero(ours.feature < 0)[0])
    others = (
        replace(ours, value=put(leaf, 9.0)(ours.value.copy())),
        replace(ours, base=ours.base + 1e-9),
        replace(ours, features=(Categorical(7), *ours.features[1:])),
        random_ensemble(5, cells=5, categories=6, trees=40, depth=3),
    )
    for other in others:
        with pytest.raises(VerificationError, match="another model"):
            check_certificate(proof, other)
    assert check_certificate(proof, ours) == check_certificate(proof)


@pytest.mark.parametrize("damage", ["cut", "instance", "text", "missing"])
def test_damaged_files_are_refused(proof, damage):
    content = proof.read_bytes()
    match damage:
        case "cut":
            proof.write_bytes(content[: len(content) // 2])
        case "instance":
            with np.load(proof) as stored:
                kept = {n: stored[n] for n in stored if n not in Certificate._fields}
            np.savez(proof, **kept)
        case "text":
            proof.write_text("no certificate")
        case "missing":
            proof.unlink()
    words = r"proof\S* cannot be read: No such" if damage == "missing" else "holds no certificate"
    with pytest.raises(VerificationError, match=words):
        check_certificate(proof)


def test_an_interval_that_is_none_is_found():
    instance = Instance.checked(mixed_ensemble(0, trees=20), range(5), [0, 0, 0, 0, 0.5])
    list(terms(instance))
    cell = next(c for c, domain in enumerate(instance.domains) if domain.is_range)
    domain = instance.domains[cell]
    torn = replace(domain, upper=np.append(domain.upper[1:], domain.upper[-1]))
    domains = (*instance.domains[:cell], torn, *instance.domains[cell + 1 :])
    with pytest.raises(VerificationError, match=f"tears an interval of feature {cell}"):
        list(terms(replace(instance, domains=domains)))


def test_a_limit_leaves_a_bound_that_is_certified(tmp_path):
    ensemble = random_ensemble(5, cells=8, categories=6, trees=200, depth=3)
    arguments = {"free": range(8), "reference": np.zeros(8, dtype=int)}
    path = tmp_path / "proof"
    found = maximize(ensemble, limits=Limits(nodes=0), certificate=path, **arguments)
    checked = check_certificate(path, ensemble)
    assert checked.value == pytest.approx(found.value)
    assert found.value <= checked.bound <= found.bound * (1 + 1e-9)

"""Constraints that contradict one another are named, and no others."""

import numpy as np
import pytest
from hypothesis import strategies as st
from oracle import CONSTRAINTS, Sides, drawn, everything, examples
from random_ensembles import mixed_ensemble, random_ensemble

from solvers.trees import (
    Categorical,
    Continuous,
    Equal,
    Forbidden,
    HammingBall,
    InfeasibleError,
    Integer,
    Linear,
    maximize,
    minimize,
)
from solvers.trees.backends.enumeration import EnumerationBackend
from vqlso.errors import VerificationError

REFERENCE = [0, 1, 2, 0]
ALL = [0, 1, 2, 3]


@pytest.mark.parametrize("solve", [maximize, minimize])
def test_a_contradiction_is_named_without_the_bystanders(solve):
    constraints = [
        Forbidden({0: 1, 1: 1}),
        Linear({0: 1.0}, lower=2.0),
        HammingBall(np.array(REFERENCE), 3),
        Linear({0: 1.0, 1: 1.0}, upper=3.0),
        Linear({1: [0.0, 0.0, 1.0]}, lower=0.5),
    ]
    with pytest.raises(InfeasibleError) as caught:
        solve(
            random_ensemble(3, categories=3), free=ALL, reference=REFERENCE, constraints=constraints
        )
    message = str(caught.value)
    for constraint in (constraints[1], constraints[3], constraints[4]):
        assert constraint.name in message
    assert constraints[0].name not in message
    assert constraints[2].name not in message
    assert "Each of these 3 alone" in message


def test_one_impossible_constraint_is_named_alone():
    constraints = [Forbidden({0: 1}), Linear({0: 1.0, 1: 1.0}, lower=5.0)]
    with pytest.raises(
        InfeasibleError, match=r"No point satisfies the constraint: 5 <= sum over features 0, 1\.$"
    ):
        maximize(
            random_ensemble(3, categories=3), free=ALL, reference=REFERENCE, constraints=constraints
        )


@pytest.mark.parametrize("name", ["highs", "enumeration"])
def test_the_named_set_is_irreducible(name):
    @examples(
        name,
        seed=st.integers(0, 10_000),
        kinds=st.lists(st.sampled_from(sorted(CONSTRAINTS)), min_size=3, max_size=6),
    )
    def check(seed, kinds):
        ensemble = random_ensemble(seed, cells=3, categories=2)
        rng = np.random.default_rng(seed)
        free, reference = [0, 1], rng.integers(0, 2, 3)
        parts = [drawn(rng, ensemble.features, [], [kind]) for kind in kinds]
        constraints = [part.constraints[0] for part in parts]
        try:
            maximize(
                ensemble, free=free, reference=reference, constraints=constraints, backend=name
            )
        except InfeasibleError as error:
            named = [p for p in parts if p.constraints[0].name in str(error)]
            assert not feasible(ensemble, free, reference, named)
            if len({p.constraints[0].name for p in parts}) == len(parts):
                for part in named:
                    others = [other for other in named if other is not part]
                    assert feasible(ensemble, free, reference, others)


def feasible(ensemble, free, reference, parts):
    return len(everything(ensemble, free, reference, sum(parts, Sides()))[0]) > 0


def test_contradictions_of_numbers_are_found():
    features = (Continuous(0.0, 1.0), Continuous(0.0, 1.0), Integer(0, 9), Categorical(3))
    constraints = [
        Linear({0: 1.0, 1: 1.0}, lower=1.5),
        Linear({2: 1.0}, upper=5.0),
        Equal(0, 1),
        Linear({0: 2.0, 1: -1.0}, upper=0.7),
    ]
    with pytest.raises(InfeasibleError) as caught:
        maximize(
            mixed_ensemble(1, features=features),
            free=ALL,
            reference=[0.5, 0.5, 3.0, 0.0],
            constraints=constraints,
        )
    assert [c.name in str(caught.value) for c in constraints] == [True, False, True, True]


def test_allowed_values_that_take_part_are_named():
    constraints = [Linear({0: 1.0, 1: 1.0}, lower=3.0), Forbidden({2: 1})]
    with pytest.raises(InfeasibleError) as caught:
        maximize(
            random_ensemble(3, categories=3),
            free=ALL,
            reference=REFERENCE,
            allowed={0: [0, 1], 1: [0, 1], 3: [0]},
            constraints=constraints,
        )
    message = str(caught.value)
    assert constraints[0].name in message
    # Either of the two could be left out.
    assert "feature 0 is allowed only 0, 1; feature 1 is allowed only 0, 1." in message
    assert "Each of these 3 alone" in message
    assert "forbidden" not in message
    assert "feature 3" not in message


def test_allowed_values_that_a_constraint_needs_are_named():
    """Without them it cannot be stated of a continuous feature."""
    features = (Continuous(0.0, 1.0), Continuous(0.0, 1.0), Integer(0, 9), Categorical(3))
    with pytest.raises(InfeasibleError, match=r"feature 0 is allowed only 0\.25"):
        maximize(
            mixed_ensemble(1, features=features),
            free=[0, 2],
            reference=[0.5, 0.5, 3.0, 0.0],
            allowed={0: [0.25]},
            constraints=[Forbidden({0: 0.25, 2: 3}), Linear({2: 1.0}, 3.0, 3.0)],
        )


def test_a_constraint_that_allowed_values_decide_says_so():
    with pytest.raises(InfeasibleError, match="What its free features may take, or are allowed"):
        maximize(
            random_ensemble(3, categories=3),
            free=ALL,
            reference=REFERENCE,
            allowed={0: [1]},
            constraints=[Linear({0: 1.0}, lower=2.0)],
        )


class Denying(EnumerationBackend):
    """Calls everything infeasible."""

    def maximise(self, reduced, limits, start):
        raise InfeasibleError("No.")


@pytest.mark.parametrize("constraints", [[], [Forbidden({0: 1})]])
def test_a_false_claim_that_nothing_is_feasible_is_caught(tmp_path, constraints):
    with pytest.raises(VerificationError, match="finds no point where there is one"):
        maximize(
            random_ensemble(3, categories=3),
            free=ALL,
            reference=REFERENCE,
            constraints=constraints,
            backend=Denying(),
            failures=tmp_path,
        )
    assert len(list(tmp_path.iterdir())) == 1

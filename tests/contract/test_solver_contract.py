"""Every solver passes the suite that the package ships."""

import pytest

from solvers.surrogate_based import FreeCells, SurrogateSolver
from solvers.surrogates import LightGBM
from solvers.testing import SolverCase, SolverContract
from vqlso.spaces import CodeGrid

SPACE = CodeGrid(categories=4, height=3, width=2)


def surrogate() -> LightGBM:
    return LightGBM(SPACE.categories, trees=8, min_samples_leaf=3)


class TestSurrogateSolver(SolverContract):
    @pytest.fixture(params=["uniform", "weighted"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        return SolverCase(
            SPACE,
            lambda seed: SurrogateSolver(
                SPACE,
                surrogate(),
                free_cells=FreeCells(t=2),
                references=request.param,
                backend="enumeration",
                seed=seed,
            ),
        )


class TestWithFixedCellsByHighs(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        return SolverCase(
            SPACE,
            lambda seed: SurrogateSolver(
                SPACE, surrogate(), free_cells=FreeCells(fixed_choice=(4, 1, 3)), seed=seed
            ),
        )

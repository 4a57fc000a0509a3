"""Every solver passes the suite that the package ships."""

import pytest
from gaussian_density import GaussianDensity
from linear_images import LinearImages, pixel_problem, targets

from solvers.cma_es import CMAES
from solvers.continuous_search import ContinuousSearch
from solvers.coordinate_search import CoordinateSearch
from solvers.free_cells import FreeCells
from solvers.genetic import GeneticCodes
from solvers.gradient import LBFGS, Adam, GradientSearch, Nesterov
from solvers.local_search import LocalSearch
from solvers.nevergrad_search import NevergradSearch
from solvers.random_search import BestOfTraining, RandomCodes, RandomLatents
from solvers.sphere_search import SphereSearch
from solvers.surrogate_based import SurrogateSolver
from solvers.surrogates import LightGBM
from solvers.surrogates.dngo import DNGO
from solvers.surrogates.gaussian_process import SparseGP
from solvers.testing import SolverCase, SolverContract
from solvers.turbo import TuRBO
from solvers.zeroth_order import ZerothOrder
from vqlso.archive import Archive
from vqlso.spaces import CodeGrid, RealVectors

SPACE = CodeGrid(categories=4, height=3, width=2)
VECTORS = RealVectors("z", (3,))


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


class TestContinuousSearch(SolverContract):
    @pytest.fixture(params=["dngo", "sparse_gp"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        if request.param == "sparse_gp":
            pytest.importorskip("gpytorch")
        surrogates = {
            "dngo": lambda: DNGO(hidden=(10, 10), epochs=2),
            "sparse_gp": lambda: SparseGP(inducing=10, epochs=1, batch_size=200),
        }
        return SolverCase(
            VECTORS,
            lambda seed: ContinuousSearch(
                VECTORS,
                surrogates[request.param](),
                fit_density=GaussianDensity.fit,
                samples=200,
                successes=2,
                seed=seed,
            ),
        )


class TestRandomLatents(SolverContract):
    @pytest.fixture(params=[SPACE, VECTORS], ids=["codes", "vectors"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        return SolverCase(request.param, lambda seed: RandomLatents(request.param, seed=seed))


class TestRandomLatentsOfADensity(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        return SolverCase(
            VECTORS,
            lambda seed: RandomLatents(VECTORS, fit_density=GaussianDensity.fit, seed=seed),
        )


class TestRandomCodes(SolverContract):
    @pytest.fixture(params=[None, (4, 1)], ids=["drawn cells", "given cells"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        return SolverCase(
            SPACE, lambda seed: RandomCodes(SPACE, t=2, cells=request.param, seed=seed)
        )


class TestBestOfTraining(SolverContract):
    @pytest.fixture(params=[SPACE, VECTORS], ids=["codes", "vectors"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        return SolverCase(request.param, lambda seed: BestOfTraining(request.param))

    def test_another_seed_searches_elsewhere(self, case: SolverCase) -> None:
        """Not here: the order of the scores is all there is."""


class TestGeneticCodes(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        return SolverCase(SPACE, lambda seed: GeneticCodes(SPACE, population=20, seed=seed))


class TestCMAES(SolverContract):
    @pytest.fixture(params=[False, True], ids=["full", "diagonal"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        pytest.importorskip("cmaes")
        return SolverCase(
            VECTORS,
            lambda seed: CMAES(VECTORS, population=4, diagonal=request.param, seed=seed),
        )


class TestTuRBO(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        pytest.importorskip("botorch")
        return SolverCase(
            VECTORS, lambda seed: TuRBO(VECTORS, most_points=12, candidates=32, seed=seed)
        )


class TestLocalSearch(SolverContract):
    @pytest.fixture(params=[False, True], ids=["fixed step", "adapted step"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        layered = RealVectors("w+", (2, 3))
        return SolverCase(
            layered, lambda seed: LocalSearch(layered, adapts=request.param, seed=seed)
        )


class TestGradientSearch(SolverContract):
    """The loop gives such a solver the retrained problem before each `rebase`."""

    @pytest.fixture(
        params=[
            lambda problem, seed: Adam(problem, seed=seed),
            lambda problem, seed: Nesterov(problem, steps=[0.1, 1.0], seed=seed),
            lambda problem, seed: LBFGS(problem, starts=2, seed=seed),
            lambda problem, seed: SphereSearch(problem, seed=seed),
        ],
        ids=["adam", "nesterov", "lbfgs", "sphere"],
    )
    def case(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SolverCase:
        problem = pixel_problem(targets(2), LinearImages(dimension=3, version="first"))
        plain = GradientSearch.rebase

        def followed(solver: GradientSearch, archive: Archive) -> None:
            solver.follow(problem.moved_to(LinearImages(dimension=3, version=archive.version)))
            plain(solver, archive)

        monkeypatch.setattr(GradientSearch, "rebase", followed)
        return SolverCase(problem.space, lambda seed: request.param(problem, seed))


class TestZerothOrder(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        return SolverCase(VECTORS, lambda seed: ZerothOrder(VECTORS, pairs=1, seed=seed))


class TestNevergradSearch(SolverContract):
    @pytest.fixture(params=["TwoPointsDE", "DiscreteDE", "DiscreteOnePlusOne"])
    def case(self, request: pytest.FixtureRequest) -> SolverCase:
        pytest.importorskip("nevergrad")
        return SolverCase(VECTORS, lambda seed: NevergradSearch(VECTORS, request.param, seed=seed))


class TestCoordinateSearch(SolverContract):
    @pytest.fixture
    def case(self) -> SolverCase:
        return SolverCase(SPACE, lambda seed: CoordinateSearch(SPACE, seed=seed))

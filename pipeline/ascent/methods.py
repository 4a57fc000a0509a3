"""The ways to climb a score: over latents, over weights, or by asking for a high one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from pipeline.configuration.settings import ExperimentConfig
from pipeline.parts.solvers import SOLVERS, build_solver
from pipeline.parts.target_solvers import TARGET_SOLVERS, build_target_solver
from pipeline.threads import threads_of
from solvers.conditional_search import ConditionalSearch
from solvers.policy_search import PolicySearch
from solvers.tuned_samples import TunedSamples
from vqlso.contracts import DifferentiableGenerator, Solver
from vqlso.errors import ConfigError
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.problems.score_ascent import NearPrior, ScoreAscent, differentiable
from vqlso.problems.target_image import TargetImage
from vqlso.spaces import RealVectors
from vqlso.training.generator_ascent import AscentTraining, TunableGenerator, TunedGenerators


@dataclass(frozen=True)
class Climb:
    """A search that is ready for the loop.

    Attributes:
        problem: scores its proposals.
        solver: makes them.
        changed: the generator that it has made of the original by the end; None where the
            original stays.
    """

    problem: ScoreAscent
    solver: Solver
    changed: Callable[[], TunableGenerator] | None = None


@dataclass(frozen=True)
class Method:
    """One way.

    Attributes:
        line: what it is, in one line.
        climb: prepares it.
    """

    line: str
    climb: Callable[[ExperimentConfig, ScoreAscent], Climb]


def evaluations(config: ExperimentConfig) -> int:
    """Images that a method may have scored, behind those of the starts."""
    return config.queries - config.ascent.starts


def _search(config: ExperimentConfig, problem: ScoreAscent) -> Climb:
    kind = config.solver.kind
    if kind in SOLVERS and kind not in TARGET_SOLVERS:
        return Climb(problem, build_solver(config, problem.space, threads_of(config)))
    known = TARGET_SOLVERS.get(kind)
    climbed = problem
    if known is not None and known.climbs:
        differentiable(problem.objective)
        climbed = NearPrior(problem.generator, problem.objective, weight=_prior(config, problem))
    # An inversion's solvers ask a problem for its space, its targets and its gradients, and count
    # its own starts.
    counted = replace(config, invert=replace(config.invert, starts=config.ascent.starts))
    return Climb(problem, build_target_solver(counted, cast(TargetImage, climbed)))


def _prior(config: ExperimentConfig, problem: ScoreAscent) -> float:
    weight = config.ascent.prior
    if weight and problem.space.name != "z":
        raise ConfigError(
            f"ascent.prior={weight:g} holds latents to unit variance, which those of space "
            f"'{problem.space.name}' do not have: set generator.space=z or ascent.prior=0."
        )
    return weight


def _finetune(config: ExperimentConfig, problem: ScoreAscent) -> Climb:
    chosen = config.ascent
    generators = TunedGenerators(
        cast(DifferentiableGenerator, problem.generator),
        differentiable(problem.objective),
        AscentTraining(config.batch, chosen.learning_rate, chosen.anchor),
        space_name=problem.space.name,
        seed=config.seed,
    )
    steps = -(-evaluations(config) // config.batch)
    return Climb(
        ScoreAscent(generators, problem.objective),
        TunedSamples(generators),
        lambda: generators.at(steps),
    )


def _reinforce(config: ExperimentConfig, problem: ScoreAscent) -> Climb:
    chosen, generator = config.ascent, problem.generator
    if not isinstance(generator, StyleGAN2) or problem.space.name != "w":
        raise ConfigError(
            "method=reinforce fine-tunes the mapping network from z to w: use "
            "generator=stylegan2 with a StyleGAN2 and generator.space=w."
        )
    solver = PolicySearch(
        cast(RealVectors, problem.space),
        generator.network.mapping,
        generator.settings.z_dim,
        batch=config.batch,
        learning_rate=chosen.learning_rate,
        noise=chosen.noise,
        anchor=chosen.anchor,
        seed=config.seed,
    )

    def changed() -> TunableGenerator:
        tuned = _unnamed_copy(generator)
        tuned.network.mapping.load_state_dict(solver.mapping.state_dict())
        return tuned

    return Climb(problem, solver, changed)


def _unnamed_copy(generator: StyleGAN2) -> StyleGAN2:
    """Without the version that the original may have computed of its own weights."""
    copied = copy.deepcopy(generator)
    copied.__dict__.pop("version", None)
    return copied


def _conditional(config: ExperimentConfig, problem: ScoreAscent) -> Climb:
    solver = ConditionalSearch(
        cast(RealVectors, problem.space),
        asked=config.ascent.asked,
        refit=config.ascent.refit,
        seed=config.seed,
    )
    return Climb(problem, solver)


METHODS: dict[str, Method] = {
    "search": Method("any solver over the latents of the frozen generator", _search),
    "finetune": Method("all weights of the generator, by backpropagation of -S", _finetune),
    "reinforce": Method("the mapping network, by REINFORCE on a black-box S", _reinforce),
    "conditional": Method("a generator that is told the score, asked for a high one", _conditional),
}


def build_climb(config: ExperimentConfig, problem: ScoreAscent) -> Climb:
    """The configured method around a problem.

    Raises:
        ConfigError: parts that do not go together, with the remedy.
        SolverError: a setting outside its range.
        MissingExtraError: a solver's package is not installed.
    """
    return METHODS[config.ascent.method].climb(config, problem)

"""Gradient methods as coroutines: each yields the next latent and is sent what was found there.

Written so, a method reads as in its paper, while whoever drives it decides when and in which
batch latents are evaluated. All maximise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from itertools import count
from math import inf

import numpy as np
from numpy.typing import NDArray

from vqlso.errors import SolverError

# Paper 001, section IV-C: the step is divided by ten at one and two thirds of the budget.
DECAYS = (1 / 3, 2 / 3)
DECAY = 10.0

# Nocedal and Wright 2006, "Numerical Optimization": algorithm 3.1 with its usual constant, and the
# bounds on an interpolated step of section 3.5.
SUFFICIENT = 1e-4
SHORTEST, LONGEST = 0.1, 0.5
# Ten halvings at least: behind them only rounding separates the scores.
TRIALS = 10
LEAST_CURVATURE = 1e-10


@dataclass(frozen=True)
class Point:
    """A latent and what is known there.

    Attributes:
        z: float64, of any shape.
        value: the score.
        gradient: of the score, of the latent's shape.
    """

    z: NDArray[np.float64]
    value: float
    gradient: NDArray[np.float64]

    @property
    def finite(self) -> bool:
        """Whether score and gradient are finite numbers."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())


Ascent = Generator[NDArray[np.float64], Point, None]
Rule = Callable[[Point, float], Ascent]


def adam(
    start: Point, step: float, *, betas: tuple[float, float] = (0.0, 0.99), epsilon: float = 1e-8
) -> Ascent:
    """Adam (Kingma and Ba 2015, algorithm 1); `betas` are those of PGAN's training."""
    here = start
    first = second = np.zeros_like(start.z)
    for k in count(1):
        first = betas[0] * first + (1 - betas[0]) * here.gradient
        second = betas[1] * second + (1 - betas[1]) * here.gradient**2
        scale = np.sqrt(second / (1 - betas[1] ** k)) + epsilon
        here = yield here.z + step * first / (1 - betas[0] ** k) / scale


def nesterov(start: Point, step: float, *, momentum: float = 0.9) -> Ascent:
    """Nesterov's accelerated gradient with constant momentum; yields where gradients are taken."""
    here, reached = start, start.z
    while True:
        last, reached = reached, here.z + step * here.gradient
        here = yield reached + momentum * (reached - last)


def lbfgs(start: Point, step: float, *, memory: int = 10) -> Ascent:
    """LBFGS (Liu and Nocedal 1989) with a backtracking line search; `step` is its first trial."""
    here = start
    pairs: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque(maxlen=memory)
    while True:
        direction = _quasi_newton(here.gradient, pairs)
        # Without curvature the gradient's length says nothing about how far to go.
        length = step if pairs else step * min(1.0, 1 / (np.abs(here.gradient).sum() or 1.0))
        there = yield from _line_search(here, direction, length)
        if there is None:
            if not pairs:
                # Not even the gradient leads upwards: a maximum, as far as rounding can tell.
                while True:
                    yield here.z
            pairs.clear()
            continue
        moved, bent = there.z - here.z, here.gradient - there.gradient
        if np.vdot(moved, bent) > LEAST_CURVATURE * np.linalg.norm(moved) * np.linalg.norm(bent):
            pairs.append((moved, bent))
        here = there


def on_spheres(rule: Rule) -> Rule:
    """The rule with every vector (last axis) drawn back to the length that it had at the start.

    It sees the part of the gradient along the sphere only. PULSE's own search is given all of it,
    and Adam, which rescales coordinates, then comes to rest elsewhere than at a maximum.
    """

    def projected(start: Point, step: float) -> Ascent:
        radii = np.linalg.norm(start.z, axis=-1, keepdims=True)
        ascent = rule(_along_sphere(start), step)
        z = next(ascent)
        while True:
            point = yield z * (radii / np.linalg.norm(z, axis=-1, keepdims=True))
            z = ascent.send(_along_sphere(point))

    return projected


def with_decays(rule: Rule, z: NDArray[np.float64], step: float, evaluations: int) -> Ascent:
    """The rule from `z` on, its step divided by 10 at one and two thirds of the evaluations.

    Before each decay the search goes back to the best point so far and forgets all momentum
    (paper 001, section IV-C). Where a score or gradient is not finite, it does so at once. Behind
    its evaluations it goes on with the last step.

    Raises:
        SolverError: the score or its gradient is not finite where the search begins.
    """
    best = yield z
    if not best.finite:
        raise SolverError(
            f"The score at the start is {best.value} with a gradient that may not be finite: a "
            "gradient method cannot begin there. Use another seed or start, or check the criterion."
        )
    done = 1
    for end in (*(share * evaluations for share in DECAYS), inf):
        ascent = rule(best, step)
        z = next(ascent)
        while done < end:
            point = yield z
            done += 1
            if point.finite:
                best = max(best, point, key=lambda each: each.value)
                z = ascent.send(point)
            else:
                step /= DECAY
                ascent = rule(best, step)
                z = next(ascent)
        step /= DECAY


def _along_sphere(point: Point) -> Point:
    normal = point.z / np.linalg.norm(point.z, axis=-1, keepdims=True)
    outwards = (point.gradient * normal).sum(axis=-1, keepdims=True) * normal
    return replace(point, gradient=point.gradient - outwards)


def _quasi_newton(
    gradient: NDArray[np.float64],
    pairs: deque[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """The two-loop recursion (Nocedal and Wright 2006, algorithm 7.4)."""
    direction, shares = gradient.copy(), []
    for moved, bent in reversed(pairs):
        share = np.vdot(moved, direction) / np.vdot(moved, bent)
        shares.append(share)
        direction -= share * bent
    if pairs:
        moved, bent = pairs[-1]
        direction *= np.vdot(moved, bent) / np.vdot(bent, bent)
    for (moved, bent), share in zip(pairs, reversed(shares), strict=True):
        direction += moved * (share - np.vdot(bent, direction) / np.vdot(moved, bent))
    return direction


def _line_search(
    here: Point, direction: NDArray[np.float64], length: float
) -> Generator[NDArray[np.float64], Point, Point | None]:
    """The first point along the direction with a sufficient increase; None where none is found."""
    slope = float(np.vdot(here.gradient, direction))
    if slope <= 0:
        return None
    for _ in range(TRIALS):
        there = yield here.z + length * direction
        if there.finite and there.value >= here.value + SUFFICIENT * length * slope:
            return there
        shortfall = here.value + length * slope - there.value
        best = length * slope / (2 * shortfall) if np.isfinite(shortfall) else SHORTEST
        length *= float(np.clip(best, SHORTEST, LONGEST))
    return None

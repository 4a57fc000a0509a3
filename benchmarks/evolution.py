"""Does evolution by picks find a face that one has in mind sooner than random search?

    python -m benchmarks.evolution
    python -m benchmarks.evolution --methods random,evolution --targets 10

The question of paper 001, section V-D1, with simulated persons instead of people: each has one of
30 faces in mind, which no generator was trained on, and picks six times. What it ends with by
evolution is compared with what it ends with by random search, by another network than the one
that it sees with. After each target the results are written; a call continues what is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor

from benchmarks.extra_tables import printed, titled
from benchmarks.recording import RESULTS, Recording, write_result
from pipeline.evolution.generators import NAMED
from pipeline.runs.shelf import PACKAGED
from solvers.preference import CodeVariation, PreferenceEvolution, Variation, VectorVariation
from vqlso.archive import Archive
from vqlso.contracts import Generator
from vqlso.data.faces import procedural_faces
from vqlso.generators import load_generator
from vqlso.hardware import limit_threads
from vqlso.images import to_bytes, to_unit
from vqlso.metrics.random_features import RandomFeatures
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import ProceduralIdentity
from vqlso.problems.preference import Preference
from vqlso.problems.simulated_person import Features, SimulatedPerson
from vqlso.randomness import stream
from vqlso.records import Context

STEPS = 6  # "six iterations" of section V-D1
TARGETS_SEED = 4242  # of faces that neither generators nor networks were trained on
GRIDS = 400
NOISE = 0.25
TRUNCATION = 0.7


@dataclass(frozen=True)
class Method:
    """A way to search by picks.

    Attributes:
        line: what it is, for the table.
        population: new images a step.
        picks: of the person a step.
        mutation: first size; None for random search.
        adapts: whether the size follows the picks.
        generator: "stylegan2" or "vqvae".
        eye: the network that the person sees with.
        against: the method that it is compared with.
    """

    line: str
    population: int = 28
    picks: int = 5
    mutation: float | None = 0.5
    adapts: bool = True
    generator: str = "stylegan2"
    eye: str = "attributes"
    against: str = "random"


METHODS = {
    "random": Method("random search, best of 23", 23, 1, None),
    "evolution": Method("evolution, 28 images, 5 picks"),
    "evolution-23": Method("evolution, 23 images, 5 picks", 23),
    "picks-1": Method("1 pick", picks=1),
    "picks-3": Method("3 picks", picks=3),
    "picks-8": Method("8 picks", picks=8),
    "fixed-0.25": Method("size 0.25 throughout", mutation=0.25, adapts=False),
    "fixed-0.5": Method("size 0.5 throughout", mutation=0.5, adapts=False),
    "automatic-1": Method("automatic, from 1", mutation=1.0),
    "codes-random": Method("VQ-VAE: random search, best of 23", 23, 1, None, generator="vqvae"),
    "codes": Method("VQ-VAE: evolution", mutation=0.1, generator="vqvae", against="codes-random"),
    "codes-0.5": Method("VQ-VAE: automatic, from 0.5", generator="vqvae", against="codes-random"),
    "reverse-random": Method("random search, best of 23", 23, 1, None, eye="random features"),
    "reverse": Method("evolution", eye="random features", against="reverse-random"),
}


@dataclass(frozen=True)
class Outcome:
    """What one person ended with.

    Attributes:
        method, target: whose.
        distances: of the last favourite from the target, by the name of the network.
        mutations: sizes of the generations.
        seconds: of one core.
    """

    method: str
    target: int
    distances: Mapping[str, float]
    mutations: Sequence[float]
    seconds: float


@cache
def networks() -> Mapping[str, Features]:
    """What persons see with and what judges; each is packaged or untrained."""
    attributes = FaceAttributes.load(next(PACKAGED.glob("face-attributes-*")))
    identity = ProceduralIdentity.load(next(PACKAGED.glob("face-identity-*")))

    def levels(images: Tensor) -> Tensor:
        return torch.from_numpy(attributes(images))

    return {"attributes": levels, "random features": RandomFeatures(), "identity": identity}


@cache
def world(name: str) -> tuple[Generator, Variation]:
    """A packaged generator, and how its latents are varied."""
    if name == "stylegan2":
        generator = load_generator(NAMED[name], truncation_psi=TRUNCATION)
        return generator, VectorVariation(generator.space)  # type: ignore[arg-type]
    generator = load_generator(NAMED[name])
    grids = generator.encode(to_unit(procedural_faces(GRIDS, 0).images))  # type: ignore[attr-defined]
    return generator, CodeVariation(generator.space, grids)  # type: ignore[arg-type]


def searched(name: str, target: int, wanted: NDArray[np.uint8]) -> Outcome:
    """Six steps of one person.

    Args:
        name: of the method.
        target: which; it seeds person and search.
        wanted: (3, H, W) uint8, what the person has in mind.
    """
    method, began = METHODS[name], process_time()
    person = SimulatedPerson(
        networks()[method.eye], wanted, picks=method.picks, noise=NOISE, seed=target
    )
    search = _random if method.mutation is None else _evolution
    last, mutations = search(method, person, target)
    distances = {
        each: float(SimulatedPerson(features, wanted).distances(last[None])[0])
        for each, features in networks().items()
    }
    return Outcome(name, target, distances, mutations, round(process_time() - began, 2))


def _random(
    method: Method, person: SimulatedPerson, seed: int
) -> tuple[NDArray[np.uint8], list[float]]:
    """The best so far stands among the new images of each step."""
    generator, variation = world(method.generator)
    rng, best = stream(seed, "random search"), np.empty((0, *generator.image_shape), np.uint8)
    for step in range(STEPS):
        new = generator.decode(variation.sample(method.population, rng), variation.space.name)
        images = np.concatenate([best, to_bytes(new)])
        best = images[person(images, step).argmax()][None]
    return best[0], []


def _evolution(
    method: Method, person: SimulatedPerson, seed: int
) -> tuple[NDArray[np.uint8], list[float]]:
    """The favourite of the last step."""
    generator, variation = world(method.generator)
    assert method.mutation is not None
    solver = PreferenceEvolution(
        variation, mutation=method.mutation, adapts=method.adapts, seed=seed
    )
    start = variation.sample(1, stream(seed, "start"))
    image = to_bytes(generator.decode(start, variation.space.name))
    solver.rebase(Archive(image, np.zeros(1), start, generator.version))
    problem, mutations = Preference(generator, person), []
    for _ in range(STEPS):
        mutations.append(solver.mutation)
        proposal = solver.ask(method.population)
        scores = problem.evaluate(proposal, Context(seed, 0))
        solver.tell(proposal, scores)
    return scores.images[scores.values.argmax()], mutations


def table(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """A row a method: in what share of targets each network prefers it to random search."""
    of = {name: {each.target: each for each in outcomes if each.method == name} for name in METHODS}
    judges = list(networks())
    rows = []
    for name, method in METHODS.items():
        others = of[method.against]
        both = sorted(of[name].keys() & others.keys())
        if not both:
            continue
        cells = [
            _compared(name, judge, [(of[name][t], others[t]) for t in both]) for judge in judges
        ]
        rows.append([method.line, method.eye, str(len(both)), *cells])
    heads = ["method", "the person sees by", "targets"]
    return titled("Evolution by picks", [*heads, *(f"by {judge}" for judge in judges)], rows)


def _compared(name: str, judge: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> str:
    """The mean distance, and the share of targets with its exact 95 % interval."""
    ours = np.array([first.distances[judge] for first, _ in pairs])
    theirs = np.array([second.distances[judge] for _, second in pairs])
    if METHODS[name].mutation is None:
        return f"{ours.mean():.2f}"
    won = int((ours < theirs).sum())
    interval = binomtest(won, len(ours)).proportion_ci(method="exact")
    share = f"{won / len(ours):.0%} [{interval.low:.0%}, {interval.high:.0%}]"
    return f"{ours.mean():.2f}, nearer in {share}"


def known(folder: Path) -> list[Outcome]:
    """What an earlier call has written."""
    path = folder / "evolution.json"
    if not path.is_file():
        return []
    written = json.loads(path.read_text(encoding="utf-8")).get("outcomes", [])
    return [Outcome(**each) for each in written]


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=30)
    parser.add_argument("--methods", default=",".join(METHODS), metavar="NAME,NAME")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    options = parser.parse_args(arguments)
    options.methods = options.methods.split(",")
    if unknown := set(options.methods) - set(METHODS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Search for every target by every method that is not in the file yet."""
    options = _parsed(arguments)
    limit_threads(1)
    outcomes = known(options.results)
    done = {(each.method, each.target) for each in outcomes}
    faces = procedural_faces(options.targets, TARGETS_SEED).images
    recording = Recording(
        "evolution",
        "python -m benchmarks.evolution",
        {"targets": options.targets, "steps": STEPS, "noise": NOISE, "truncation": TRUNCATION},
        ("torch",),
        options.results,
    )
    recording.extra = _extra(outcomes)
    with recording:
        for name in options.methods:
            for target in range(options.targets):
                if (name, target) in done:
                    continue
                outcomes.append(searched(name, target, faces[target]))
                recording.extra = _extra(outcomes)
                write_result("evolution", recording.record(), options.results)
            print(f"{name}\n{printed([table(outcomes)])}", file=sys.stderr, flush=True)


def _extra(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"outcomes": [asdict(each) for each in outcomes], "tables": [table(outcomes)]}


if __name__ == "__main__":
    main()

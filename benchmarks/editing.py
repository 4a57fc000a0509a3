"""Edit directions of all methods at equal search time and equal change (Meißner et al., table 2).

    make bench-editing ARGS='--develop'     # every configuration, development seeds, smiling
    make bench-editing                      # the chosen ones, fresh seeds, two attributes

Every run is kept as soon as it is measured, and a stopped benchmark goes on where it was; `--fresh`
begins anew. Equal time is seconds of one core: those that the paper's local search at batch 1 takes
for `--iterations`. How many images each method scores in it is measured first.
`python -m benchmarks.editing_page` writes the page.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product
from time import process_time
from typing import Any

import numpy as np

from benchmarks.editing_methods import CHOSEN, REFERENCE, TRIED, Method
from benchmarks.editing_parts import (
    LONGEST,
    PSI,
    SMALL_SHARE,
    Evaluations,
    Faces,
    figures,
    one_thread,
)
from benchmarks.kept_runs import KeptRuns
from benchmarks.options import command_of, frame_options, settings_of

DEVELOPMENT_SEEDS = 100
PACKAGES = ("torch", "numpy", "scikit-learn", "cmaes")
# Of the paper's table 1: a vector and a fifth of it.
SHORTENED = 5
# Of an option: for the figures, and for development.
DEFAULTS: dict[str, tuple[Any, Any]] = {
    "attributes": (["smile", "long_hair"], ["smile"]),
    "seeds": (5, 2),
    "originals": (1000, 24),
    "scaling_originals": (50, 24),
    "strengths": (10, 5),
}
# More seeds may be added to what is kept.
UNTOLD = ("fresh", "rounds", "seeds")


def budgets(
    faces: Faces, methods: dict[str, Method], reference: str, attribute: str, images: int
) -> dict[str, Any]:
    """Images for each method, all in the time in which the reference scores `images`."""
    methods[reference].find(faces, attribute, 100, seed=0)  # setting up does not count
    began = process_time()
    methods[reference].find(faces, attribute, images, seed=0)
    seconds = process_time() - began
    given = {
        name: images if name == reference else method.images_in(faces, attribute, seconds)
        for name, method in methods.items()
    }
    return {"seconds": seconds, "images": given}


def measured(
    faces: Faces, method: Method, attribute: str, seed: int, images: int, evaluations: Evaluations
) -> dict[str, Any]:
    """One search, and its vector at equal change."""
    began = process_time()
    found = method.find(faces, attribute, images, seed)
    taken = process_time() - began
    return {
        "seconds": taken,
        "images": found.images,
        "proposals": found.proposals,
        "found_length": float(np.linalg.norm(found.d)),
        **evaluations.at_equal_change(found.d),
    }


def shortened(
    faces: Faces, method: Method, attribute: str, seed: int, images: int, evaluations: Evaluations
) -> dict[str, Any]:
    """The paper's table 1: a vector at the agreed change, and a fifth of it."""
    d = method.find(faces, attribute, images, seed).d
    whole = evaluations.at_equal_change(d)
    fifth = d * whole["length"] / np.linalg.norm(d) / SHORTENED
    return {"whole": whole, "fifth": figures(evaluations.large.quality(fifth))}


def measure_all(
    kept: KeptRuns, methods: dict[str, Method], reference: str, options: argparse.Namespace
) -> None:
    """Every method, attribute and seed that is not kept yet, a seed after the other."""
    faces = Faces.packaged()
    first = options.attributes[0]
    images = kept.once(
        "budgets", lambda: budgets(faces, methods, reference, first, 2 * options.iterations)
    )["images"]
    evaluations = {
        attribute: Evaluations(
            faces.evaluation(attribute, options.scaling_originals, options.strengths),
            faces.evaluation(attribute, options.originals, options.strengths),
        )
        for attribute in options.attributes
    }
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for seed, attribute, (name, method) in product(seeds, evaluations, methods.items()):
        kept.run(
            {
                "attribute": attribute,
                "method": name,
                "configuration": method.name,
                "seed": seed,
            },
            partial(measured, faces, method, attribute, seed, images[name], evaluations[attribute]),
        )
    kept.once(
        "shortened",
        lambda: shortened(
            faces, methods[reference], first, seeds[0], images[reference], evaluations[first]
        ),
    )


def _parsed() -> argparse.Namespace:
    parser = frame_options(__doc__)
    parser.add_argument("--develop", action="store_true", help="try every configuration")
    parser.add_argument("--fresh", action="store_true", help="forget what is kept")
    parser.add_argument("--attributes", type=lambda text: text.split(","), default=None)
    parser.add_argument("--seeds", type=int, default=None, help="5, or 2 with --develop")
    parser.add_argument("--iterations", type=int, default=400, help="of the paper's local search")
    parser.add_argument("--originals", type=int, default=None, help="that are edited")
    parser.add_argument("--scaling-originals", type=int, default=None, help="to scale vectors on")
    parser.add_argument("--strengths", type=int, default=None, help="that each is edited by")
    options = parser.parse_args()
    for name, (final, development) in DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, development if options.develop else final)
    options.first_seed = DEVELOPMENT_SEEDS if options.develop else 0
    return options


def main() -> None:
    """Measure what is not kept yet."""
    options = _parsed()
    one_thread()
    told = {name: value for name, value in settings_of(options).items() if name not in UNTOLD}
    kept = KeptRuns(
        "editing-development" if options.develop else "editing",
        command_of("editing"),
        {**told, "psi": PSI, "longest": LONGEST, "small_share": SMALL_SHARE},
        PACKAGES,
        options.results,
        options.fresh,
    )
    if options.develop:
        measure_all(kept, {each.name: each for each in TRIED}, CHOSEN[REFERENCE].name, options)
    else:
        measure_all(kept, CHOSEN, REFERENCE, options)


if __name__ == "__main__":
    main()

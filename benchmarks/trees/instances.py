"""Boosted trees over coded images, made once and cached: what the tree benchmarks are solved on.

Three sources: "faces", procedural and free of downloads; "celeba", all pictures of a CelebA
folder, whose codes and models stay in the cache; "interactions", random codes and a target without
main effects, which is hard for any bound.

Images are cut into a grid of square patches and coded by k-means, one codebook for all cells; the
target is the degree of smile.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from pipeline.preparation.sources import default_cache
from vqlso.data.celeba import celeba
from vqlso.data.faces import procedural_faces
from vqlso.errors import ConfigError
from vqlso.randomness import stream

SOURCES = ("faces", "celeba", "interactions")
CODINGS = ("categorical", "integer")

# CelebA-Dialog's degrees are whole numbers: a little noise breaks their ties.
LABEL_NOISE = 0.1
# Patches that k-means learns from; all are coded.
CODEBOOK_PATCHES = 100_000


@dataclass(frozen=True)
class Recipe:
    """What decides an instance; equal recipes give equal instances.

    Attributes:
        source: one of `SOURCES`.
        K: codes, >= 2.
        grid: cells an edge; it divides the images' 64 pixels.
        trees: boosting rounds, >= 1.
        depth: splits between root and leaf, 2 or more.
        coding: "categorical" features, or "integer" ones that are split by thresholds, for the
            peers that know nothing else.
        faces: how many procedural faces.
        learning_rate: shrinkage in (0, 1]; None for the source's own: 0.3 for interactions, which
            show in late trees only, and LightGBM's default of 0.1 elsewhere.
    """

    source: str = "faces"
    K: int = 256
    grid: int = 8
    trees: int = 800
    depth: int = 2
    coding: str = "categorical"
    faces: int = 13_000
    learning_rate: float | None = None

    @property
    def cells(self) -> int:
        """Number of features."""
        return self.grid**2

    @property
    def integer(self) -> bool:
        """Whether cells are integer features."""
        return self.coding == "integer"

    @property
    def parameters(self) -> dict[str, object]:
        """LightGBM's. At most 5 leaves, as the paper, also of deeper trees."""
        hard = self.source == "interactions"
        return {
            "objective": "regression",
            "max_depth": self.depth,
            "num_leaves": 5,
            "min_data_in_leaf": 20,
            "learning_rate": self.learning_rate or (0.3 if hard else 0.1),
            # Half of all codes go either way in every interaction.
            **({"max_cat_threshold": 128} if hard else {}),
            "num_threads": 1,
            "seed": 0,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def name(self, root: Path | None) -> str:
        """Readable, with a digest of everything that counts."""
        place = str(root.resolve()) if root else ""
        settings = f"{sorted(asdict(self).items())} {self.parameters} {place}"
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        return (
            f"{self.source}-{self.grid}x{self.grid}-K{self.K}-{self.trees}trees-"
            f"depth{self.depth}-{self.coding}-{digest}"
        )


@dataclass(frozen=True, eq=False)
class Problem:
    """Fitted trees and the coded rows behind them.

    Attributes:
        recipe: how they were made.
        name: of the model's file, without suffix.
        model: LightGBM's text.
        codes: (n, cells) int64 in 0..K-1.
        seed: of the drawn references.
    """

    recipe: Recipe
    name: str
    model: Path
    codes: NDArray[np.int64]
    seed: int = 0

    def booster(self) -> lightgbm.Booster:
        """The model, read from its file."""
        return lightgbm.Booster(model_file=str(self.model))

    def free(self, t: int) -> NDArray[np.int64]:
        """(t,) int64, the cells of highest gain."""
        gain = self.booster().feature_importance(importance_type="gain")
        return np.argsort(-gain, kind="stable").astype(np.int64)[:t]

    def reference(self, query: int) -> NDArray[np.int64]:
        """(cells,) int64, a row drawn for this query."""
        row = stream(self.seed, "benchmark reference", query).integers(len(self.codes))
        return np.asarray(self.codes[row])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options from which `recipe_of` and `problem` take what they need."""
    recipe = Recipe()
    parser.add_argument("--instance", choices=SOURCES, default=recipe.source)
    parser.add_argument("--codes", type=int, default=recipe.K, metavar="K")
    parser.add_argument("--grid", type=int, default=recipe.grid)
    parser.add_argument("--trees", type=int, default=recipe.trees)
    parser.add_argument("--depth", type=int, default=recipe.depth)
    parser.add_argument("--coding", choices=CODINGS, default=recipe.coding)
    parser.add_argument("--faces", type=int, default=recipe.faces, help="procedural faces")
    parser.add_argument("--learning-rate", type=float, default=None)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("VQLSO_CELEBA"),
        help="folder of CelebA; by default VQLSO_CELEBA",
    )
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--seed", type=int, default=0, help="of the references")


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe of parsed options.

    Raises:
        ConfigError: a grid that 64 pixels cannot be cut into.
    """
    if 64 % options.grid:
        raise ConfigError(f"64 pixels cannot be cut into {options.grid} cells: use 4, 8 or 16.")
    return Recipe(
        options.instance,
        options.codes,
        options.grid,
        options.trees,
        options.depth,
        options.coding,
        options.faces,
        options.learning_rate,
    )


def problem(recipe: Recipe, options: argparse.Namespace) -> Problem:
    """The instance of a recipe, from the cache or made for it."""
    codes, target = coded(recipe, options)
    name = recipe.name(_root(recipe, options))
    model = options.cache / "benchmarks" / f"{name}.txt"
    if not model.exists():
        _write(model, _fitted(recipe, codes, target).model_to_string().encode())
    return Problem(recipe, name, model, codes, options.seed)


def coded(
    recipe: Recipe, options: argparse.Namespace
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, cells) codes and (n,) targets behind an instance, from the cache or made for it."""
    root = _root(recipe, options)
    return _coded(recipe, root, options.cache / "benchmarks", options.cache / "images")


def _root(recipe: Recipe, options: argparse.Namespace) -> Path | None:
    if recipe.source != "celeba":
        return None
    if options.data is None:
        raise ConfigError("Instances of CelebA need its folder: give --data or set VQLSO_CELEBA.")
    return Path(options.data)


def _fitted(
    recipe: Recipe, codes: NDArray[np.int64], target: NDArray[np.float64]
) -> lightgbm.Booster:
    categorical = [] if recipe.integer else list(range(recipe.cells))
    data = lightgbm.Dataset(
        codes.astype(np.float64),
        target,
        categorical_feature=categorical,
        params={"verbosity": -1},
    )
    return lightgbm.train(recipe.parameters, data, num_boost_round=recipe.trees)


def _coded(
    recipe: Recipe, root: Path | None, folder: Path, images: Path
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, cells) codes and (n,) targets; all models of one source, grid and K share them."""
    place = root.resolve() if root else f"{recipe.faces} faces"
    digest = hashlib.sha256(str(place).encode()).hexdigest()[:8]
    path = folder / f"{recipe.source}-{recipe.grid}x{recipe.grid}-K{recipe.K}-{digest}.npz"
    if not path.exists():
        if recipe.source == "interactions":
            codes, target = _interactions(recipe)
        else:
            data = celeba(root, cache=images) if root else procedural_faces(recipe.faces, seed=0)
            codes = _patch_codes(data.images, recipe)
            noise = 0.0 if root is None else LABEL_NOISE
            target = data.labels + noise * stream(0, "label noise").standard_normal(len(codes))
        _save(path, codes, target)
    with np.load(path) as stored:
        return stored["codes"].astype(np.int64), stored["target"]


def _patch_codes(images: NDArray[np.uint8], recipe: Recipe) -> NDArray[np.int64]:
    """(n, cells) index of the nearest of K centres of all patches."""
    n, cells, edge = len(images), recipe.cells, 64 // recipe.grid

    def patches(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        cut = images[rows].reshape(len(rows), 3, recipe.grid, edge, recipe.grid, edge)
        flat = cut.transpose(0, 2, 4, 1, 3, 5).reshape(len(rows) * cells, -1)
        return np.asarray(flat / np.float32(255))

    order = stream(0, "codebook").permutation(n)
    learnt_from = patches(np.sort(order[: max(1, CODEBOOK_PATCHES // cells)]))
    codebook = MiniBatchKMeans(recipe.K, batch_size=4096, n_init=1, random_state=0)
    codebook.fit(learnt_from)
    blocks = [
        codebook.predict(patches(rows)) for rows in np.array_split(np.arange(n), n // 500 + 1)
    ]
    return np.concatenate(blocks).reshape(n, cells).astype(np.int64)


def _interactions(recipe: Recipe) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Random codes; 120 random pairs of 24 cells add +-1 by code group x code group."""
    random = stream(0, "interactions")
    codes = random.integers(0, recipe.K, (60_000, recipe.cells))
    target = np.zeros(len(codes))
    for _ in range(120):
        first, second = random.choice(24, 2, replace=False)
        signs = random.choice((-1.0, 1.0), (2, recipe.K))
        target += signs[0, codes[:, first]] * signs[1, codes[:, second]]
    target /= target.std()
    return codes, target + 0.3 * random.standard_normal(len(codes))


def _save(path: Path, codes: NDArray[np.int64], target: NDArray[np.float64]) -> None:
    temporary = path.with_name(path.name + ".part.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(temporary, codes=codes.astype(np.uint16), target=target)
    temporary.replace(path)


def _write(path: Path, content: bytes) -> None:
    """By a temporary name, so that an interrupted run leaves no half of a file."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    temporary.replace(path)

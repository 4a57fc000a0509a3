"""What reads files of strangers, each with valid files to damage."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from benchmarks.faults.fuzz_inputs import (
    archives,
    damaged,
    journals,
    objects,
    packed,
    written,
)
from benchmarks.faults.fuzz_settings import (
    check_values,
    compose,
    configurations,
    overrides,
    read_configuration,
    read_own_study,
    studies,
    values,
)
from benchmarks.faults.fuzz_trees import boosters, graphs, instances, models, read_trees
from pipeline.editing.record import EditDirection
from pipeline.evolution.packing import settings_from, unpacked
from pipeline.evolution.page.uploads import checked_photo
from pipeline.report.record import journalled
from pipeline.runs.journal import Journal
from solvers.trees.storage import load as load_instance
from vqlso.data.folder import image_folder
from vqlso.generators.import_gan import read_gan
from vqlso.generators.loading import load_generator
from vqlso.generators.vqvae import VQVAE, VQVAENetwork, VQVAESettings
from vqlso.problems.target_pictures import read_target
from vqlso.randomness import stream

Read = Callable[[Any, Path], object]
TESTS = Path(__file__).parents[2] / "tests"


@dataclass(frozen=True)
class Target:
    """A reader under fire.

    Attributes:
        inputs: makes the strategy of its inputs.
        read: takes an input, and a folder that is empty at first.
        share: of all cases.
    """

    inputs: Callable[[], st.SearchStrategy[Any]]
    read: Read
    share: float


@cache
def pictures() -> tuple[bytes, ...]:
    """Small pictures of several formats."""
    pixels = stream(0, "fuzzed picture").integers(0, 256, (12, 16, 3)).astype(np.uint8)
    made = []
    for kind, mode in (
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("JPEG", "L"),
        ("WEBP", "RGB"),
        ("GIF", "P"),
    ):
        buffer = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned
        Image.fromarray(pixels).convert(mode).save(buffer, kind, exif=exif.tobytes())
        made.append(buffer.getvalue())
    for kind in ("BMP", "TIFF", "PPM"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        made.append(buffer.getvalue())
    return tuple(made)


def tables() -> st.SearchStrategy[bytes]:
    """CSVs of two pictures, one of which is there."""
    seeds = [
        b"file,score,person\na.png,1.5,x\nb.png,2,y\n",
        b"filename;label\na.png;1\n",
        '﻿"path","rating"\n"a.png","3"\nb.png,4\n'.encode(),
    ]
    return damaged(
        seeds, (b"a.png", b"nan", b'"', b"\r\n", b"../a.png", b"/dev/zero", b"\0", b"9" * 9)
    )


def read_table(content: bytes, folder: Path) -> object:
    """A folder of pictures with its CSV."""
    picture = folder / "pictures" / "a.png"
    if not picture.is_file():
        picture.parent.mkdir()
        picture.write_bytes(pictures()[0])
    (folder / "scores.csv").write_bytes(content)
    root, scores, kept = picture.parent, folder / "scores.csv", folder / "cache"
    return image_folder(root, scores, size=8, cache=kept, max_bad_share=0.5)


def reading(read: Callable[[Path], object], name: str = "given") -> Read:
    """A reader of a file, by this name."""

    def read_file(content: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(content)
        return read(path)

    return read_file


@cache
def weights() -> bytes:
    """An untrained VQ-VAE."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = VQVAENetwork(VQVAESettings(8, 2, 4, 4, 1))
    return written(VQVAE(network).save)


@cache
def gan_files() -> tuple[bytes, ...]:
    """Files of every kind that is imported, as the tests write them."""
    sys.path.append(str(TESTS))
    sys.path.append(str(TESTS / "vqlso" / "generators"))
    hostile = import_module("test_import_gan_hostile")
    return tuple(hostile.VALID.values())


EVENTS: list[dict[str, Any]] = [
    {
        "event": "query",
        **{"id": row, "z": [0, 1], "score": 1.5 * row, "score_status": "ok", "predicted": 1.0},
        **{"novel": True, "controls": {"reference": 0.5}, "free_cells": [0, 1], "reason": ""},
        "time": {"at": "2026-01-01T00:00:00+00:00", "seconds": {"score": 0.5}},
    }
    for row in range(3)
]


def read_journal(content: bytes, folder: Path) -> object:
    """A journal as the report of its run reads it."""
    path = folder / "journal.jsonl"
    path.write_bytes(content)
    return journalled(Journal(path))


SESSION: Mapping[str, Any] = {
    "format": 1,
    "generator": {"kind": "stylegan2", "version": "0" * 12},
    **{"start": "random", "population": 8, "picks": 2, "space": "w", "truncation": 0.7, "seed": 0},
}


def sessions() -> st.SearchStrategy[bytes]:
    """Zip files of sessions; some tell other settings."""
    files = {
        "session.json": json.dumps(SESSION).encode(),
        "journal.jsonl": b"",
        "archive/start.safetensors": save(
            {"z": np.zeros(4), "grids": np.zeros((0, 0, 0), np.int64)}
        ),
        "archive/000000-query.png": pictures()[0],
    }
    names = ("../x", "/etc/x", "archive/../x.png", "config.yaml", "archive/1-query.png", "")
    told = objects(SESSION).map(
        lambda about: packed({**files, "session.json": json.dumps(about).encode()})
    )
    return st.one_of(archives(files, names), told)


def read_session(content: bytes, _folder: Path) -> object:
    """What a session tells, and its settings."""
    about, files = unpacked(content)
    return settings_from(about, files, "stylegan2")


def directions() -> st.SearchStrategy[bytes]:
    """Files of edit directions."""
    made = EditDirection(np.ones((2, 4)), "Smiling", "w+", "0" * 12)
    return damaged([made.content])


TARGETS: Mapping[str, Target] = {
    "scores (CSV)": Target(tables, read_table, 0.081),
    "target picture": Target(
        lambda: damaged(pictures()), reading(lambda path: read_target(path, size=8)), 0.07
    ),
    "uploaded photo": Target(
        lambda: damaged(pictures()), lambda content, _folder: checked_photo(content), 0.06
    ),
    "weights (safetensors)": Target(lambda: damaged([weights()]), reading(load_generator), 0.08),
    "GAN of a stranger (pickle, zip)": Target(
        lambda: damaged(gan_files()), reading(read_gan), 0.11
    ),
    "trees (LightGBM text)": Target(models, reading(read_trees), 0.09),
    "trees (XGBoost JSON, UBJSON)": Target(boosters, reading(read_trees), 0.08),
    "trees (ONNX)": Target(graphs, reading(read_trees), 0.06),
    "instance of trees (npz)": Target(instances, reading(load_instance), 0.06),
    "session (zip)": Target(sessions, read_session, 0.1),
    "journal": Target(lambda: journals(EVENTS), read_journal, 0.09),
    "edit direction (safetensors)": Target(directions, reading(EditDirection.read), 0.06),
    "settings": Target(values, check_values, 0.05),
    "study (YAML)": Target(studies, reading(read_own_study, "study.yaml"), 0.004),
    "config.yaml of a run": Target(configurations, reading(read_configuration), 0.003),
    "overrides of a command": Target(overrides, compose, 0.002),
}

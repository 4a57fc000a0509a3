"""What edit directions are measured with: the packaged networks, and the paper's evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.runs.shelf import PACKAGED
from vqlso.editing import EditEvaluation, EditQuality, scaled
from vqlso.editing.edits import Vector
from vqlso.generators.stylegan2.discriminator import StyleGAN2Discriminator
from vqlso.generators.stylegan2.generator import StyleGAN2
from vqlso.objectives.face_attributes import FaceAttributes
from vqlso.objectives.face_identity import ProceduralIdentity
from vqlso.problems.direction import Direction

SPACE = "w"
PSI = 0.7
LONGEST = 3.0
# Small activations stay in the cache: 32 images at once were the fastest here.
AT_ONCE = 32
MEMORY_MIB = 64
# Table 2 of the paper scales every vector to 5,416 edits of 10,000 that change by at most 0.3.
SMALL_SHARE = 0.5416


@dataclass(frozen=True)
class Evaluations:
    """Of one attribute: a small one to scale vectors on, a large one for the figures."""

    small: EditEvaluation
    large: EditEvaluation

    def at_equal_change(self, d: Vector) -> dict[str, Any]:
        """The figures of d, scaled so that the agreed share of edits changes little."""
        unit = LONGEST * d / np.linalg.norm(d)
        edits = self.small.originals * self.small.strengths
        scaling = scaled(
            lambda factor: self.small.small_changes(factor * unit), round(SMALL_SHARE * edits)
        )
        found = self.large.quality(scaling.factor * unit)
        return {"scaled": scaling.reached, "evaluations": scaling.evaluations, **figures(found)}


@dataclass(frozen=True)
class Faces:
    """The packaged StyleGAN2, and what reads its pictures."""

    generator: StyleGAN2
    attributes: FaceAttributes
    identity: ProceduralIdentity

    @classmethod
    def packaged(cls) -> Faces:
        """All from the package, at the truncation of this benchmark."""
        return cls(
            StyleGAN2.load(
                _file("stylegan2-faces.safetensors"), truncation_psi=PSI, memory_mib=MEMORY_MIB
            ),
            FaceAttributes.load(_file("face-attributes-*")),
            ProceduralIdentity.load(_file("face-identity-*")),
        )

    def problem(self, attribute: str, anchors: int) -> Direction:
        """Two candidates are compared by two images an anchor, as in the paper's algorithm 1."""
        return Direction(
            self.generator,
            self.attributes.attribute(attribute),
            SPACE,
            longest=LONGEST,
            anchors=anchors,
            baseline=False,
            batch_size=AT_ONCE,
        )

    def evaluation(self, attribute: str, originals: int, strengths: int = 10) -> EditEvaluation:
        """Of the first so many originals: a small evaluation's are among a large one's."""
        return EditEvaluation(
            self.generator,
            SPACE,
            self.attributes,
            self.attributes.index(attribute),
            self.identity,
            originals=originals,
            strengths=strengths,
            batch_size=AT_ONCE,
        )


@cache
def realism() -> StyleGAN2Discriminator:
    """The discriminator that the packaged generator was trained with."""
    return StyleGAN2Discriminator.load(_file("stylegan2-faces-discriminator.safetensors"))


def figures(found: EditQuality) -> dict[str, Any]:
    """A quality as JSON values; lists are by bucket."""
    buckets = found.buckets
    return {
        "counts": [bucket.count for bucket in buckets],
        "others": [bucket.others.mean for bucket in buckets],
        "others_deviation": [bucket.others.deviation for bucket in buckets],
        "identity": [bucket.identity.mean for bucket in buckets],
        "identity_deviation": [bucket.identity.deviation for bucket in buckets],
        "small": found.small,
        "edits": found.edits,
        "length": found.length,
    }


def one_thread() -> None:
    """Costs are seconds of one core, whatever else the machine does."""
    torch.set_num_threads(1)


def _file(name: str) -> Path:
    (path,) = PACKAGED.glob(name)
    return path

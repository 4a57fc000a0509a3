"""Preference as a problem: a person says which images of a batch are the best (paper 001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vqlso.contracts import Generator, LatentSpace
from vqlso.errors import ConfigError, DataError
from vqlso.images import to_bytes
from vqlso.problems.image_score import require_latents_of
from vqlso.records import Context, Proposal, Scores, ScoreStatus


class Person(Protocol):
    """Who picks by a call; a person before a screen is waited for elsewhere."""

    def __call__(self, images: NDArray[np.uint8], moment: int) -> NDArray[np.int64]:
        """(n, 3, H, W) uint8 -> (n,) how often each was picked, at least one of them.

        Args:
            images: shown side by side.
            moment: grows from batch to batch, so that a simulated person's slips differ.
        """


@dataclass(frozen=True)
class Preference:
    """How often a person picks the decoded image out of those shown with it.

    A count says nothing beyond its batch: what was picked among poor images may be poor. Solvers
    compare counts of one proposal only.

    A person may take an hour: `shown` and `answered` stand apart, and `evaluate` joins them where
    somebody picks by a call.

    Attributes:
        generator: decodes latents.
        person: who `evaluate` asks; None where the answer comes from elsewhere.
        space_name: which of the generator's latent spaces is searched; None for its own choice.
    """

    generator: Generator
    person: Person | None = None
    space_name: str | None = None

    @property
    def space(self) -> LatentSpace:
        """The latent space that is searched."""
        if self.space_name is None:
            return self.generator.space
        return self.generator.spaces[self.space_name]

    def moved_to(self, generator: Generator) -> Preference:
        """The same person before the images of a retrained generator."""
        return replace(self, generator=generator)

    def shown(self, proposal: Proposal) -> NDArray[np.uint8]:
        """(n, 3, H, W) uint8, the images to pick from.

        Raises:
            LatentSpaceError: the latents belong to another generator version or space.
        """
        require_latents_of(proposal, self.space, self.generator)
        return to_bytes(self.generator.decode(proposal.z, self.space.name))

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:  # noqa: ARG002
        """The counts of a person who answers at once. Controls are not shown.

        Raises:
            LatentSpaceError: as `shown`.
            ConfigError: there is nobody to ask.
            DataError: the person picked nothing.
        """
        if self.person is None:
            raise ConfigError(
                "Nobody is there to pick: give Preference a person, or show its images and record "
                "what was picked by `answered`."
            )
        images = self.shown(proposal)
        return answered(proposal, images, self.person(images, int(proposal.ids.min())))


def answered(
    proposal: Proposal, images: NDArray[np.uint8], counts: Sequence[int] | NDArray[np.int64]
) -> Scores:
    """A person's picks as scores.

    Args:
        proposal: whose images were shown.
        images: (n, 3, H, W) uint8, these images.
        counts: (n,) how often each was picked.

    Raises:
        DataError: not one count from 0 for each image, or none above 0.
    """
    picked = np.asarray(counts)
    if picked.shape != (len(proposal),):
        raise DataError(
            f"{len(proposal)} images are shown, but picks have the shape {picked.shape}: give a "
            "count for each image, 0 for those that were not picked."
        )
    if not np.issubdtype(picked.dtype, np.integer) or (picked < 0).any():
        raise DataError(f"Picks are whole numbers from 0; got {picked.tolist()}.")
    if not picked.any():
        raise DataError("No image was picked: pick at least one before you go on.")
    return Scores(
        ids=proposal.ids,
        values=picked.astype(np.float64),
        status=(ScoreStatus.OK,) * len(proposal),
        reason=("",) * len(proposal),
        images=images,
    )

"""What is maximised: images decoded from latents, scored by an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vqlso.contracts import CountsFailures, Generator, LatentSpace
from vqlso.errors import DataError, LatentSpaceError
from vqlso.images import to_bytes, to_unit
from vqlso.objectives.failures import reason_of
from vqlso.records import Context, Proposal, Scores, ScoreStatus


def require_latents_of(proposal: Proposal, space: LatentSpace, generator: Generator) -> None:
    """Make sure that a proposal's latents are of the space and the generator that decode them.

    Raises:
        LatentSpaceError: they belong to another one.
    """
    if proposal.space != space.name:
        raise LatentSpaceError(
            f"The proposal's latents are of space '{proposal.space}', but "
            f"'{space.name}' is searched."
        )
    if proposal.version != generator.version:
        raise LatentSpaceError(
            f"The proposal's latents belong to generator {proposal.version}, "
            f"but {generator.version} would decode them."
        )


@dataclass(frozen=True)
class ImageScore:
    """f(d(z)): the objective's score of the decoded image (paper 003, section 2.2).

    The image is rounded to 8 bits before it is scored, so that the archive holds exactly what
    the black box saw and every score can be recomputed from it.

    Attributes:
        generator: decodes latents.
        objective: scores images; an `Objective`, or any function of the same form.
        space_name: which of the generator's latent spaces is searched; None for its own choice.
    """

    generator: Generator
    objective: Callable[[Tensor], NDArray[np.float64]]
    space_name: str | None = None

    @property
    def space(self) -> LatentSpace:
        """The latent space that is searched."""
        if self.space_name is None:
            return self.generator.space
        return self.generator.spaces[self.space_name]

    @property
    def failures_count(self) -> bool:
        """Whether the black box's failures count against the budget; they do unless it says so."""
        return not isinstance(self.objective, CountsFailures) or self.objective.failures_count

    def moved_to(self, generator: Generator) -> ImageScore:
        """The same objective behind a retrained generator."""
        return replace(self, generator=generator)

    def evaluate(self, proposal: Proposal, context: Context) -> Scores:  # noqa: ARG002
        """Scores of the proposal and of its controls.

        Raises:
            LatentSpaceError: the latents belong to another generator version or space.
            DataError: the objective takes images of another size than the generator's.
        """
        require_latents_of(proposal, self.space, self.generator)
        images = self._decode(proposal.z)
        values, reasons = self._score_each(to_unit(images))
        controls = {name: self._decode(z) for name, z in proposal.controls.items()}
        failed = np.isnan(values)
        return Scores(
            ids=proposal.ids,
            values=values,
            status=tuple(ScoreStatus.FAIL if bad else ScoreStatus.OK for bad in failed),
            reason=reasons,
            images=images,
            control_values={
                name: self._score_each(to_unit(pictures))[0] for name, pictures in controls.items()
            },
            control_images=controls,
        )

    def _decode(self, z: NDArray[Any]) -> NDArray[np.uint8]:
        return to_bytes(self.generator.decode(z, self.space.name))

    def _score_each(self, images: Tensor) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        """One image a call: an image that the black box cannot score takes no other with it."""
        values = np.full(len(images), np.nan)
        reasons = []
        for position in range(len(images)):
            values[position], reason = self._score_one(images[position : position + 1])
            reasons.append(reason)
        return values, tuple(reasons)

    def _score_one(self, image: Tensor) -> tuple[float, str]:
        try:
            value = np.asarray(self.objective(image), dtype=np.float64)
        except DataError:
            raise  # images of the wrong size fail every time: a mistake of the set-up, not data
        except (Exception, SystemExit) as error:
            return np.nan, reason_of(error)
        if value.shape != (1,):
            return np.nan, f"the objective returned shape {value.shape} for one image"
        if not np.isfinite(value[0]):
            return np.nan, f"the objective returned {value[0]}"
        return float(value[0]), ""

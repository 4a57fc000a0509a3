"""The loop as a score ascent runs it."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from pipeline.loop import Loop
from vqlso.records import Proposal


class AscentLoop(Loop):
    """The loop without controls, which would cost as much as queries, and with all its seconds."""

    def propose(self) -> Proposal:
        """As `Loop`; what the solver computes, gradients and fits, is its own time."""
        began = perf_counter()
        proposal = super().propose()
        seconds = {"propose": perf_counter() - began}
        return replace(proposal, controls={}, details={**proposal.details, "seconds": seconds})

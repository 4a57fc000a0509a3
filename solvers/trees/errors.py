"""Why an instance is not solved, apart from being nonsense."""

from __future__ import annotations

from vqlso.errors import SolverError


class InfeasibleError(SolverError):
    """No point satisfies the constraints."""


class UnsupportedError(SolverError):
    """The instance is beyond what the backend can express; another one can."""

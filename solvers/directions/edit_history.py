"""What solvers of directions keep of what they are told: next to nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.history import History
from vqlso.records import Proposal, Scores


class EditHistory(History):
    """Ids and the starting vectors only.

    Values of two proposals cannot be compared, so there is no best of all; and a search of tens
    of thousands of vectors is not to hold them all.
    """

    def answers(
        self, proposal: Proposal, scores: Scores
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Take note of a proposal's ids.

        Returns:
            (m,) the proposal's rows that were answered, ascending, and their (m,) values.

        Raises:
            SolverError: as `History.tell`.
        """
        known = len(self)
        rows = self.tell(proposal, scores)
        values = self.y[known:]
        self.z, self.y = self.z[:known], self.y[:known]
        return rows, values

    @property
    def start(self) -> NDArray[np.float64]:
        """(*shape), the best of the vectors that the search was given."""
        return np.asarray(self.z[int(self.y.argmax())], dtype=np.float64)
